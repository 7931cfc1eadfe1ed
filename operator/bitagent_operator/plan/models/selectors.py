"""Which rounds and competitions will judge a model, so that files which none of them admits are not fetched."""

from __future__ import annotations

from collections.abc import Iterable

from bitagent_crds.evalround import Admission, ModelSelection
from bitagent_operator.observed.objects import ModelObject, RoundObject, ValidatorObject
from bitagent_operator.plan.models.fetch import waiting_entry

MAX_RULES = 16
"""Different rules that one Job is given; with more its files are fetched whatever they say."""


def admissions_for(
    model: ModelObject, *, rounds: Iterable[RoundObject], validators: Iterable[ValidatorObject]
) -> list[Admission] | None:
    """Return the rules of all that will judge the model, each once; None if nothing selects it so far.

    These are rounds that have not admitted it yet, and the competitions of Validators, which make the next rounds.
    """
    found = [each.spec.admission for each in rounds if _judges(each, model)]
    found += [
        competition.round.admission
        for validator in validators
        if not (validator.meta.deleting or validator.spec.suspend)
        for competition in validator.spec.competitions
        if _selects(competition.round.models, model)
    ]
    rules = {each.model_dump_json(): each for each in found}
    return list(rules.values()) if 0 < len(rules) <= MAX_RULES else None


def _judges(observed: RoundObject, model: ModelObject) -> bool:
    """Whether the round has the model and has not admitted it yet, or may freeze it in its set."""
    if observed.meta.deleting or observed.spec.tasks_only or observed.status.finished_at is not None:
        return False
    if observed.status.begun is None:
        return _selects(observed.spec.models, model)
    return waiting_entry(observed, model) is not None


def _selects(selection: ModelSelection, model: ModelObject) -> bool:
    if selection.names is not None:
        return model.meta.name in selection.names
    return (selection.match_labels or {}).items() <= model.meta.labels.items()
