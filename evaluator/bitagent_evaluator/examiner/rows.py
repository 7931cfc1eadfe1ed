"""Which rows of the sources a task set has: a pool's task must not be one of a round that runs. Pure.

Pool and round are drawn apart, by seeds of their own, from the same sources, and altered apart. A task is recognised by
its source and id, which alterations keep, and by what it asked before all alterations: a row that a second source has
under another id is the same question. The same holds for the question that alteration Merge has added.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

Marks = frozenset[bytes]
"""What a task is recognised by."""
MERGE, REWRITE, MASKS = "Merge", "Rewrite", ("FunctionMask", "ParameterMask")
"""The alterations that change what a message says, by their names in records."""
EMPTY_LINE = "\n\n"
PARTS_MAX = 32
"""Most parts of a message after which a partner's question is looked for, and most after which it may end."""


def marks(task: Mapping[str, Any]) -> Marks:
    """Return the marks of a task, a line of tasks.jsonl; two tasks that have a row in common share one at least.

    Raises LookupError, TypeError or AttributeError for anything else.
    """
    asked = (task.get("parent") or task)["messages"]
    # Alteration Merge asks the question of another row of the same source as well.
    partners = [record["parameters"].get("partner") for record in task.get("alterations") or ()]
    ids = [task["id"], *(each for each in partners if each is not None)]
    added = [_digest("question", [{"role": "user", "content": text}]) for text in _added_questions(task)]
    return frozenset({_digest("question", asked), *added, *(_digest("row", task["source"], each) for each in ids)})


def _added_questions(task: Mapping[str, Any]) -> Iterator[str]:
    """Yield what a task may ask beside its own question, as its partners asked it.

    Merge adds a question after an empty line. What was changed in the words afterwards is undone by its record. A
    question may have empty lines itself, so that it can begin after any of them.
    """
    records = task.get("alterations") or ()
    merges = [place for place, record in enumerate(records) if record["name"] == MERGE]
    if not merges:
        return
    place = len(task["messages"]) - 1
    text = str(task["messages"][place]["content"])
    for record in reversed(records[merges[-1] + 1 :]):
        parameters = record["parameters"]
        if record["name"] == REWRITE:
            text = next((turn["from"] for turn in parameters["turns"] if turn["message"] == place), text)
        elif record["name"] in MASKS:
            for name, mask in parameters.items():
                text = text.replace(mask, name)
    parts = text.split(EMPTY_LINE)
    for first in range(1, min(len(parts), PARTS_MAX)):
        # With several partners, another question may follow.
        ends = range(first + 1, min(len(parts), PARTS_MAX)) if len(merges) > 1 else ()
        for end in (*ends, len(parts)):
            yield EMPTY_LINE.join(parts[first:end])


def marks_of(lines: Iterable[bytes]) -> Marks:
    """Return the marks of all tasks of a tasks.jsonl. Raises ValueError, or as `marks`, if it is none."""
    return frozenset(mark for line in lines if line.strip() for mark in marks(json.loads(line)))


def _digest(*parts: object) -> bytes:
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).digest()[:16]
