"""What a task must hold so that the scorer can judge answers to it. Messages name the field."""

from __future__ import annotations

from typing import Any

from bfcl_eval.constants.type_mappings import JAVA_TYPE_CONVERSION, JS_TYPE_CONVERSION

from bitagent_crds.results import Conversation, Expects, Language, Task
from bitagent_evaluator.scoring.multi_turn.systems import SYSTEMS
from bitagent_evaluator.tasks.rows.reader import RowError

_TYPES: dict[Language, frozenset[str]] = {
    Language.PYTHON: frozenset({"string", "integer", "float", "boolean", "array", "tuple", "dict", "any"}),
    Language.JAVA: frozenset(JAVA_TYPE_CONVERSION) - {"Set", "Hashtable", "Queue", "Stack"},
    Language.JAVASCRIPT: frozenset(JS_TYPE_CONVERSION),
}
"""Parameter types that the official checker can compare; its Java conversion names four more and raises on them."""
_LISTS = frozenset({"array", "tuple", "Array", "ArrayList"})
MAX_CALLS = 100
"""Most calls that a task may expect. The official checker's time grows with their cube: 3,000 take it a minute, for every answer."""
_BFCL_NAME = {
    "number": "float",
    "object": "dict",
    "list": "array",
    "bool": "boolean",
    "int": "integer",
    "str": "string",
}


def check(task: Task) -> None:
    """Raises RowError at the first thing that is missing or of the wrong form."""
    if not task.messages:
        raise RowError("messages", "there must be at least one")
    _check_messages("messages", task.messages)
    _check_functions("functions", task.functions, task.language)
    _check_ground_truth(task)
    _check_reference(task)
    _check_conversation(task.conversation)
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
    """Nested objects have names, at any depth. What their types are is the prompt's affair: the checker looks at the outermost alone."""
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
    """Allowed values have the form that the checker walks through: lists for lists, and in dicts a list of allowed values per key."""
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


def _check_parent(task: Task) -> None:
    """A line of a task set that was altered: alterations look at its parent too."""
    if task.parent is None:
        return
    try:
        check(task.parent)
    except RowError as error:
        raise RowError("parent", str(error)) from None
