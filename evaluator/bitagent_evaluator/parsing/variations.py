"""The formats of calls in BFCL's format sensitivity: Python, JSON and two kinds of XML, each with or without a tag.

Each is read by the rules of the official prompting decoder, with its quirks. Brackets are added around the whole text
first, as for Python. Text that is not JSON is an answer without calls. XML values are converted by the type that the
answer names beside them, so a wrong one fails the answer. Where the decoder would search a text again and again, or
build values of any depth, the same result is found in one pass, or the answer is refused.
"""

from __future__ import annotations

import ast
import json
import re
import warnings
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree

from bitagent_crds.task_forms import ReturnFormat
from bitagent_evaluator.parsing.calls import AnswerError, Calls
from bitagent_evaluator.parsing.python import check_integer, parse_call_list, strip_to_list

if TYPE_CHECKING:
    from bitagent_crds.task_set import PromptVariation

MAX_CHARACTERS = 65_536
"""Longest answer that is read, as of the other syntaxes."""
MAX_DEPTH = 100
"""Deepest nesting of a value, or of XML elements, that is read."""
_TAG = ("<TOOLCALL>", "</TOOLCALL>")
_FUNCTIONS = ("<functions>", "</functions>")
_LIST_START, _OBJECT_AFTER_COMMA, _SPACE = re.compile(r"\[\s*\{"), re.compile(r",\s*\{"), re.compile(r"\s*")


def parse_variation(text: str, variation: PromptVariation) -> Calls:
    """Return the calls of an answer in the format that a variation asks for; none for JSON without calls.

    The arguments of a call in JSON are returned as they are, and need not be an object. Raises AnswerError, and nothing
    else, whatever the text.
    """
    if len(text) > MAX_CHARACTERS:
        raise AnswerError(f"the answer has {len(text)} characters, more than {MAX_CHARACTERS}", refused=True)
    text = strip_to_list(text)
    if variation.tool_call_tag:
        text = _between(text, _TAG).strip()
    return _READERS[variation.return_format](text)


def _between(text: str, marks: tuple[str, str], *, inclusive: bool = False) -> str:
    """The text between the first opening mark and the next closing one. Raises AnswerError if there is none."""
    opening, closing = marks
    start = text.find(opening)
    end = text.find(closing, start + len(opening)) if start >= 0 else -1
    if end < 0:
        raise AnswerError(f"no {opening} section", position=max(0, start))
    return text[start : end + len(closing)] if inclusive else text[start + len(opening) : end]


def _read_json(text: str) -> Calls:
    start, end = text.find("["), text.rfind("]")
    if 0 <= start < end:
        text = text[start : end + 1]
    try:
        values = json.loads(_list_of_objects(text) or text)
    except json.JSONDecodeError:
        return []
    except RecursionError:
        raise _too_deep() from None
    except ValueError as error:  # a number of thousands of digits
        raise AnswerError(f"not JSON: {error}") from None
    _check_value(values)
    if not isinstance(values, list | dict | str):
        raise AnswerError(f"expected a list of calls, not {type(values).__name__}")
    calls = []
    for item in values:
        if isinstance(item, dict):
            name, arguments = item.get("function"), item.get("parameters", item)
            if not isinstance(name, str) or arguments is item:
                raise AnswerError('an object without "function" and "parameters"')
            calls.append({name: arguments})
    return calls


def _list_of_objects(text: str) -> str | None:
    r"""The first text from `[{` to `}]` whose objects have commas between them; None if there is none.

    The official decoder searches `\[\s*{.*?}\s*(?:,\s*{.*?}\s*)*\]`, which tries every way to divide the text into
    objects. Whether a match can go on after a closing brace depends on the brace alone, so one pass from the right
    finds the same text.
    """
    closing: dict[int, int] = {}
    """By the place of each brace after which a match succeeds: the end of the match."""
    following: list[int] = []
    """These places, from right to left."""
    for brace in (found.start() for found in reversed([*re.finditer(r"\}", text)])):
        after = _SPACE.match(text, brace + 1)
        place = after.end() if after else brace + 1
        if text.startswith("]", place):
            closing[brace] = place + 1
            following.append(brace)
        elif (comma := _OBJECT_AFTER_COMMA.match(text, place)) and (later := _first_from(following, comma.end())):
            closing[brace] = closing[later]
            following.append(brace)
    for start in _LIST_START.finditer(text):
        if first := _first_from(following, start.end()):
            return text[start.start() : closing[first]]
    return None


