"""Descriptions of functions and parameters that are reworded: which there are, what they keep, how they are replaced.

A rewording keeps the names of functions and parameters that the description mentions, its quoted texts, words in
capitals, constants (`True`, `null`) and numbers, and the enumerated, default and expected values that it contains.
Equal descriptions of one task get one rewording.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from bitagent_crds.task_set import Task
from bitagent_evaluator.alterations.renaming import iter_schemas, map_descriptions
from bitagent_evaluator.alterations.rewrite.acceptance import Accepted, OriginalText, mentioned_names
from bitagent_evaluator.alterations.rewrite.passages import DESCRIPTION, Passage
from bitagent_evaluator.alterations.rewrite.values import Scalar, ground_truth_values, scalars
from bitagent_evaluator.support.embedding import Embedding

_QUOTED = re.compile(r"'([^'\n]{1,80})'(?!\w)|\"([^\"\n]{1,80})\"|`([^`\n]{1,80})`")
_LITERAL_WORD = re.compile(r"\b(?:[A-Z][A-Z0-9]+(?:[-_/:][A-Z0-9]+)*|True|False|None|true|false|null)\b")


def descriptions_of(task: Task, functions: Iterable[str], embedding: Embedding) -> list[Passage]:
    """Return the descriptions to reword, each once. `functions` are names that no rewording may introduce."""
    texts = _texts(task)
    if not texts:
        return []
    names = set(functions) | _parameter_names(task)
    values = ground_truth_values(task.ground_truth) + _schema_values(task)
    return [
        Passage(kind=DESCRIPTION, original=OriginalText(text, values + kept_texts(text, names), functions, embedding))
        for text in texts
    ]


def has_descriptions(task: Task) -> bool:
    """Return whether a function or parameter of the task is described."""
    return bool(_texts(task))


def kept_texts(text: str, names: Iterable[str]) -> list[Scalar]:
    """Return the parts of a description that a rewording must keep as they are."""
    quoted = [next(filter(None, found)) for found in _QUOTED.findall(text)]
    return [*sorted(mentioned_names(names, text)), *quoted, *_LITERAL_WORD.findall(text)]


def replace_descriptions(functions: Sequence[dict[str, Any]], passages: Iterable[Passage]) -> list[dict[str, Any]]:
    """Return copies of functions with the accepted rewordings."""
    reworded: Mapping[str, str] = {
        passage.original.text: passage.result.text for passage in passages if isinstance(passage.result, Accepted)
    }
    return [map_descriptions(function, lambda text: reworded.get(text, text)) for function in functions]


def _texts(task: Task) -> list[str]:
    """Return the distinct descriptions that have text, in order."""
    found: dict[str, None] = {}

    def note(text: str) -> str:
        if text.strip():
            found[text] = None
        return text

    for function in task.functions:
        map_descriptions(function, note)
    return list(found)


def _parameter_names(task: Task) -> set[str]:
    return {
        name
        for function in task.functions
        for node in iter_schemas(function)
        if isinstance(properties := node.get("properties"), Mapping)
        for name in properties
    }


def _schema_values(task: Task) -> list[Scalar]:
    """Return enumerated and default values."""
    return [
        value
        for function in task.functions
        for node in iter_schemas(function)
        for key in ("enum", "default", "const")
        for value in scalars(node.get(key))
    ]
