"""Models that consist of a configuration and weight headers alone."""

from __future__ import annotations

import json
import math
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from bitagent_evaluator.models.validation.architectures import ARCHITECTURES
from bitagent_evaluator.models.validation.config import reduce_config
from bitagent_evaluator.models.validation.facts import validate_metadata
from bitagent_evaluator.models.validation.files import ModelMetadata, ValidationResult
from bitagent_evaluator.models.validation.weights import ITEM_BYTES

SIZES = {
    "hidden_size": 128,
    "intermediate_size": 256,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "vocab_size": 640,
    "max_position_embeddings": 2048,
}
Tensors = dict[str, tuple[str, tuple[int, ...]]]
"""Dtype and shape by name."""


@dataclass(frozen=True)
class Synthetic:
    """Builds models without weights, with the tokenizer of a real one."""

    tokenizer: Mapping[str, bytes]

    def config(self, architecture: str = "Qwen2ForCausalLM", **changes: Any) -> dict[str, Any]:
        """A small configuration of the architecture."""
        found = ARCHITECTURES[architecture]
        return {**SIZES, "architectures": [found.name], "model_type": found.model_type, **changes}

    def reduced(self, architecture: str = "Qwen2ForCausalLM", **changes: Any) -> dict[str, Any]:
        """The same, reduced to what the engine gets."""
        return reduce_config(self.config(architecture, **changes), ARCHITECTURES[architecture])

    def tensors(self, config: Mapping[str, Any], dtype: str = "BF16") -> Tensors:
        """The tensors that the architecture calls for, without quantisation."""
        architecture = ARCHITECTURES[config["architectures"][0]]
        expected = architecture.expected_tensors(reduce_config(config, architecture))
        return {name: (dtype, shape) for name, shape in expected.required.items()}

    def validate(self, config: Mapping[str, Any], tensors: Tensors) -> ValidationResult:
        """The result for a configuration and one weight file of these tensors."""
        entries, at = {}, 0
        for name, (dtype, shape) in tensors.items():
            size = ITEM_BYTES[dtype] * math.prod(shape)
            entries[name] = {"dtype": dtype, "shape": shape, "data_offsets": [at, at + size]}
            at += size
        text = json.dumps(entries).encode()
        header = struct.pack("<Q", len(text)) + text
        small = {**self.tokenizer, "config.json": json.dumps(config).encode()}
        return validate_metadata(
            ModelMetadata({"model.safetensors": len(header) + at}, small, {"model.safetensors": header})
        )


@pytest.fixture(scope="session")
def synthetic(models: Path) -> Synthetic:
    """Models of headers alone."""
    names = ("tokenizer.json", "tokenizer_config.json")
    return Synthetic({name: (models / "tiny-fc-1200" / name).read_bytes() for name in names})
