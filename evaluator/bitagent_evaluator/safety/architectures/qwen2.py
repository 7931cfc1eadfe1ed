"""Qwen2 and Qwen2.5: biases on query, key and value, nowhere else."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bitagent_evaluator.safety.architectures.dense import Expected, Variant, expected_tensors

NAME = "Qwen2ForCausalLM"
MODEL_TYPE = "qwen2"
DEFAULTS: Mapping[str, Any] = {}


def tensors(config: Mapping[str, Any]) -> Expected:
    """The tensors of a checkpoint, from its checked configuration."""
    return expected_tensors(config, Variant(qkv_bias=True))
