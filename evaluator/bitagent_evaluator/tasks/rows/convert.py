"""Convert rows to tasks; count skipped rows by reason."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from types import MappingProxyType
from typing import Any

from bitagent_crds.task_set import Task
from bitagent_crds.tasks import Columns, RowFormat
from bitagent_evaluator.support.text import shorten
from bitagent_evaluator.tasks.files import TaskSetError
from bitagent_evaluator.tasks.rows.base import Origin, Row, RowError, RowReader, RowSkipped, RowSkipReason
from bitagent_evaluator.tasks.rows.bitagent import BitAgentRows
from bitagent_evaluator.tasks.rows.checks import MAX_CALLS
from bitagent_evaluator.tasks.rows.columns import ColumnRows
from bitagent_evaluator.tasks.rows.glaive import GlaiveRows
from bitagent_evaluator.tasks.rows.openai import OpenAIRows
from bitagent_evaluator.tasks.rows.sharegpt import ShareGPTRows
from bitagent_evaluator.tasks.rows.task import TaskRows

_log = logging.getLogger(__name__)

ROW_READERS: Mapping[RowFormat, Callable[[Origin, Columns | None], RowReader]] = MappingProxyType(
    {
        RowFormat.TASK: TaskRows,
        RowFormat.GLAIVE: GlaiveRows,
        RowFormat.BITAGENT: BitAgentRows,
        RowFormat.OPENAI: OpenAIRows,
        RowFormat.SHARE_GPT: ShareGPTRows,
        RowFormat.COLUMNS: ColumnRows,
    }
)
"""The reader of each row format."""

_SHOWN_COLUMNS = 20
_SHOWN_EXAMPLE = 120
_SEPARATORS = frozenset(",;|\t")
_USUAL: Mapping[RowFormat, frozenset[str]] = MappingProxyType(
    {
        RowFormat.GLAIVE: frozenset({"system", "chat"}),
        RowFormat.BITAGENT: frozenset({"conversation", "tools"}),
        RowFormat.OPENAI: frozenset({"messages", "tools"}),
        RowFormat.SHARE_GPT: frozenset({"conversations"}),
    }
)
"""The columns by which formats of common datasets are recognised."""
_WITHOUT_MESSAGES = "without column 'messages'"
_OF_COLUMNS = "Question, functions and answer in columns of their own: --columns question=...,functions=...,answers=..."
_OF_BFCL = frozenset({"question", "function"})
"""Columns of the files of BFCL's package; the answers are in files of their own."""
_OF_CONTENT: Mapping[str, str] = MappingProxyType(
    {
        RowSkipReason.WRONG_TYPE: 'Correct the values (5, not "5") or the types of the parameters.',
        RowSkipReason.TOO_MANY_REFERENCES: "Describe in place what is used, and leave the rest of the definitions out.",
        RowSkipReason.INVALID_IDENTIFIER: "Rename what is called like a word of Python, or is not an identifier.",
        RowSkipReason.UNKNOWN_FUNCTION: "Describe the functions that are called, by the same names.",
        RowSkipReason.UNKNOWN_ARGUMENT: "Describe the parameters that are given, by the same names.",
        RowSkipReason.BAD_CALL: (
            "A call is an object with name and arguments, an object of arguments by the function's name, or Python "
            "with the arguments' names, f(a=1). Is `rows` the right format?"
        ),
        RowSkipReason.BAD_FUNCTIONS: (
            "A function is an object with name, description and parameters (a JSON Schema), or a list or JSON text of "
            "these; tools that a server runs itself (web_search) have none: leave them out. Is `rows` "
            "the right format?"
        ),
        RowSkipReason.NO_FUNCTIONS: (
            "The functions that are offered belong into a column (tools), or into the system text. Is `rows` the right "
            "format?"
        ),
        RowSkipReason.NO_ANSWER: (
            "An answer is a call, or prose where none is right; a blank, a thought or a refusal is none. Is `rows` the "
            "right format?"
        ),
        RowSkipReason.NOT_TEXT: "Only text is read: leave out what has images, sound or files.",
        RowSkipReason.UNKNOWN_ROLE: "Name the roles system, user, assistant and tool.",
        RowSkipReason.TOO_MANY_CALLS: f"Leave out what has more than {MAX_CALLS} calls at once.",
        RowSkipReason.NO_ARGUMENT: "Give the arguments that are `required`, or take them from that list.",
    }
)
"""What to do about rows that were read in the right format, by the reason for skipping them."""
_OF_FORM = frozenset(
    {RowSkipReason.BAD_CALL, RowSkipReason.BAD_FUNCTIONS, RowSkipReason.NO_FUNCTIONS, RowSkipReason.NO_ANSWER}
)
"""Reasons that rows of another format have, too."""


