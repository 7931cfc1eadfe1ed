"""Check that a task has all that the scorer needs to judge an answer, so that mistakes in the data are found early.

Errors name the field.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import Any

from bfcl_eval.constants.type_mappings import JAVA_TYPE_CONVERSION, JS_TYPE_CONVERSION

from bitagent_crds.task_forms import Expects, Language
from bitagent_crds.task_set import Conversation, Memory, Task
from bitagent_evaluator.scoring.multi_turn.memory import MEMORY_SCENARIOS
from bitagent_evaluator.scoring.multi_turn.systems import SYSTEMS
from bitagent_evaluator.tasks.rows.base import RowError

_TYPES: dict[Language, frozenset[str]] = {
    Language.PYTHON: frozenset({"string", "integer", "float", "boolean", "array", "tuple", "dict", "any"}),
    Language.JAVA: frozenset(JAVA_TYPE_CONVERSION) - {"Set", "Hashtable", "Queue", "Stack"},
    Language.JAVASCRIPT: frozenset(JS_TYPE_CONVERSION),
}
"""Parameter types that the official checker can compare; its Java conversion names four more and raises on them."""
_LISTS = frozenset({"array", "tuple", "Array", "ArrayList"})
MAX_CALLS = 100
"""Most calls that a task may expect: the official checker's time grows with their cube (3,000: a minute per answer)."""
MAX_DEPTH = 100
"""Most levels of lists and objects in a row: recursion over a task needs a limit, and pydantic writes at most 255."""
_BFCL_NAME = {
    "number": "float",
    "object": "dict",
    "list": "array",
    "bool": "boolean",
    "int": "integer",
    "str": "string",
}


def check_task(task: Task) -> None:
    """Check all members of a task. Raises RowError at the first that is missing or of the wrong form."""
    if not task.messages:
        raise RowError("messages", "there must be at least one")
    _check_messages("messages", task.messages)
    _check_functions("functions", task.functions, task.language)
    _check_ground_truth(task)
    _check_reference(task)
    _check_conversation(task.conversation)
    _check_memory(task.memory)
    _check_parent(task)


def _check_messages(where: str, messages: list[dict[str, Any]]) -> None:
    for i, message in enumerate(messages):
        for key in ("role", "content"):
            if not isinstance(message.get(key), str):
                raise RowError(f"{where}.{i}.{key}", "must be a string")


def _check_functions(where: str, functions: list[dict[str, Any]], language: Language) -> None:
    for i, function in enumerate(functions):
        at = f"{where}.{i}"
        if not isinstance(function.get("name"), str) or not function["name"]:
            raise RowError(f"{at}.name", "must be a non-empty string")
        if not isinstance(function.get("description", ""), str):
            raise RowError(f"{at}.description", "must be a string")
        parameters = function.get("parameters")
        if not isinstance(parameters, dict) or not isinstance(parameters.get("properties"), dict):
            raise RowError(f"{at}.parameters.properties", "must be an object, {} if the function takes nothing")
        required = parameters.get("required")
        names = parameters["properties"].keys()
        if not isinstance(required, list) or not all(isinstance(name, str) and name in names for name in required):
            raise RowError(
                f"{at}.parameters.required", "must be a list of names in properties, [] if nothing is required"
            )
        for name, schema in parameters["properties"].items():
            _check_schema(f"{at}.parameters.properties.{name}", schema, language)


def _check_schema(at: str, schema: Any, language: Language) -> None:
    if not isinstance(schema, dict):
        raise RowError(at, "must be an object")
    if not isinstance(schema.get("description", ""), str):
        raise RowError(f"{at}.description", "must be a string")
    _check_properties(at, schema)
    kind, known = schema.get("type"), _TYPES[language]
    if not isinstance(kind, str) or kind not in known:
        advice = (
            f"; BFCL calls it {_BFCL_NAME[kind]!r}" if isinstance(kind, str) and _BFCL_NAME.get(kind) in known else ""
        )
        raise RowError(f"{at}.type", f"{kind!r} is none of {', '.join(sorted(known))}{advice}")
    if kind in _LISTS:
        _check_schema(f"{at}.items", schema.get("items"), language)


def _check_properties(at: str, schema: dict[str, Any]) -> None:
    """Check that nested properties have names, at any depth. The checker compares only the outermost types."""
    properties, items = schema.get("properties", {}), schema.get("items")
    if not isinstance(properties, dict):
        raise RowError(f"{at}.properties", "must be an object")
    inner = {f"{at}.properties.{name}": child for name, child in properties.items()} | {f"{at}.items": items}
    for where, child in inner.items():
        if isinstance(child, dict):
            _check_properties(where, child)