def _first_from(places: list[int], start: int) -> int | None:
    """The smallest of falling places that is at `start` or after it. None of them is 0."""
    low, high = 0, len(places)
    while low < high:
        middle = (low + high) // 2
        low, high = (middle + 1, high) if places[middle] >= start else (low, middle)
    return places[low - 1] if low else None


def _read_verbose_xml(text: str) -> Calls:
    calls: Calls = []
    for name, function in _xml_functions(text):
        container = function.find("params")
        parameters = (function if container is None else container).findall("param")
        calls.append({name: {each.get("name"): _converted(each.get("value", ""), each) for each in parameters}})
    return calls


def _read_concise_xml(text: str) -> Calls:
    calls: Calls = []
    for name, function in _xml_functions(text):
        parameters = function.findall("param")
        calls.append({name: {_name_of(each): _converted((each.text or "").strip(), each) for each in parameters}})
    return calls


def _xml_functions(text: str) -> list[tuple[str, ElementTree.Element]]:
    """The functions of the first `<functions>` element, each with its name."""
    try:
        # The text begins with an element, so it cannot define entities that grow when they are expanded.
        root = ElementTree.fromstring(_between(text, _FUNCTIONS, inclusive=True))  # noqa: S314
    except (ElementTree.ParseError, UnicodeError) as error:
        raise AnswerError(f"not XML: {error}") from None
    level = [root]
    for _ in range(MAX_DEPTH):
        level = [child for element in level for child in element]
    if level:
        raise _too_deep()
    return [(_name_of(function), function) for function in root.findall("function")]


def _name_of(element: ElementTree.Element) -> str:
    name = element.get("name")
    if name is None:
        raise AnswerError(f"a <{element.tag}> without a name")
    return name


def _converted(text: str, parameter: ElementTree.Element) -> Any:
    """The value of a parameter by the type that the answer gives it; a type without a rule leaves the text."""
    convert = _CONVERSIONS.get(parameter.get("type", "string"))
    try:
        value = convert(text) if convert else text
    except (ValueError, TypeError, SyntaxError) as error:
        raise AnswerError(f"{text[:40]!r} is not of type {parameter.get('type')}: {error}") from None
    except (RecursionError, MemoryError):
        raise _too_deep() from None
    _check_value(value)
    return value


def _literal(text: str) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # such as "\d" in a string: the model's style
        return ast.literal_eval(text)


def _check_value(value: Any) -> None:
    """Raise AnswerError for values nested too deeply, or integers that cannot be printed."""
    level = [value]
    for _ in range(MAX_DEPTH):
        inner: list[Any] = []
        for each in level:
            match each:
                case dict():
                    inner += [*each.keys(), *each.values()]
                case list() | tuple() | set():
                    inner += each
                case _:
                    check_integer(each)
        if not inner:
            return
        level = inner
    raise _too_deep()


def _too_deep() -> AnswerError:
    return AnswerError("nested too deeply", refused=True)


_CONVERSIONS: Mapping[str, Callable[[str], Any]] = {
    "integer": int,
    "float": float,
    "boolean": lambda text: text.lower() == "true",
    "null": lambda _: None,
    **dict.fromkeys(("array", "tuple", "object", "dict"), _literal),
}
_READERS: Mapping[ReturnFormat, Callable[[str], Calls]] = {
    ReturnFormat.PYTHON: parse_call_list,
    ReturnFormat.JSON: _read_json,
    ReturnFormat.VERBOSE_XML: _read_verbose_xml,
    ReturnFormat.CONCISE_XML: _read_concise_xml,
}
