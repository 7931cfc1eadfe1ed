"""Which rows of the sources a task set has: a pool's task must not be one of a round that runs. Pure.

Pool and round are drawn apart, by seeds of their own, from the same sources, and altered apart. A task is recognised by
its source and id, which alterations keep, and by what it asked before all alterations: a row that a second source has
under another id is the same question.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from typing import Any

Marks = frozenset[bytes]
"""What a task is recognised by."""


def marks(task: Mapping[str, Any]) -> Marks:
    """Return the marks of a task, a line of tasks.jsonl; two tasks that have a row in common share one at least.

    Raises LookupError, TypeError or AttributeError for anything else.
    """
    asked = (task.get("parent") or task)["messages"]
    # Alteration Merge asks the question of another row of the same source as well.
    partners = [record["parameters"].get("partner") for record in task.get("alterations") or ()]
    ids = [task["id"], *(each for each in partners if each is not None)]
    return frozenset({_digest("question", asked), *(_digest("row", task["source"], each) for each in ids)})


def marks_of(lines: Iterable[bytes]) -> Marks:
    """Return the marks of all tasks of a tasks.jsonl. Raises ValueError, or as `marks`, if it is none."""
    return frozenset(mark for line in lines if line.strip() for mark in marks(json.loads(line)))


def _digest(*parts: object) -> bytes:
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).digest()[:16]
