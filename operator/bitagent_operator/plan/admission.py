"""Whether a round's rules allow a model, decided on facts before any GPU is used."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from bitagent_crds.conditions import Reason
from bitagent_crds.evalround import Admission
from bitagent_crds.minermodel import ModelFacts


@dataclass(frozen=True)
class Refusal:
    """Why a model may not take part."""

    reason: Reason
    message: str


def _parameters(rules: Admission, facts: ModelFacts) -> Refusal | None:
    if rules.max_parameters is None or facts.parameters <= rules.max_parameters:
        return None
    text = f"{facts.parameters:,} parameters; the round allows {rules.max_parameters:,}"
    return Refusal(Reason.TOO_MANY_PARAMETERS, text)


def _size(rules: Admission, facts: ModelFacts) -> Refusal | None:
    if rules.max_repository_bytes is None or facts.size_bytes <= rules.max_repository_bytes:
        return None
    text = f"{facts.size_bytes:,} bytes; the round allows {rules.max_repository_bytes:,}"
    return Refusal(Reason.REPOSITORY_TOO_LARGE, text)


def _license(rules: Admission, facts: ModelFacts) -> Refusal | None:
    if not rules.licenses or facts.license.lower() in {name.lower() for name in rules.licenses}:
        return None
    text = f"licence {facts.license or '(none named)'}; the round allows {', '.join(rules.licenses)}"
    return Refusal(Reason.LICENSE_NOT_ALLOWED, text)


def _architecture(rules: Admission, facts: ModelFacts) -> Refusal | None:
    if not rules.architectures or facts.architecture in rules.architectures:
        return None
    text = f"architecture {facts.architecture}; the round allows {', '.join(rules.architectures)}"
    return Refusal(Reason.ARCHITECTURE_NOT_ALLOWED, text)


def _template(rules: Admission, facts: ModelFacts) -> Refusal | None:
    if not rules.require_chat_template or facts.template_digest is not None:
        return None
    return Refusal(Reason.NO_CHAT_TEMPLATE, "the model ships no chat template, which the round requires")


_RULES: tuple[Callable[[Admission, ModelFacts], Refusal | None], ...] = (
    _architecture,
    _parameters,
    _size,
    _license,
    _template,
)


def judge(rules: Admission, facts: ModelFacts) -> Refusal | None:
    """The first rule that the model breaks; None: it may take part."""
    return next((refusal for rule in _RULES if (refusal := rule(rules, facts)) is not None), None)
