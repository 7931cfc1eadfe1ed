"""Tasks of one row are recognised, whatever was done to them."""

from __future__ import annotations

import json
from typing import Any

import pytest

from bitagent_evaluator.examiner.rows import marks, marks_of

PLAIN: dict[str, Any] = {
    "id": "weather_7",
    "source": "bfcl",
    "messages": [{"role": "user", "content": "weather in Łódź?"}],
    "functions": [],
}
MERGE = {"name": "Merge", "parameters": {"partner": "weather_7"}}


def changed(**members: Any) -> dict[str, Any]:
    return PLAIN | members


@pytest.mark.parametrize(
    ("other", "same"),
    [
        pytest.param(PLAIN, True, id="itself"),
        pytest.param(
            changed(messages=[{"role": "user", "content": "Łódź: what weather?"}], parent=PLAIN), True, id="reworded"
        ),
        pytest.param(changed(functions=[{"name": "f"}], parent=PLAIN, alterations=[]), True, id="other tools"),
        pytest.param(changed(id="question-3", source="jsonl"), True, id="the row of another source"),
        pytest.param(
            changed(id="x", messages=[{"content": "both?"}], parent=changed(id="x", messages=[]), alterations=[MERGE]),
            True,
            id="merged with it",
        ),
        pytest.param(changed(messages=[], source="jsonl"), False, id="the id in another source"),
        pytest.param(changed(id="weather_8", messages=[{"role": "user", "content": "?"}]), False, id="another row"),
    ],
)
def test_which_tasks_have_a_row_in_common(other: dict[str, Any], same: bool) -> None:
    assert bool(marks(PLAIN) & marks(other)) is same
    assert bool(marks_of([b"\n", json.dumps(PLAIN).encode()]) & marks(other)) is same


def test_a_file_that_has_no_tasks_is_an_error() -> None:
    for content in (b"{}\n", b"[1]\n", b"{\n"):
        with pytest.raises((LookupError, TypeError, AttributeError, ValueError)):
            marks_of([content])
