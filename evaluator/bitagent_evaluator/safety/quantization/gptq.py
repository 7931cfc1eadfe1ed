"""GPTQ: 4 or 8 bits, symmetric, in groups of inputs or one group per output (-1).

Weights of one output share an int32, as many as fit. Activation order needs groups to be looked up by input, which vLLM stopped doing
(0.32: "no longer supported"); with one group per output it changes nothing, and is accepted. 8 bits have kernels on GPUs only.
"""

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

_WORD = 32
"""Bits of the integers that weights are packed into."""
_WHOLE = -1
"""Group size that means all inputs."""


def _check(settings: Mapping[str, Any]) -> None:
    setting(settings, "bits", (4, 8))
    setting(settings, "sym", (True,))
    group = setting(settings, "group_size", (_WHOLE, *GROUP_SIZES))
    ordered = setting(settings, "desc_act", (False, True))
    require(
        not ordered or group == _WHOLE,
        Reason.UNSUPPORTED_QUANTIZATION,
        f"quantization_config: desc_act with groups of {group} is not run by vLLM: quantise with static activation order, or desc_act false",
    )
    setting(settings, "lm_head", (False, None))
    setting(settings, "checkpoint_format", ("gptq", "", None))
    dynamic = settings.get("dynamic")
    require(
        not dynamic,
        Reason.UNSUPPORTED_QUANTIZATION,
        f"quantization_config: dynamic is {shown(dynamic)}, supported: none",
    )


def _reduced(settings: Mapping[str, Any]) -> dict[str, Any]:
    return only(settings, "quant_method", "bits", "sym", "group_size", "desc_act", "lm_head", "checkpoint_format")


def _layer(settings: Mapping[str, Any], outputs: int, inputs: int) -> Layer:
    packed = _WORD // int(settings["bits"])
    group = inputs if settings["group_size"] == _WHOLE else settings["group_size"]
    check_groups(inputs, group, "an input size")
    return Layer(
        {
            "qweight": (INT32, (inputs // packed, outputs)),
            "qzeros": (INT32, (inputs // group, outputs // packed)),
            "scales": (SCALES, (inputs // group, outputs)),
        },
        {"g_idx": (INT32, (inputs,)), "bias": (SCALES, (outputs,))},
    )


METHOD = Method("gptq", _check, _reduced, _layer)
