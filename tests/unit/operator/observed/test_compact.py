"""Parsed objects of one form share what pydantic keeps of their form; their values and texts stay as they are."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bitagent_crds.minermodel import MemoryShape, MinerModelStatus
from bitagent_operator.observed.compact import compact

if TYPE_CHECKING:
    from tests.unit.operator.conftest import Make


def shape(**more: int) -> MemoryShape:
    return MemoryShape(numbers=7, cache_numbers=2, layer_width=3, vocabulary=4, positions=5, **more)


def test_objects_of_one_form_share_the_sets_of_their_members(make: Make) -> None:
    one, other = make.model("a", fetched=True), make.model("b", fetched=True)
    for part in ("spec", "status"):
        mine, theirs = getattr(one, part), getattr(other, part)
        assert mine.model_fields_set is theirs.model_fields_set
    first, second = one.status.conditions[0], other.status.conditions[0]
    assert first.model_fields_set is second.model_fields_set, "models in lists, too"


def test_fine_tunes_of_one_base_share_its_shape_and_texts(make: Make) -> None:
    parsed = [MinerModelStatus.model_validate(make.model_raw(name, fetched=True)["status"]) for name in "ab"]
    for status in parsed:
        object.__setattr__(status.resolved, "license", "".join(["m", "it"]))
        object.__setattr__(status.resolved, "memory", shape())
    one, other = (compact(status).resolved for status in parsed)
    assert one is not None and other is not None
    assert one.license is other.license
    assert one.memory is other.memory


def test_what_was_given_stays_known_of_equal_models(make: Make) -> None:
    given, left_out = shape(packed_bytes=0), shape()
    assert given == left_out
    for memory in (given, left_out):
        status = MinerModelStatus.model_validate(make.model_raw("a", fetched=True)["status"])
        object.__setattr__(status.resolved, "memory", memory)
        small = compact(status).resolved
        assert small is not None and small.memory is not None
        assert small.memory.model_fields_set == memory.model_fields_set


def test_nothing_else_changes(make: Make) -> None:
    raw = make.model_raw("a", fetched=True)["status"]
    plain, small = MinerModelStatus.model_validate(raw), compact(MinerModelStatus.model_validate(raw))
    assert (small, small.to_wire()) == (plain, plain.to_wire())
    assert small.model_dump(exclude_unset=True) == plain.model_dump(exclude_unset=True)
    assert small.model_fields_set == plain.model_fields_set