def _check_ground_truth(task: Task) -> None:
    if task.expects is not Expects.CALLS:
        if task.ground_truth is not None:
            raise RowError("ground_truth", f"must be absent when expects is {task.expects}")
        return
    if not task.ground_truth:
        raise RowError("ground_truth", "must name at least one call when expects is Calls")
    if len(task.ground_truth) > MAX_CALLS:
        raise RowError("ground_truth", f"must name at most {MAX_CALLS} calls, not {len(task.ground_truth)}")
    parameters = {function["name"]: function["parameters"] for function in task.functions}
    for i, call in enumerate(task.ground_truth):
        if len(call) != 1:
            raise RowError(f"ground_truth.{i}", "must have exactly one member, the function's name")
        ((name, arguments),) = call.items()
        if name not in parameters:
            raise RowError(f"ground_truth.{i}.{name}", "is not among the task's functions")
        for argument, values in arguments.items():
            if argument not in parameters[name]["properties"]:
                raise RowError(f"ground_truth.{i}.{name}.{argument}", "is not a parameter of the function")
            kind = parameters[name]["properties"][argument]["type"]
            _check_values(f"ground_truth.{i}.{name}.{argument}", values, kind)
        for argument in parameters[name]["required"]:
            if argument not in arguments:
                raise RowError(
                    f"ground_truth.{i}.{name}.{argument}", "is required by the function, but has no allowed values"
                )


def _check_values(at: str, values: list[Any], kind: str) -> None:
    """Check the form that the checker expects: lists for lists, and in dicts a list of allowed values per key."""
    if not values:
        raise RowError(at, "needs at least one allowed value")
    for value in values:
        if kind in _LISTS and not isinstance(value, list | str):
            raise RowError(
                at, f"every allowed value of a list is a list (or a string naming a variable), not {value!r}"
            )
        if kind == "dict" and not isinstance(value, str):
            entries = value.values() if isinstance(value, dict) else [None]
            if not all(isinstance(entry, list) for entry in entries):
                raise RowError(at, f"every allowed value of a dict is a dict of lists of allowed values, not {value!r}")


def _check_reference(task: Task) -> None:
    if task.expects is Expects.TEXT and not task.reference:
        raise RowError("reference", "must be set when expects is Text")
    if task.expects is Expects.STATE and task.conversation is None:
        raise RowError("conversation", "must be set when expects is State")


def _check_conversation(conversation: Conversation | None) -> None:
    if conversation is None:
        return
    for i, turn in enumerate(conversation.turns):
        _check_messages(f"conversation.turns.{i}", turn)
    for i, name in enumerate(conversation.classes):
        if name not in SYSTEMS:
            raise RowError(f"conversation.classes.{i}", f"{name!r} is none of {', '.join(SYSTEMS)}")
    for name, state in conversation.initial_state.items():
        if not isinstance(state, dict):
            raise RowError(f"conversation.initial_state.{name}", "must be an object")
    for turn_number, functions in conversation.held_back.items():
        at = f"conversation.held_back.{turn_number}"
        if turn_number not in map(str, range(len(conversation.turns))):
            raise RowError(at, f"must be the number of a turn, 0 to {len(conversation.turns) - 1}")
        _check_functions(at, functions, Language.PYTHON)


def _check_memory(memory: Memory | None) -> None:
    if memory is not None and memory.scenario not in MEMORY_SCENARIOS:
        raise RowError("memory.scenario", f"{memory.scenario!r} is none of {', '.join(MEMORY_SCENARIOS)}")


def _check_parent(task: Task) -> None:
    """Check the parent of a task that was altered: alterations use it, too."""
    if task.parent is None:
        return
    try:
        check_task(task.parent)
    except RowError as error:
        raise RowError("parent", str(error)) from None


def check_json(data: Any) -> None:
    """Check that data can be written as JSON in UTF-8 and is not too deep.

    Raises RowError for NaN, lone surrogates, values that only Python has, and more than MAX_DEPTH levels.
    """
    level, depth = [data], 0
    while level := [inner for value in level for inner in _inside(value)]:
        depth += 1
        if depth > MAX_DEPTH:
            raise RowError("", f"nested more than {MAX_DEPTH} levels deep")
    try:
        json.dumps(data, ensure_ascii=False, allow_nan=False).encode()
    except UnicodeError:
        where, half = next(_halves(data), ("", ""))
        raise RowError(
            where, f"{half} is half of a character (a lone surrogate): write the whole, or \\ufffd"
        ) from None
    except (ValueError, TypeError, RecursionError) as error:
        raise RowError("", f"not JSON: {error}") from None


def _halves(value: Any, where: str = "") -> Iterator[tuple[str, str]]:
    """Yield the place of each lone surrogate, and the surrogate as JSON escapes it."""
    match value:
        case str():
            yield from ((where, f"\\u{ord(each):04x}") for each in value if "\ud800" <= each <= "\udfff")
        case dict():
            for name, inner in value.items():
                yield from _halves(str(name), where)
                yield from _halves(inner, f"{where}.{name}" if where else str(name))
        case list():
            for place, inner in enumerate(value):
                yield from _halves(inner, f"{where}.{place}")


def _inside(value: Any) -> Iterable[Any]:
    if isinstance(value, dict):
        return value.values()
    return value if isinstance(value, list) else ()
