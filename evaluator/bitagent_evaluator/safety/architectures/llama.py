"""Llama 2 and 3: no biases unless the configuration asks for them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bitagent_evaluator.safety.architectures.dense import Expected, Variant, expected_tensors

NAME = "LlamaForCausalLM"
MODEL_TYPE = "llama"
DEFAULTS: Mapping[str, Any] = {}


def tensors(config: Mapping[str, Any]) -> Expected:
    """The tensors of a checkpoint, from its checked configuration."""
    attention = bool(config.get("attention_bias"))
    variant = Variant(qkv_bias=attention, output_bias=attention, mlp_bias=bool(config.get("mlp_bias")))
    return expected_tensors(config, variant)
