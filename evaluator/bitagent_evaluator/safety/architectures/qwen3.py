"""Qwen3: queries and keys are normalised per head; the head size is 128 when the configuration is silent."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bitagent_evaluator.safety.architectures.dense import Expected, Variant, expected_tensors

NAME = "Qwen3ForCausalLM"
MODEL_TYPE = "qwen3"
DEFAULTS: Mapping[str, Any] = {"head_dim": 128}


def tensors(config: Mapping[str, Any]) -> Expected:
    """The tensors of a checkpoint, from its checked configuration."""
    attention = bool(config.get("attention_bias"))
    variant = Variant(qkv_bias=attention, output_bias=attention, qk_norm=True)
    return expected_tensors(config, variant)
