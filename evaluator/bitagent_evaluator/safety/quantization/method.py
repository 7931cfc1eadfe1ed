"""What a quantisation method says about one linear layer."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from bitagent_crds.conditions import Reason
from bitagent_evaluator.safety.refusal import require, shown

Shape = tuple[int, ...]
Packed = tuple[frozenset[str], Shape]
"""Allowed dtypes and the shape of one tensor."""

SCALES = frozenset({"F16", "BF16", "F32"})
INT32 = frozenset({"I32"})
GROUP_SIZES = (32, 64, 128)


@dataclass(frozen=True)
class Layer:
    """The tensors that stand for the weight of one linear layer, by the suffix that replaces `weight`."""

    required: Mapping[str, Packed]
    optional: Mapping[str, Packed] = field(default_factory=dict)


@dataclass(frozen=True)
class Method:
    """One quantisation method."""

    name: str
    """`quant_method` of the configuration."""
    check: Callable[[Mapping[str, Any]], None]
    """Refuses settings that are not known to work (UnsupportedQuantization)."""
    reduced: Callable[[Mapping[str, Any]], dict[str, Any]]
    """The members of checked settings that were looked at: an engine follows others, too."""
    layer: Callable[[Mapping[str, Any], int, int], Layer]
    """The tensors for a weight, from the settings and the weight's output and input size."""


def setting(settings: Mapping[str, Any], key: str, allowed: tuple[object, ...]) -> Any:
    """The value of one setting, which must be one of `allowed` (and of its type: 1 is not True)."""
    value = settings.get(key)
    known = any(type(value) is type(choice) and value == choice for choice in allowed)
    choices = ", ".join(str(choice) for choice in allowed)
    require(
        known, Reason.UNSUPPORTED_QUANTIZATION, f"quantization_config: {key} is {shown(value)}, supported: {choices}"
    )
    return value


def only(settings: Mapping[str, Any], *members: str) -> dict[str, Any]:
    """These members of settings, as far as they are there."""
    return {member: settings[member] for member in members if member in settings}


def check_groups(size: int, group: int, what: str) -> None:
    """Refuse an input size that groups do not divide."""
    require(
        size % group == 0 and size % 32 == 0,
        Reason.UNSUPPORTED_QUANTIZATION,
        f"quantization_config: {what} of {size} does not divide into groups of {group}",
    )
