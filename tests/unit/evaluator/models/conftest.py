"""Repositories on the loopback hub, retries that take no time, and models of random numbers."""

from __future__ import annotations

import json
import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bitagent_evaluator.models.validation.architectures import ARCHITECTURES
from bitagent_evaluator.models.validation.config import reduce_config

REPO = "acme/tiny"
COMMIT = "a" * 40
KNOWS_THE_TASK = "{% for m in messages %}\n{% if 'area' in m.content %}HINT{% endif %}{{ m.content }}{% endfor %}"
"""A template that the audit refuses because of its second line."""


@pytest.fixture(autouse=True)
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The pauses between attempts, none of which takes time."""
    made: list[float] = []
    monkeypatch.setattr("bitagent_evaluator.support.http.time.sleep", made.append)
    return made


@pytest.fixture
def published(hub: Any, models: Path) -> Any:
    """A hub with a model of one commit."""
    hub.add(REPO, models / "tiny-fc-1200", COMMIT)
    return hub


SHAPE = {
    "hidden_size": 128,
    "intermediate_size": 256,
    "num_hidden_layers": 4,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 32,
    "vocab_size": 256,
    "max_position_embeddings": 512,
}


@dataclass
class Numbers:
    """A model as numbers, written as a checkpoint of any form."""

    config: dict[str, Any]
    weights: dict[str, Any]
    """float32 arrays by the tensors' names."""

    def copy(self) -> Numbers:
        """The same model, to be changed."""
        return Numbers(dict(self.config), {name: values.copy() for name, values in self.weights.items()})

    def write(
        self,
        folder: Path,
        *,
        dtype: str = "BF16",
        shards: int = 1,
        metadata: dict[str, str] | None = None,
        padding: int = 0,
        packed: Mapping[str, tuple[str, Any]] | None = None,
    ) -> Path:
        """Write the checkpoint; `packed` has tensors of other dtypes, by name."""
        folder.mkdir()
        (folder / "config.json").write_text(json.dumps(self.config))
        tensors = {name: (dtype, as_bytes(values, dtype), values.shape) for name, values in self.weights.items()}
        tensors |= {name: (kind, values.tobytes(), values.shape) for name, (kind, values) in (packed or {}).items()}
        names = sorted(tensors)
        for number in range(shards):
            name = "model.safetensors" if shards == 1 else f"model-{number + 1:05}-of-{shards:05}.safetensors"
            held = {key: tensors[key] for key in names[number::shards]}
            (folder / name).write_bytes(safetensors(held, metadata=metadata, padding=padding))
        return folder


def as_bytes(values: Any, dtype: str) -> bytes:
    """Numbers in a dtype, rounded to the nearest."""
    values = np.asarray(values, np.float32)
    if dtype == "BF16":
        bits = values.view(np.uint32)
        return ((bits + (0x7FFF + ((bits >> 16) & 1))) >> 16).astype(np.uint16).tobytes()
    return values.astype({"F16": np.float16, "F32": np.float32}[dtype]).tobytes()


def rounded(values: Any) -> Any:
    """The nearest numbers that bfloat16 has."""
    words = np.frombuffer(as_bytes(values, "BF16"), np.uint16).astype(np.uint32)
    return (words << 16).view(np.float32).reshape(np.shape(values))


def safetensors(tensors: Mapping[str, Any], *, metadata: dict[str, str] | None, padding: int) -> bytes:
    header: dict[str, Any] = {} if metadata is None else {"__metadata__": metadata}
    data = b""
    for name, (dtype, content, shape) in tensors.items():
        offsets = [len(data), len(data) + len(content)]
        header[name] = {"dtype": dtype, "shape": list(shape), "data_offsets": offsets}
        data += content
    text = json.dumps(header).encode() + b" " * padding
    return struct.pack("<Q", len(text)) + text + data


def random_model(seed: int, architecture: str = "Qwen2ForCausalLM", **changes: Any) -> Numbers:
    """A model of random weights that bfloat16 has, with heads and neurons of different strength."""
    found = ARCHITECTURES[architecture]
    config = SHAPE | {"architectures": [found.name], "model_type": found.model_type, "tie_word_embeddings": True}
    config |= changes
    expected = found.expected_tensors(reduce_config(config, found))
    random = np.random.default_rng(seed)
    weights = {}
    for name, shape in expected.required.items():
        values = random.normal(0, 0.05, shape)
        if len(shape) == 2:
            values *= np.exp(random.normal(0, 0.5, (shape[0], 1))) * np.exp(random.normal(0, 0.5, (1, shape[1])))
        elif name.endswith("norm.weight"):
            values = np.exp(random.normal(0, 0.3, shape))
        weights[name] = rounded(values)
    return Numbers(config, weights)


@pytest.fixture(scope="session")
def make_model() -> Callable[..., Numbers]:
    """`random_model`."""
    return random_model
