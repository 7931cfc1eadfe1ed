"""GPTQ: 4 bits, symmetric, no activation order. Eight weights of one output share an int32."""

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
    setting,
)
from bitagent_evaluator.safety.refusal import require, shown

_PACKED = 8


def _check(settings: Mapping[str, Any]) -> None:
    setting(settings, "bits", (4,))
    setting(settings, "sym", (True,))
    setting(settings, "desc_act", (False,))
    setting(settings, "group_size", GROUP_SIZES)
    setting(settings, "lm_head", (False, None))
    setting(settings, "checkpoint_format", ("gptq", "", None))
    dynamic = settings.get("dynamic")
    require(
        not dynamic,
        Reason.UNSUPPORTED_QUANTIZATION,
        f"quantization_config: dynamic is {shown(dynamic)}, supported: none",
    )


def _layer(settings: Mapping[str, Any], outputs: int, inputs: int) -> Layer:
    group = settings["group_size"]
    check_groups(inputs, group, "an input size")
    return Layer(
        {
            "qweight": (INT32, (inputs // _PACKED, outputs)),
            "qzeros": (INT32, (inputs // group, outputs // _PACKED)),
            "scales": (SCALES, (inputs // group, outputs)),
        },
        {"g_idx": (INT32, (inputs,)), "bias": (SCALES, (outputs,))},
    )


METHOD = Method("gptq", _check, _layer)
