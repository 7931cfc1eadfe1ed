"""What follows a name: schemas, descriptions, ground truth and messages. Copies, never changes in place."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator, Mapping
from itertools import pairwise
from typing import Any

from bitagent_crds.results import Task

_CHAT_ROLES = frozenset({"system", "user", "assistant"})
_TOKEN = re.compile(r"[\w.]+")
_NOT_SCHEMAS = frozenset({"default", "enum", "example", "examples", "const"})


def has_duplicates(task: Task) -> bool:
    """Whether two functions share a name."""
    return len({function["name"] for function in task.functions}) < len(task.functions)


def is_plain_chat(task: Task) -> bool:
    """Whether all messages are text of people, system or model, without calls or their results."""
    return all(
        set(message) <= {"role", "content"}
        and message.get("role") in _CHAT_ROLES
        and isinstance(message.get("content"), str)
        for message in task.messages
    )


def texts(value: Any, *, keys: bool) -> Iterator[str]:
    """All strings in a JSON value, with or without keys."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        if keys:
            yield from map(str, value)
        for entry in value.values():
            yield from texts(entry, keys=keys)
    elif isinstance(value, list):
        for entry in value:
            yield from texts(entry, keys=keys)


def words_in_use(task: Task) -> set[str]:
    """Every word of the task in lower case: what a new name must not be."""
    everything = [task.functions, task.ground_truth, task.messages]
    return {word.lower() for text in texts(everything, keys=True) for word in _TOKEN.findall(text)}


def value_words(task: Task) -> set[str]:
    """Words that occur in values (allowed, default or enumerated): a mention of one may mean the value instead of a name."""
    values: list[Any] = [
        allowed for call in task.ground_truth or [] for arguments in call.values() for allowed in arguments.values()
    ]
    for function in task.functions:
        values += [node[key] for node in schemas(function) for key in _NOT_SCHEMAS & node.keys()]
    return {word for value in values for text in texts(value, keys=False) for word in _TOKEN.findall(text)}


def schemas(node: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """A description of a function or parameter and all within it."""
    yield node
    for key, value in node.items():
        if not isinstance(value, Mapping) or key in _NOT_SCHEMAS:
            continue
        for child in value.values() if key == "properties" else (value,):
            if isinstance(child, Mapping):
                yield from schemas(child)


def with_descriptions(node: Any, change: Callable[[str], str]) -> Any:
    """A copy of a function whose descriptions, nested ones included, went through `change`."""
    if not isinstance(node, dict):
        return node
    copy: dict[str, Any] = {}
    for key, value in node.items():
        if key == "description" and isinstance(value, str):
            copy[key] = change(value)
        elif key == "properties" and isinstance(value, dict):
            copy[key] = {name: with_descriptions(child, change) for name, child in value.items()}
        else:
            copy[key] = value if key in _NOT_SCHEMAS else with_descriptions(value, change)
    return copy


class Mentions:
    """Replaces names in prose where the prose means the name.

    A name that no prose would hold by chance (`user_id`, `getUser`, `math.add`) is replaced wherever it stands alone; a plain word
    (`location`) only between quotes or backticks, and never in what people wrote. Names that also occur as values stay.
    """

    def __init__(self, renamed: Mapping[str, str], *, values: Collection[str]) -> None:
        self._renamed = {old: new for old, new in renamed.items() if old not in values}
        telling = [old for old in self._renamed if is_telling(old)]
        plain = [old for old in self._renamed if not is_telling(old)]
        self._telling = _alternatives(r"(?<![\w.])(?:{})(?!\w|\.\w)", telling)
        self._plain = _alternatives(r"(?<=['\"`])(?:{})(?=['\"`])", plain)

    def in_description(self, text: str) -> str:
        """The text of a function's or parameter's description."""
        return self._replace(self._plain, self._replace(self._telling, text))

    def in_messages(self, messages: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """Chat messages."""
        return [{**message, "content": self._replace(self._telling, message["content"])} for message in messages]

    def _replace(self, pattern: re.Pattern[str] | None, text: str) -> str:
        return pattern.sub(lambda match: self._renamed[match[0]], text) if pattern else text


def is_telling(name: str) -> bool:
    """Whether a name cannot be a word of prose."""
    return "_" in name or any(
        (left.islower() and right.isupper()) or (left.isalnum() and right == ".") for left, right in pairwise(name)
    )


def _alternatives(form: str, names: list[str]) -> re.Pattern[str] | None:
    longest_first = sorted(names, key=lambda name: (-len(name), name))
    return re.compile(form.format("|".join(map(re.escape, longest_first)))) if names else None
