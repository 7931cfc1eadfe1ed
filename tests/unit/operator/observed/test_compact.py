"""Parsed objects of one form share what pydantic keeps of their form; their values and texts stay as they are."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bitagent_crds.minermodel import MinerModelStatus
from bitagent_operator.observed.compact import compact

if TYPE_CHECKING:
    from tests.unit.operator.conftest import Make


def test_objects_of_one_form_share_the_sets_of_their_members(make: Make) -> None:
    one, other = make.model("a", fetched=True), make.model("b", fetched=True)
    for part in ("spec", "status"):
        mine, theirs = getattr(one, part), getattr(other, part)
        assert mine.model_fields_set is theirs.model_fields_set
    first, second = one.status.conditions[0], other.status.conditions[0]
    assert first.model_fields_set is second.model_fields_set, "models in lists, too"


def test_nothing_else_changes(make: Make) -> None:
    raw = make.model_raw("a", fetched=True)["status"]
    plain, small = MinerModelStatus.model_validate(raw), compact(MinerModelStatus.model_validate(raw))
    assert (small, small.to_wire()) == (plain, plain.to_wire())
    assert small.model_dump(exclude_unset=True) == plain.model_dump(exclude_unset=True)
    assert small.model_fields_set == plain.model_fields_set
