"""One answer out of the allowed ones."""

from __future__ import annotations

from typing import Any

import pytest

from bitagent_evaluator.scoring.bfcl import first_allowed


@pytest.mark.parametrize(
    ("allowed", "keep", "expected"),
    [
        pytest.param([1, 2], False, 1, id="the first"),
        pytest.param(["", 2], False, "", id="left out first"),
        pytest.param(["", 2], True, 2, id="kept: the first value that is one"),
        pytest.param([""], True, "", id="kept, and there is none"),
        pytest.param([], False, "", id="nothing allowed"),
        pytest.param([{"k": [1, 2], "o": ["", 3], "p": 4}], False, {"k": 1, "p": 4}, id="members of a dict"),
        pytest.param([[{"k": [1]}, 5]], False, [{"k": 1}, 5], id="dicts in a list"),
    ],
)
def test_first_allowed_value(allowed: list[Any], keep: bool, expected: Any) -> None:
    assert first_allowed(allowed, keep=keep) == expected
