"""Which quantisation methods exist, by the name that a configuration gives them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bitagent_crds.conditions import Reason
from bitagent_evaluator.safety.quantization import awq, compressed_tensors, gptq
from bitagent_evaluator.safety.quantization.method import Method
from bitagent_evaluator.safety.refusal import require, shown

METHODS: Mapping[str, Method] = {method.name: method for method in (awq.METHOD, compressed_tensors.METHOD, gptq.METHOD)}


def find(config: Mapping[str, Any]) -> Method | None:
    """The method of a configuration, its settings checked; None for plain weights. Refuses with UnsupportedQuantization."""
    settings = config.get("quantization_config")
    if settings is None:
        require(
            not config.get("compression_config"),
            Reason.UNSUPPORTED_QUANTIZATION,
            "config.json: compression_config is an old form; write it as quantization_config",
        )
        return None
    name = settings.get("quant_method") if isinstance(settings, dict) else None
    known = isinstance(name, str) and name in METHODS
    supported = ", ".join(sorted(METHODS))
    require(known, Reason.UNSUPPORTED_QUANTIZATION, f"quantisation {shown(name)}; supported: {supported}")
    method = METHODS[str(name)]
    method.check(settings)
    return method