def read_rows(
    rows: Iterable[Row], reader: RowReader, *, what: str, skipped: Counter[str], unit: str = "row"
) -> Iterator[Task]:
    """Yield the tasks of rows; count skipped rows in `skipped` by reason, and log the counts at the end.

    `what` is the name of the data in messages, `unit` that of one row. Raises TaskSetError at a row that must be a
    task and has an error, and at the end if no row was a task.
    """
    tasks = 0
    examples: dict[str, str] = {}
    row: dict[str, Any] = {}
    for name, row in rows:
        try:
            task = reader.read(row, name)
        except RowSkipped as error:
            skipped[error.reason] += 1
            if error.example:
                examples.setdefault(error.reason, f" (such as {shorten(error.example, _SHOWN_EXAMPLE)})")
            continue
        except RowError as error:
            raise TaskSetError(f"{what}, {unit} {name}: {error}. Is `rows` the right format?") from error
        tasks += 1
        yield task
    counts = ", ".join(f"{count} {reason}{examples.get(reason, '')}" for reason, count in skipped.most_common())
    if not tasks:
        if not skipped:
            raise TaskSetError(f"{what} has no rows")
        columns = ", ".join(list(row)[:_SHOWN_COLUMNS])
        raise TaskSetError(
            f"no row of {what} is a task: {counts}. A row has the columns: {columns}. "
            f"{_advice(skipped, row, _format_of(reader))}"
        )
    if skipped:
        _log.info("%s: %d tasks; left out: %s", what, tasks, counts)


def _format_of(reader: RowReader) -> RowFormat | None:
    return next((rows for rows, kind in ROW_READERS.items() if kind is type(reader)), None)


def _advice(skipped: Counter[str], row: Mapping[str, Any], chosen: RowFormat | None) -> str:
    """Return what to do about data without any task; `row` is one of its rows, `chosen` how they were read."""
    ((reason, _),) = skipped.most_common(1)
    if skipped.total() == 1 and reason != RowSkipReason.BAD_CALL and (whole := _whole_table(row)):
        return whole
    likely = likely_format(row, chosen)
    if reason in _OF_CONTENT and not (reason in _OF_FORM and likely):
        return _OF_CONTENT[reason]
    if reason == _WITHOUT_MESSAGES and (of_chats := [name for name, value in row.items() if _is_chat(value)]):
        return f"The messages seem to be in {of_chats[0]!r}: name the column messages."
    if reason == _WITHOUT_MESSAGES and len(row) > 1 and not likely:
        likely = f" {_OF_COLUMNS}"
    for column in row:
        if reason == f"without column {column.strip().lower()!r}":
            return f"The file calls it {column!r}: name it so."
    if next(iter(row), "").startswith(("{", "[")):
        return "The first line is JSON, not the names of columns: let the file's name end in .jsonl or .json."
    if separators := _SEPARATORS & set(next(iter(row), "")):
        return f"Are the columns separated by {' or '.join(sorted(separators))!r}?"
    return "Is `rows` the right format?" + likely


def _is_chat(value: Any) -> bool:
    """Whether a value is a list of messages."""
    items = value if isinstance(value, list) else []
    return any(isinstance(item, Mapping) and ("role" in item or "from" in item) for item in items)


def _whole_table(row: Mapping[str, Any]) -> str:
    """Return what to do if the only row has all rows in it; empty if it does not look so."""
    lists = {name: value for name, value in row.items() if isinstance(value, list)}
    if any(map(_is_chat, lists.values())):
        return ""
    is_table = len(lists) == len(row) > 1 and len({len(value) for value in lists.values()}) == 1
    if is_table and not any(map(_are_objects, lists.values())):
        return "Each column is one list: save an object for each row (pandas: to_json(orient='records', lines=True))."
    has_more = any(isinstance(value, str) and value.lstrip()[:1] in ("[", "{") for value in row.values())
    tables = [name for name, value in lists.items() if value and _are_objects(value)]
    if len(tables) == len(row) > 1 and not any(columns <= row.keys() for columns in _USUAL.values()):
        return (
            f"There are rows in each of {', '.join(map(repr, tables[:_SHOWN_COLUMNS]))}: save one of the lists alone."
        )
    first = next(iter(row.values()), None)
    if (
        len(row) > 1
        and isinstance(first, Mapping)
        and all(isinstance(value, Mapping) and value.keys() == first.keys() for value in row.values())
    ):
        return "The rows seem to be members of one object, by name: save a list of them."
    if len(lists) != 1 or has_more or any(columns <= row.keys() for columns in _USUAL.values()):
        return ""
    ((name, value),) = lists.items()
    is_rows = len(value) > 1 and _are_objects(value)
    return f"The rows seem to be in {name!r}: save that list alone." if is_rows else ""


def _are_objects(items: list[Any]) -> bool:
    return all(isinstance(item, Mapping) for item in items)


def likely_format(row: Mapping[str, Any], chosen: RowFormat | None = None) -> str:
    """Return a sentence that names the formats of common datasets with these columns; empty if there is none.

    The one that was chosen already is not named.
    """
    if row.keys() >= _OF_BFCL:
        columns = "messages=question,functions=function,answers=ground_truth"
        return f" These columns look like BFCL's own: --columns {columns}, with the possible answers in each row."
    usual = [str(rows) for rows, columns in _USUAL.items() if columns <= row.keys() and rows != chosen]
    return f" These columns look like {' or '.join(usual)}." if usual else ""
