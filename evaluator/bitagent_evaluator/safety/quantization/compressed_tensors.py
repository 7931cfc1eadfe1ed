"""compressed-tensors in two schemes: 4-bit weights packed in groups (W4A16), and 8-bit weights with dynamic 8-bit activations (W8A8)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bitagent_crds.conditions import Reason
from bitagent_evaluator.safety.quantization.method import (
    GROUP_SIZES,
    INT32,
    SCALES,
    Layer,
    Method,
    check_groups,
    only,
    setting,
)
from bitagent_evaluator.safety.refusal import require, shown

_PACKED_FORMAT, _INT_FORMAT = "pack-quantized", "int-quantized"
_PACKED = 8
_SCHEME = ("num_bits", "type", "strategy", "symmetric")


def _refuse_unless(condition: object, message: str) -> None:
    require(condition, Reason.UNSUPPORTED_QUANTIZATION, f"quantization_config: {message}")


def _group(settings: Mapping[str, Any]) -> Mapping[str, Any]:
    groups = settings.get("config_groups")
    single = isinstance(groups, dict) and len(groups) == 1
    _refuse_unless(single, "config_groups must hold exactly one group")
    group = next(iter(settings["config_groups"].values()))
    _refuse_unless(isinstance(group, dict) and group.get("targets") == ["Linear"], "the group must target Linear")
    _refuse_unless(isinstance(group.get("weights"), dict), "the group has no weights scheme")
    checked_group: Mapping[str, Any] = group
    return checked_group


def _check(settings: Mapping[str, Any]) -> None:
    kind = setting(settings, "format", (_PACKED_FORMAT, _INT_FORMAT))
    _refuse_unless(
        settings.get("ignore") == ["lm_head"], f"ignore is {shown(settings.get('ignore'))}, supported: lm_head"
    )
    for unused in ("kv_cache_scheme", "sparsity_config", "transform_config"):
        _refuse_unless(not settings.get(unused), f"{unused} is not supported")
    group = _group(settings)
    weights, activations = group["weights"], group.get("input_activations")
    setting(weights, "type", ("int",))
    setting(weights, "symmetric", (True,))
    setting(weights, "actorder", (None, False))
    if kind == _PACKED_FORMAT:
        setting(weights, "num_bits", (4,))
        setting(weights, "strategy", ("group",))
        setting(weights, "group_size", GROUP_SIZES)
        _refuse_unless(activations is None, "4-bit weights go with unquantised activations only")
        return
    setting(weights, "num_bits", (8,))
    setting(weights, "strategy", ("channel",))
    _refuse_unless(isinstance(activations, dict), "8-bit weights go with 8-bit dynamic activations only")
    setting(activations or {}, "num_bits", (8,))
    setting(activations or {}, "type", ("int",))
    setting(activations or {}, "strategy", ("token",))
    setting(activations or {}, "dynamic", (True,))
    setting(activations or {}, "symmetric", (True,))


def _reduced(settings: Mapping[str, Any]) -> dict[str, Any]:
    group = _group(settings)
    weights, activations = group["weights"], group.get("input_activations")
    grouped = ("group_size",) if settings["format"] == _PACKED_FORMAT else ()
    schemes = {
        "weights": only(weights, *_SCHEME, "actorder", *grouped),
        "input_activations": only(activations, *_SCHEME, "dynamic") if activations is not None else None,
    }
    kept = only(settings, "quant_method", "format", "ignore")
    return kept | {"config_groups": {"group_0": {"targets": group["targets"], **schemes}}}


def _layer(settings: Mapping[str, Any], outputs: int, inputs: int) -> Layer:
    if settings["format"] == _INT_FORMAT:
        return Layer({"weight": (frozenset({"I8"}), (outputs, inputs)), "weight_scale": (SCALES, (outputs, 1))})
    group = _group(settings)["weights"]["group_size"]
    check_groups(inputs, group, "an input size")
    return Layer(
        {
            "weight_packed": (INT32, (outputs, inputs // _PACKED)),
            "weight_scale": (SCALES, (outputs, inputs // group)),
            "weight_shape": (frozenset({"I64", "I32"}), (2,)),
        }
    )


METHOD = Method("compressed-tensors", _check, _reduced, _layer)
