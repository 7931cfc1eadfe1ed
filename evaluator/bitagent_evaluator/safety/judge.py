"""The judgement of one repository, from evidence to facts. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from bitagent_crds.conditions import Reason
from bitagent_evaluator.bounded.worker import Refused
from bitagent_evaluator.safety.architectures import registry as architectures
from bitagent_evaluator.safety.configuration import checked, parse_object, refuse_code
from bitagent_evaluator.safety.evidence import Evidence, Judgement
from bitagent_evaluator.safety.headers import Tensor, parse_header
from bitagent_evaluator.safety.license import card_license
from bitagent_evaluator.safety.quantization import registry as methods
from bitagent_evaluator.safety.refusal import shown
from bitagent_evaluator.safety.selection import CARD, CONFIG, TOKENIZER_CONFIG
from bitagent_evaluator.safety.template import template_digest, template_source
from bitagent_evaluator.safety.tokenizer import check_tokenizer
from bitagent_evaluator.safety.weights import check_index, check_tensors, checkpoint, merge, parameters


@dataclass
class _Findings:
    """What was established before a refusal; facts are reported of refused models too."""

    architecture: str = ""
    parameters: int | None = None
    quantization: str = ""
    template_digest: str | None = None
    config: dict[str, Any] | None = None


def judge(evidence: Evidence) -> Judgement:
    """Everything that headers and small files tell. Never raises on a stranger's input, except for want of time or memory."""
    findings = _Findings()
    refusal = None
    try:
        _examine(evidence, findings)
    except Refused as error:
        refusal = (Reason(error.reason), error.message)
    return Judgement(
        refusal,
        architecture=findings.architecture,
        parameters=findings.parameters,
        quantization=findings.quantization,
        license=card_license(evidence.small.get(CARD, b"")),
        template_digest=findings.template_digest,
        config=findings.config if refusal is None else None,
    )


def _examine(evidence: Evidence, findings: _Findings) -> None:
    small = evidence.small
    config = parse_object(CONFIG, small[CONFIG], Reason.BAD_CONFIG)
    findings.architecture = _architecture_name(config)
    findings.quantization = _quantization_name(config)
    shards = {name: parse_header(name, data, evidence.sizes[name]) for name, data in sorted(evidence.headers.items())}
    tensors = merge(shards)
    findings.parameters = parameters(tensors, config)
    tokenizer_config = parse_object(TOKENIZER_CONFIG, small[TOKENIZER_CONFIG], Reason.BAD_TOKENIZER)
    findings.template_digest = template_digest(template_source(small, tokenizer_config))

    refuse_code(CONFIG, config)
    architecture = architectures.find(config)
    known = checked({**architecture.defaults, **config})
    method = methods.find(config)
    check_tensors(tensors, checkpoint(architecture.tensors(known), method, config))
    check_index(small, shards)
    check_tokenizer(small, known["vocab_size"])
    findings.config = {"architectures": [architecture.name], "model_type": architecture.model_type, **known}
    if method is not None:
        findings.config["quantization_config"] = method.reduced(config["quantization_config"])
    elif known.get("dtype") == "float32":
        findings.config["dtype"] = _held_format(tensors)


def _held_format(tensors: Mapping[str, Tensor]) -> str:
    """The number format of weights that are said to be 32 bits wide: what is stored in 16 would fill twice the memory that its size suggests."""
    held = {tensor.dtype for tensor in tensors.values()} - {"F32"}
    return "float32" if not held else "float16" if held == {"F16"} else "bfloat16"


def _architecture_name(config: dict[str, Any]) -> str:
    named = config.get("architectures")
    first = named[0] if isinstance(named, list) and named else ""
    return shown(first)[1:-1] if isinstance(first, str) and first else ""


def _quantization_name(config: dict[str, Any]) -> str:
    settings = config.get("quantization_config")
    name = settings.get("quant_method") if isinstance(settings, dict) else None
    return shown(name)[1:-1] if isinstance(name, str) and name else ""
