"""The shape that decides how much memory a model needs, from its weight headers and its checked configuration."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bitagent_evaluator.models.validation.architectures import head_dim, key_value_heads, layout_of
from bitagent_evaluator.models.validation.weights import ITEM_BYTES, Tensor
from bitagent_evaluator.models.validation.windows import layer_windows

FLOATS = frozenset({"BF16", "F16", "F32", "F64"})
"""Formats of weights that an engine converts to its own; all others are loaded as they are stored."""


def memory_shape(tensors: Mapping[str, Tensor], config: Mapping[str, Any]) -> dict[str, int]:
    """Return the fields of the MemoryShape of a checkpoint whose configuration was reduced to checked members.

    A head beside tied embeddings counts, because headers do not say whether it equals them (see `head`).
    """
    per_layer, windows = 2 * key_value_heads(config) * head_dim(config), layer_windows(config)
    packed = [tensor for tensor in tensors.values() if tensor.dtype not in FLOATS]
    return {
        "numbers": sum(tensor.elements for tensor in tensors.values() if tensor.dtype in FLOATS),
        "packed_bytes": sum(tensor.elements * ITEM_BYTES[tensor.dtype] for tensor in packed),
        "number_bytes": 4 if config.get("dtype") == "float32" else 2,
        "cache_numbers": config["num_hidden_layers"] * per_layer,
        "windowed_numbers": windows.layers * per_layer,
        "window": windows.window,
        "layer_width": config["hidden_size"] + layout_of(config).inner_width(config),
        "vocabulary": config["vocab_size"],
        "positions": config["max_position_embeddings"],
    }
