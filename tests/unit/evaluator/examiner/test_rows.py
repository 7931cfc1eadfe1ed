"""Tasks of one row are recognised, whatever was done to them."""

from __future__ import annotations

import json
from typing import Any

import pytest

from bitagent_crds.alterations import Alteration
from bitagent_crds.task_set import Task
from bitagent_evaluator.alterations.pipeline import ALTERATIONS, alter_tasks
from bitagent_evaluator.examiner import rows
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


def row(id_: str, says: str, *, source: str = "bfcl", name: str = "") -> Task:
    parameters = {"type": "dict", "properties": {"x_y": {"type": "string"}}, "required": ["x_y"]}
    function = {"name": name or f"do_{id_}", "description": "", "parameters": parameters}
    truth = [{function["name"]: {"x_y": ["v"]}}]
    members = {"id": id_, "source": source, "category": "mine", "messages": [{"role": "user", "content": says}]}
    return Task.model_validate({**members, "functions": [function], "ground_truth": truth})


def as_line(task: Task) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(task.model_dump_json())
    return found


HYMN = "Use sing_hymn with x_y v.\n\nSoftly."


@pytest.mark.parametrize(
    "alterations",
    [
        pytest.param([{"merge": {"percent": 100}}], id="as it was"),
        pytest.param(
            [{"merge": {"percent": 100}}, {"functionMask": {}}, {"parameterMask": {}}, {"toolShuffle": {}}],
            id="masked afterwards",
        ),
        pytest.param([{"functionMask": {}}, {"merge": {"percent": 100}}], id="masked before"),
    ],
)
def test_the_question_of_a_partner_is_recognised_under_another_id(alterations: list[dict[str, Any]]) -> None:
    """Two sources have one row; the task of one of them was merged with it, the other one's is in a running round."""
    partner, other = row("b", HYMN, name="sing_hymn"), row("line-7", HYMN, source="jsonl", name="other_name")
    specs = [Alteration.model_validate(each) for each in alterations]
    (merged,), _ = alter_tasks([row("a", "Bake.\n\nToday.")], specs, seed="s", available=[partner])
    assert "partner" in str(merged.alterations)
    assert marks(as_line(merged)) & marks(as_line(other))
    assert not marks(as_line(merged)) & marks(as_line(row("c", "Softly?", source="jsonl")))


def test_the_question_of_a_partner_is_recognised_when_it_was_reworded() -> None:
    turns = [{"message": 0, "from": f"Bake.\n\n{HYMN}", "to": "Please bake, and sing."}]
    records = [
        {"name": "Merge", "parameters": {"partner": "b"}},
        {"name": "Rewrite", "parameters": {"turns": turns}},
    ]
    reworded = changed(
        id="a", messages=[{"role": "user", "content": "Please bake, and sing."}], parent=PLAIN, alterations=records
    )
    assert marks(reworded) & marks(as_line(row("line-7", HYMN, source="jsonl")))


def test_each_of_several_partners_is_recognised() -> None:
    records = [{"name": "Merge", "parameters": {"partner": id_}} for id_ in "bc"]
    twice = changed(
        id="a", messages=[{"role": "user", "content": f"Bake.\n\n{HYMN}\n\nPaint."}], parent=PLAIN, alterations=records
    )
    for says in (HYMN, "Paint."):
        assert marks(twice) & marks(as_line(row("line-7", says, source="jsonl")))


def test_a_question_of_very_many_parts_costs_no_more_marks_than_allowed() -> None:
    records = [{"name": "Merge", "parameters": {"partner": id_}} for id_ in "bc"]
    text = "\n\n".join(f"Part {number}." for number in range(5000))
    twice = changed(id="a", messages=[{"role": "user", "content": text}], parent=PLAIN, alterations=records)
    found = marks(twice)
    assert len(found) <= rows.PARTS_MAX**2
    tail = text.split("\n\n", 1)[1]
    assert found & marks(as_line(row("line-7", tail, source="jsonl")))


def test_alterations_have_the_names_that_are_looked_for() -> None:
    assert {rows.MERGE, rows.REWRITE, *rows.MASKS} <= {each.__name__ for each in ALTERATIONS}
