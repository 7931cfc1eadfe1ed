"""Apply a rename consistently to schemas, descriptions, ground truth and messages.

Everything here is pure: functions return changed copies.
"""

from __future__ import annotations

import marshal
import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from functools import cached_property
from itertools import pairwise
from typing import Any

from bitagent_crds.task_set import Task

_CHAT_ROLES = frozenset({"system", "user", "assistant"})
_TOKEN = re.compile(r"[\w.]+")
_KELVIN = "\N{KELVIN SIGN}".encode()
"""The one other character that is an ASCII letter in lower case."""
_QUOTED = re.compile(r"(?<=['\"`])[^'\"`]+(?=['\"`])")
_NOT_SCHEMAS = frozenset({"default", "enum", "example", "examples", "const"})


def has_duplicates(task: Task) -> bool:
    """Return whether two functions of the task share a name."""
    return len({function["name"] for function in task.functions}) < len(task.functions)


def is_plain_chat(task: Task) -> bool:
    """Return whether all messages are plain text of system, user or assistant, without calls or their results."""
    return all(
        set(message) <= {"role", "content"}
        and message.get("role") in _CHAT_ROLES
        and isinstance(message.get("content"), str)
        for message in task.messages
    )


def strings_in(value: Any, *, keys: bool) -> list[str]:
    """Return all strings in a JSON value, in order; with `keys`, the keys of objects before their values."""
    found: list[str] = []

    def collect(value: Any) -> None:
        if isinstance(value, str):
            found.append(value)
        elif isinstance(value, dict):
            if keys:
                found.extend(map(str, value))
            for entry in value.values():
                collect(entry)
        elif isinstance(value, list):
            for entry in value:
                collect(entry)

    collect(value)
    return found


def _words(strings: Iterable[str]) -> list[str]:
    return _TOKEN.findall("\n".join(strings))


class WordsInUse:
    """Every word of a task in lower case, and those that were added: a new name must be none of them.

    Few names are anywhere in a task's bytes, and to look for one there is much cheaper than to find all words.
    """

    def __init__(self, task: Task) -> None:
        self._everything = [task.functions, task.ground_truth, task.messages]
        self._bytes = marshal.dumps(self._everything).lower()
        self._added: set[str] = set()

    def add(self, word: str) -> None:
        """Add a word."""
        self._added.add(word)

    def __contains__(self, word: object) -> bool:
        """Return whether a word of ASCII letters and digits is in use."""
        if not isinstance(word, str) or word in self._added:
            return word in self._added
        possible = word.encode() in self._bytes or ("k" in word and _KELVIN in self._bytes)
        return possible and word in self._words

    @cached_property
    def _words(self) -> set[str]:
        return {word.lower() for word in _words(strings_in(self._everything, keys=True))}


def value_words(task: Task) -> set[str]:
    """Return the words of allowed, default and enumerated values: a mention of one may mean the value, not a name."""
    values: list[Any] = [
        allowed for call in task.ground_truth or [] for arguments in call.values() for allowed in arguments.values()
    ]
    for function in task.functions:
        values += [value for node in iter_schemas(function) for key, value in node.items() if key in _NOT_SCHEMAS]
    return set(_words(strings_in(values, keys=False)))


def iter_schemas(node: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield the schema of a function or parameter and all schemas inside it."""
    yield node
    for key, value in node.items():
        if not isinstance(value, dict) or key in _NOT_SCHEMAS:
            continue
        for child in value.values() if key == "properties" else (value,):
            if isinstance(child, dict):
                yield from iter_schemas(child)


def map_descriptions(node: Any, change: Callable[[str], str]) -> Any:
    """Return a copy of a function in which `change` was applied to all descriptions, nested ones included."""
    if not isinstance(node, dict):
        return node
    copy: dict[str, Any] = {}
    for key, value in node.items():
        if key == "description" and isinstance(value, str):
            copy[key] = change(value)
        elif key == "properties" and isinstance(value, dict):
            copy[key] = {name: map_descriptions(child, change) for name, child in value.items()}
        else:
            nested = isinstance(value, dict) and key not in _NOT_SCHEMAS
            copy[key] = map_descriptions(value, change) if nested else value
    return copy


class MentionReplacer:
    """Replace names in prose where the prose means the name.

    A code-like name (`user_id`, `getUser`, `math.add`) is replaced wherever it is a word of its own. An ordinary word
    (`location`) is replaced only between quotes or backticks, and never in messages. `values` are the words that also
    occur as values: they are not replaced.
    """

    def __init__(self, renamed: Mapping[str, str], *, values: Collection[str]) -> None:
        renamed = {old: new for old, new in renamed.items() if old not in values}
        code_like = {old: new for old, new in renamed.items() if is_code_like(old)}
        self._anywhere = _replacement_of_words(code_like)
        self._quoted = _replacement_between_quotes({old: renamed[old] for old in renamed.keys() - code_like.keys()})

    def in_description(self, text: str) -> str:
        """Return the description of a function or parameter with new names."""
        return self._quoted(self._anywhere(text))

    def in_messages(self, messages: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """Return chat messages with new names."""
        return [{**message, "content": self._anywhere(message["content"])} for message in messages]


def is_code_like(name: str) -> bool:
    """Return whether a name cannot be an ordinary word: it has an underscore, an inner capital or an inner dot."""
    return "_" in name or any(
        (left.islower() and right.isupper()) or (left.isalnum() and right == ".") for left, right in pairwise(name)
    )


def _replacement_of_words(renamed: Mapping[str, str]) -> Callable[[str], str]:
    """Return the function that replaces each of these names where it is a word of its own.

    Words are dotted; one at the end of a sentence has the full stop after it. Looking words up takes a fraction of the
    time of a pattern for each task's names, which only names of other characters need.
    """
    if not all(map(_TOKEN.fullmatch, renamed)):
        return _replacement_by_pattern(r"(?<![\w.])(?:{})(?!\w|\.\w)", renamed)

    def in_word(match: re.Match[str]) -> str:
        word = match[0]
        if word in renamed:
            return renamed[word]
        if "." in word:
            for end in range(len(word) - 1, 0, -1):
                if word[end] == "." and word[end + 1 : end + 2] in ("", ".") and word[:end] in renamed:
                    return renamed[word[:end]] + word[end:]
        return word

    has_underscores = any("_" in name for name in renamed)
    others = [name for name in renamed if "_" not in name]

    def replace(text: str) -> str:
        mentions = (has_underscores and "_" in text) or any(name in text for name in others)
        return _TOKEN.sub(in_word, text) if mentions else text

    return replace


def _replacement_between_quotes(renamed: Mapping[str, str]) -> Callable[[str], str]:
    """Return the function that replaces each of these names where it is all that two quotes or backticks enclose."""
    if any(not name or set(name) & set("'\"`") for name in renamed):
        return _replacement_by_pattern(r"(?<=['\"`])(?:{})(?=['\"`])", renamed)
    if not renamed:
        return lambda text: text

    def replace(text: str) -> str:
        quoted = "'" in text or '"' in text or "`" in text
        return _QUOTED.sub(lambda match: renamed.get(match[0], match[0]), text) if quoted else text

    return replace


def _replacement_by_pattern(form: str, renamed: Mapping[str, str]) -> Callable[[str], str]:
    longest_first = sorted(renamed, key=lambda name: (-len(name), name))
    pattern = re.compile(form.format("|".join(map(re.escape, longest_first))))
    return lambda text: pattern.sub(lambda match: renamed[match[0]], text)
