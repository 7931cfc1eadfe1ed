"""Conditions of admission: whether a round lets a model take part, by the facts of its files.

The operator decides by these rules before a GPU is used; `bitagent-eval run --admission` applies the same.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from bitagent_crds.conditions import Reason
from bitagent_crds.evalround import Admission
from bitagent_crds.evaluation import Evaluation, RunSpec
from bitagent_crds.memory import excess, limits_of
from bitagent_crds.minermodel import EngineChoices, ModelFacts


@dataclass(frozen=True)
class Refusal:
    """Why a model may not take part."""

    reason: Reason
    message: str


def refuse(rules: Admission, facts: ModelFacts) -> Refusal | None:
    """Return the first rule that the model breaks; None if it may take part."""
    return next((refusal for rule in _RULES if (refusal := rule(rules, facts)) is not None), None)


def refuse_memory(
    rules: Admission, run: Evaluation | RunSpec, engine: EngineChoices, facts: ModelFacts
) -> Refusal | None:
    """Return why the evaluation would need more memory than the round allows; None if it would not, or for old facts.

    The evaluator decides by the same function whose fault it is if the engine runs out of memory.
    """
    if facts.memory is None:
        return None
    found = excess(facts.memory, facts.parameters, engine, run, limits_of(rules))
    return Refusal(Reason.NEEDS_TOO_MUCH_MEMORY, found) if found else None


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
    return Refusal(Reason.NO_CHAT_TEMPLATE, "the model has no chat template, which the round requires")


def _tokenizer(rules: Admission, facts: ModelFacts) -> Refusal | None:
    if not rules.tokenizer_digests or facts.tokenizer_digest in rules.tokenizer_digests:
        return None
    found = facts.tokenizer_digest or "(not recorded; fetch the model again)"
    return Refusal(Reason.TOKENIZER_NOT_ALLOWED, f"tokenizer {found}; the round allows others")


_RULES: tuple[Callable[[Admission, ModelFacts], Refusal | None], ...] = (
    _architecture,
    _parameters,
    _size,
    _license,
    _template,
    _tokenizer,
)
