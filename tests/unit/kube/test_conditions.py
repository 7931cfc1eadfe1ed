"""Conditions and their transition times."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from bitagent_crds.conditions import ConditionStatus, ConditionType, Reason
from bitagent_crds.status import Condition
from bitagent_kube.conditions import (
    MESSAGE_LENGTH,
    Conditions,
    ConditionValue,
    clip,
    find,
    holds,
    parse_conditions,
    update_conditions,
)

T0 = datetime(2026, 1, 1, tzinfo=UTC)
LATER = T0 + timedelta(minutes=5)
YES, NO = ConditionStatus.TRUE, ConditionStatus.FALSE
FETCHED, SAFE, RESOLVED = ConditionType.FETCHED, ConditionType.SAFE, ConditionType.RESOLVED


def condition(kind: ConditionType = FETCHED, status: ConditionStatus = YES, **more: Any) -> Condition:
    base = {"type": kind, "status": status, "reason": Reason.FETCHED, "last_transition_time": T0}
    return Condition.model_validate(base | more)


def test_the_transition_time_changes_only_with_the_status() -> None:
    conditions = Conditions([condition()], generation=3, now=LATER)
    conditions.set(FETCHED, YES, Reason.RESOLVED, "for another reason")
    same = conditions.get(FETCHED)
    assert same is not None
    assert (same.reason, same.last_transition_time, same.observed_generation) == (Reason.RESOLVED, T0, 3)
    conditions.set(FETCHED, NO, Reason.RESOLVED)
    changed = conditions.get(FETCHED)
    assert changed is not None
    assert changed.last_transition_time == LATER


def test_an_observation_moves_an_older_transition_to_the_same_status() -> None:
    conditions = Conditions([condition()], generation=1, now=LATER)
    seen = T0 + timedelta(minutes=1)
    conditions.set(FETCHED, YES, Reason.FETCHED, not_before=seen)
    moved = conditions.get(FETCHED)
    assert moved is not None
    assert moved.last_transition_time == seen


def test_a_long_message_is_cut() -> None:
    conditions = Conditions([], generation=1, now=T0)
    conditions.set(FETCHED, YES, Reason.FETCHED, "x" * 5000)
    assert len(conditions.all()[0].message) == MESSAGE_LENGTH
    assert clip("abcdef", 4) == "abc…"


def test_all_are_in_the_order_of_the_vocabulary() -> None:
    conditions = Conditions([condition(FETCHED), condition(SAFE)], generation=1, now=T0)
    conditions.set(RESOLVED, YES, Reason.RESOLVED)
    order = list(ConditionType)
    kinds = [c.type for c in conditions.all()]
    assert kinds == sorted(kinds, key=order.index)
    assert set(kinds) == {FETCHED, SAFE, RESOLVED}


def test_finding_one() -> None:
    found = [condition(FETCHED), condition(SAFE, NO)]
    assert find(found, SAFE) is found[1]
    assert find(found, RESOLVED) is None
    assert (holds(found, FETCHED), holds(found, SAFE), holds(found, RESOLVED)) == (True, False, False)


def test_one_writers_conditions_keep_their_times_and_leave_others_out() -> None:
    values = [ConditionValue(SAFE, NO, Reason.SAFE, "now not"), ConditionValue(FETCHED, YES, Reason.FETCHED)]
    previous = [condition(FETCHED), condition(SAFE), condition(RESOLVED)]
    made = update_conditions(values, previous=previous, generation=2, now=LATER)
    assert [(c.type, c.status, c.last_transition_time) for c in made] == [(SAFE, NO, LATER), (FETCHED, YES, T0)]
    assert {c.observed_generation for c in made} == {2}


def test_conditions_of_a_later_version_are_kept() -> None:
    wire = condition().to_wire()
    later = wire | {"type": "InventedLater", "reason": "NeverHeardOf", "severity": "Info"}
    assert [c.to_wire() for c in parse_conditions([wire, later, {}])] == [wire, later]


def test_a_condition_of_a_later_version_stays_beside_those_that_are_set() -> None:
    later = condition().to_wire() | {"type": "InventedLater"}
    conditions = Conditions(parse_conditions([later]), generation=1, now=T0)
    conditions.set(ConditionType.FETCHED, ConditionStatus.TRUE, Reason.FETCHED)
    assert [str(c.type) for c in conditions.all()] == ["Fetched", "InventedLater"]


def test_a_message_has_no_control_characters() -> None:
    assert clip("a\x1b[2J\u202e", 99) == "a\\x1b[2J\\u202e"
