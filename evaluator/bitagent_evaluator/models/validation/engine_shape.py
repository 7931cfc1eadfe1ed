"""What an engine is built for, as a short name: models with an equal one can share an engine (`engines.swap`).

The name is a fact about a model, so that Jobs can be made for several models before any of their files are read.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from bitagent_evaluator.models.validation.weights import Tensor

POSITIONS = "max_position_embeddings"
UNUSED = frozenset({"bos_token_id", "pad_token_id", "dtype"})
"""Members of a configuration that the engine does not compute with: it gets token ids, and its number format is an
argument.

`eos_token_id` is not among them, because vLLM stops at it.
"""
EXPERTS = ".experts."
"""Part of the names of experts' weights."""
_DIGITS = 16


def positions_are_a_table(config: Mapping[str, Any]) -> bool:
    """Return whether the number of positions only sizes a table; scaled rotary embeddings compute with it."""
    rope = config.get("rope_parameters") or config.get("rope_scaling") or {}
    parts = [part for part in rope.values() if isinstance(part, Mapping)]  # One for each type of layer.
    return all(part.get("rope_type", "default") == "default" for part in parts or [rope])


def comparable(config: Mapping[str, Any]) -> dict[str, Any]:
    """Return the members of a checked configuration in which models of one engine must not differ."""
    unused = UNUSED | {POSITIONS} if positions_are_a_table(config) else UNUSED
    return {key: value for key, value in config.items() if key not in unused}


def engine_shape(tensors: Mapping[str, Tensor], config: Mapping[str, Any]) -> str | None:
    """Return the name; None if the weights are never exchanged in a running engine (quantised ones, experts).

    The number format counts, because engines take it from the checkpoint where the submission leaves it open.
    """
    if config.get("quantization_config") or any(EXPERTS in name for name in tensors):
        return None
    described = sorted((name, tensor.dtype, list(tensor.shape)) for name, tensor in tensors.items())
    content = json.dumps([described, comparable(config), config.get("dtype")], sort_keys=True)
    return hashlib.sha256(content.encode()).hexdigest()[:_DIGITS]
