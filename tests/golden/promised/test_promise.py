"""v1alpha1 keeps what it promised: manifests and stored objects that were good stay good, and mean the same."""

from __future__ import annotations

from typing import Any

import pytest
from tests.golden.promised.promise import Facts, broken, fields, read

Obj = dict[str, Any]


def test_nothing_that_was_promised_is_broken() -> None:
    _, promised = read()
    assert broken(promised, fields()) == [], "see decision 025; else: promise.py REASON, and CHANGELOG.md"


TEXT: Facts = {"type": "string", "maxLength": 9, "minLength": 2, "pattern": "^a", "default": "ab"}
CHOICE: Facts = {"type": "string", "enum": ["A", "B"]}
OBJECT: Facts = {"type": "object", "required": ["name"], "rules": ["self.a"]}
OPEN: Facts = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}


def without(facts: Facts, key: str) -> Facts:
    return {k: v for k, v in facts.items() if k != key}


@pytest.mark.parametrize(
    ("before", "after"),
    [
        pytest.param(TEXT, TEXT | {"maxLength": 8}, id="shorter"),
        pytest.param(TEXT, TEXT | {"minLength": 3}, id="longer"),
        pytest.param(without(TEXT, "maxLength"), TEXT, id="newly bounded"),
        pytest.param(TEXT, TEXT | {"pattern": "^b"}, id="another pattern"),
        pytest.param(without(TEXT, "pattern"), TEXT, id="a pattern where none was"),
        pytest.param(TEXT, TEXT | {"default": "ac"}, id="another default"),
        pytest.param(TEXT, without(TEXT, "default"), id="no default any longer"),
        pytest.param(without(TEXT, "default"), TEXT, id="a default where none was"),
        pytest.param(TEXT, {"type": "integer"} | without(TEXT, "type"), id="another type"),
        pytest.param(CHOICE, CHOICE | {"enum": ["A"]}, id="a choice less"),
        pytest.param(without(CHOICE, "enum"), CHOICE, id="choices where any text was good"),
        pytest.param(OBJECT, OBJECT | {"required": ["name", "key"]}, id="newly required"),
        pytest.param(OBJECT, OBJECT | {"rules": ["self.a", "self.b"]}, id="a new rule"),
        pytest.param(OPEN, without(OPEN, "x-kubernetes-preserve-unknown-fields"), id="closed"),
        pytest.param({"type": "array"}, {"type": "array", "x-kubernetes-list-type": "set"}, id="a set"),
    ],
)
def test_what_breaks_the_promise(before: Facts, after: Facts) -> None:
    assert broken({"K.spec.x": before}, {"K.spec.x": after})


@pytest.mark.parametrize(
    ("before", "after"),
    [
        pytest.param(TEXT, TEXT | {"maxLength": 10, "minLength": 1}, id="wider"),
        pytest.param(TEXT, without(without(TEXT, "pattern"), "maxLength"), id="no pattern and no bound"),
        pytest.param(CHOICE, CHOICE | {"enum": ["A", "B", "C"]}, id="one more choice"),
        pytest.param(CHOICE, without(CHOICE, "enum"), id="any text"),
        pytest.param(OBJECT, OBJECT | {"required": [], "rules": []}, id="nothing required"),
        pytest.param(without(OPEN, "x-kubernetes-preserve-unknown-fields"), OPEN, id="opened"),
    ],
)
def test_what_does_not_break_it(before: Facts, after: Facts) -> None:
    assert broken({"K.spec.x": before}, {"K.spec.x": after, "K.spec.added": TEXT}) == []


def test_a_field_that_goes_is_named_once_with_all_that_is_in_it() -> None:
    promised = {"K.spec": OBJECT, "K.spec.a": OBJECT, "K.spec.a.b": TEXT}
    assert broken(promised, {"K.spec": OBJECT}) == ["K.spec.a: removed"]


@pytest.mark.parametrize(
    ("rule", "good"),
    [
        pytest.param("!has(self.added) || self.added > self.a", True, id="of a new member"),
        pytest.param("!has(self.a) || self.a > 1", False, id="of a member that was promised"),
        pytest.param("self.a > 1 || !has(self.added)", False, id="not only of it"),
    ],
)
def test_a_rule_about_a_new_member_alone_does_not_break_it(rule: str, good: bool) -> None:
    promised = {"K.spec": OBJECT, "K.spec.a": TEXT}
    now = {**promised, "K.spec": OBJECT | {"rules": ["self.a", rule]}, "K.spec.added": TEXT}
    assert (broken(promised, now) == []) is good
