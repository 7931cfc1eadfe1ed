"""AWQ: 4 bits with zero points, GEMM layout. Eight outputs of one weight row share an int32."""

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

_PACKED = 8


def _check(settings: Mapping[str, Any]) -> None:
    setting(settings, "bits", (4,))
    setting(settings, "zero_point", (True,))
    setting(settings, "group_size", GROUP_SIZES)
    setting(settings, "version", ("gemm", "GEMM", None))
    skipped = settings.get("modules_to_not_convert")
    require(
        skipped in (None, [], ["lm_head"]),
        Reason.UNSUPPORTED_QUANTIZATION,
        f"quantization_config: modules_to_not_convert is {shown(skipped)}, supported: only lm_head",
    )


def _reduced(settings: Mapping[str, Any]) -> dict[str, Any]:
    return only(settings, "quant_method", "bits", "zero_point", "group_size", "version", "modules_to_not_convert")


def _layer(settings: Mapping[str, Any], outputs: int, inputs: int) -> Layer:
    group = settings["group_size"]
    check_groups(inputs, group, "an input size")
    return Layer(
        {
            "qweight": (INT32, (inputs, outputs // _PACKED)),
            "qzeros": (INT32, (inputs // group, outputs // _PACKED)),
            "scales": (SCALES, (inputs // group, outputs)),
        },
        {"bias": (SCALES, (outputs,))},
    )


METHOD = Method("awq", _check, _reduced, _layer)
