"""Which layers of a model see a window of the last tokens only, and so keep no more keys and values than it has."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from bitagent_evaluator.models.validation.architectures import Windows, architecture_of

_WINDOWED = "sliding_attention"
_PATTERN_MEMBER = "sliding_window_pattern"


@dataclass(frozen=True)
class LayerWindows:
    """The layers with a window, and its size in tokens."""

    layers: int = 0
    window: int = 0


def layer_windows(config: Mapping[str, Any]) -> LayerWindows:
    """Return the windows of a checked configuration, as transformers and the engine understand it."""
    architecture, layers = architecture_of(config), config["num_hidden_layers"]
    window = config.get("sliding_window", architecture.default_window)
    if architecture.windows is Windows.NONE or window is None:
        return LayerWindows()
    types = config.get("layer_types")
    if types is not None:
        count = types.count(_WINDOWED)
    elif architecture.windows is Windows.ONE_KIND and not config.get("use_sliding_window", False):
        count = 0
    elif architecture.full_every:
        count = layers - layers // (config.get(_PATTERN_MEMBER) or architecture.full_every)
    else:
        count = layers
    return LayerWindows(count, window) if count else LayerWindows()
