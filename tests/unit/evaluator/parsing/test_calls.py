"""The form of calls."""

from __future__ import annotations

import pytest

from bitagent_evaluator.parsing.calls import is_call_list


@pytest.mark.parametrize(
    ("decoded", "is_list"),
    [([], True), ([{"f": {}}], True), ({}, False), (None, False), ([{"f": 1}], False), ([{"f": {}, "g": {}}], False)],
    ids=["empty", "call", "dict", "none", "no arguments", "two names"],
)
def test_form_of_calls(decoded: object, is_list: bool) -> None:
    assert is_call_list(decoded) is is_list
