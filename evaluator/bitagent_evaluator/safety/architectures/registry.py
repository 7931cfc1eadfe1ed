"""Which architectures exist, by the class that a configuration names."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from bitagent_crds.conditions import Reason
from bitagent_evaluator.safety.architectures import llama, mistral, qwen2, qwen3
from bitagent_evaluator.safety.architectures.dense import Expected
from bitagent_evaluator.safety.refusal import require, shown


@dataclass(frozen=True)
class Architecture:
    """One supported architecture."""

    name: str
    """Class name, as in `architectures` of config.json."""
    model_type: str
    """The `model_type` that goes with it; another one means that the engine would build something else."""
    defaults: Mapping[str, Any]
    """Members that an engine takes for given where a configuration is silent, as far as the tensors depend on them."""
    tensors: Callable[[Mapping[str, Any]], Expected]
    """The tensors of a checkpoint, from its checked configuration."""


ARCHITECTURES: Mapping[str, Architecture] = {
    module.NAME: Architecture(module.NAME, module.MODEL_TYPE, module.DEFAULTS, module.tensors)
    for module in (llama, mistral, qwen2, qwen3)
}


def find(config: Mapping[str, Any]) -> Architecture:
    """The architecture of a configuration. Refuses with UnsupportedArchitecture, or BadConfig when its two names disagree."""
    named = config.get("architectures")
    known = isinstance(named, list) and len(named) == 1 and isinstance(named[0], str) and named[0] in ARCHITECTURES
    supported = ", ".join(sorted(ARCHITECTURES))
    require(
        known,
        Reason.UNSUPPORTED_ARCHITECTURE,
        f"config.json names the architecture {shown(named)}; supported: {supported}",
    )
    architecture = ARCHITECTURES[config["architectures"][0]]
    require(
        config.get("model_type") == architecture.model_type,
        Reason.BAD_CONFIG,
        f"config.json: model_type {shown(config.get('model_type'))} does not go with {architecture.name}",
    )
    return architecture
