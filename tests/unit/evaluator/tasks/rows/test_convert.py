"""From rows to tasks: a reader for every format, skipped rows counted by reason, and data without any task."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from bitagent_crds.task_forms import Expects
from bitagent_crds.task_set import Task
from bitagent_crds.tasks import RowFormat
from bitagent_evaluator.tasks.files import TaskSetError
from bitagent_evaluator.tasks.rows.base import Origin, RowError, RowSkipped, RowSkipReason
from bitagent_evaluator.tasks.rows.convert import ROW_READERS, read_rows


def test_every_format_has_a_row() -> None:
    assert ROW_READERS.keys() == set(RowFormat)


class Reader:
    """Reads a row `{"raise": error}` by raising the error."""

    def read(self, row: dict[str, Any], name: str) -> Task:
        if "raise" in row:
            raise row["raise"]
        return Task(id=name, source="x", category="x", messages=[], functions=[], expects=Expects.NO_CALL)


SKIPPED = {"raise": RowSkipped(RowSkipReason.NO_QUESTION), "text": "x"}


def read(*rows: dict[str, Any], skipped: Counter[str] | None = None) -> list[str]:
    counts = Counter[str]() if skipped is None else skipped
    numbered = ((str(number), row) for number, row in enumerate(rows))
    return [task.id for task in read_rows(numbered, Reader(), what="data", skipped=counts, unit="line")]


def test_skipped_rows_are_counted_and_logged(caplog: pytest.LogCaptureFixture) -> None:
    skipped = Counter[str]()
    with caplog.at_level("INFO"):
        assert read({}, SKIPPED, {}, SKIPPED, {"raise": RowSkipped("other")}, skipped=skipped) == ["0", "2"]
    assert skipped == {RowSkipReason.NO_QUESTION: 2, "other": 1}
    assert "data: 2 tasks; left out: 2 without a question, 1 other" in caplog.text


def test_an_error_in_a_row_names_it() -> None:
    with pytest.raises(TaskSetError, match=r"data, line 1: field id: gone\. Is `rows` the right"):
        read({}, {"raise": RowError("id", "gone")})


def test_data_without_a_task_names_reasons_and_columns() -> None:
    with pytest.raises(TaskSetError, match=r"no row of data is a task: 2 without a question\. .* columns: raise, text"):
        read(SKIPPED, SKIPPED)


ADVICE = {
    "values of another type": (RowSkipReason.WRONG_TYPE, {"query": ""}, "types of the parameters"),
    "a word of Python as a name": (RowSkipReason.INVALID_IDENTIFIER, {"query": ""}, "Rename"),
    "another format": (RowSkipReason.BAD_CALL, {"conversations": [], "tools": ""}, "ShareGPT"),
    "OpenAI's": (RowSkipReason.NO_QUESTION, {"messages": [], "tools": []}, "OpenAI"),
    "an unknown one": (RowSkipReason.NO_QUESTION, {"text": ""}, "right format"),
    "a column in capitals": ("without column 'query'", {"Query ": ""}, "The file calls it 'Query '"),
    "BFCL's own": (RowSkipReason.NO_QUESTION, {"id": "", "question": [], "function": []}, "answers=ground_truth"),
    "a call that cannot be read": (RowSkipReason.BAD_CALL, {"query": ""}, "arguments' names"),
    "functions that cannot be read": (RowSkipReason.BAD_FUNCTIONS, {"query": ""}, "JSON Schema"),
    "another separator": ("without column 'query'", {"query;tools": ""}, "separated by ';'"),
}


@pytest.mark.parametrize(("reason", "row", "advice"), ADVICE.values(), ids=ADVICE)
def test_data_without_a_task_says_what_to_do(reason: str, row: dict[str, Any], advice: str) -> None:
    with pytest.raises(TaskSetError) as caught:
        read(row | {"raise": RowSkipped(reason)})
    assert advice in str(caught.value).partition("columns: ")[2].partition(". ")[2]


QUESTION = {"role": "user", "content": "x"}
WHOLE = {
    "a table by columns": ({"messages": ["[]", "[]"], "tools": ["[]", "[]"]}, "for each row"),
    "rows in a member": ({"version": 1, "data": [{"messages": []}, {"messages": []}]}, "'data'"),
    "several lists of rows": ({"train": [{"messages": []}], "test": [{"messages": []}, {}]}, "'train', 'test'"),
    "rows by name": ({"a": {"messages": [], "tools": []}, "b": {"messages": [], "tools": []}}, "members of one object"),
    "a row with as many messages as tools": ({"messages": [{"role": "x"}], "tools": [{"name": "f"}]}, "right format"),
    "a row with two calls": ({"tools": "[{}]", "answers": [{"name": "f"}, {"name": "f"}]}, "right format"),
    "a row with one call": ({"question": "x", "answers": [{"name": "f"}]}, "right format"),
    "a row with messages alone": ({"messages": [{"role": "x"}], "tools": ""}, "right format"),
    "a row with a chat alone": (
        {"messages": [QUESTION, {"role": "assistant", "content": "f()"}]},
        "into a column (tools)",
    ),
    "a chat by another name": ({"traj": [QUESTION, {"role": "assistant"}], "info": {}}, "seem to be in 'traj'"),
    "a tool without parameters": ({"messages": [QUESTION], "tools": [{"type": "web_search"}]}, "leave them out"),
    "question and answer in columns": ({"prompt": "x", "completion": "f()", "tools": "[]"}, "--columns question="),
    "no answer": ({"messages": [QUESTION], "tools": [{"name": "f"}]}, "An answer is a call"),
}


@pytest.mark.parametrize(("row", "advice"), WHOLE.values(), ids=WHOLE)
def test_one_row_with_all_rows_in_it_is_recognised(row: dict[str, Any], advice: str) -> None:
    reader = ROW_READERS[RowFormat.OPENAI](Origin("x", "x"), None)
    with pytest.raises(TaskSetError) as caught:
        list(read_rows([("1", row)], reader, what="data", skipped=Counter()))
    assert advice in str(caught.value)
    assert "look like OpenAI" not in str(caught.value)


def test_one_row_with_calls_that_cannot_be_read_is_no_table() -> None:
    with pytest.raises(TaskSetError) as caught:
        read({"raise": RowSkipped(RowSkipReason.BAD_CALL, "f('x')"), "tools": [{"a": 1}, {"b": 1}]})
    assert "such as f('x')" in str(caught.value) and "save" not in str(caught.value)


def test_data_without_rows() -> None:
    with pytest.raises(TaskSetError, match="data has no rows"):
        read()
