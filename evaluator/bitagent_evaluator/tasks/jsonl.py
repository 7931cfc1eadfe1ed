"""Source `jsonl`: a file with one task a line, as in tasks.jsonl, `source` left out.

Every line is checked when it is read, down to what the scorer will need, so that a mistake is the author's now and not a model's failure
later. Messages name file, line and field.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from bfcl_eval.constants.type_mappings import JAVA_TYPE_CONVERSION, JS_TYPE_CONVERSION
from pydantic import ValidationError

from bitagent_crds.results import Expects, Language, Task
from bitagent_crds.sources import JsonlSource
from bitagent_evaluator.tasks.errors import TaskSetError

MAX_LINE_BYTES = 1 << 20

_TYPES: dict[Language, frozenset[str]] = {
    Language.PYTHON: frozenset({"string", "integer", "float", "boolean", "array", "tuple", "dict", "any"}),
    Language.JAVA: frozenset(JAVA_TYPE_CONVERSION) - {"Set", "Hashtable", "Queue", "Stack"},
    Language.JAVASCRIPT: frozenset(JS_TYPE_CONVERSION),
}
"""Parameter types that the official checker can compare; its Java conversion names four more and raises on them."""
_LISTS = frozenset({"array", "tuple", "Array", "ArrayList"})
_BFCL_NAME = {
    "number": "float",
    "object": "dict",
    "list": "array",
    "bool": "boolean",
    "int": "integer",
    "str": "string",
}


class JsonlTasks:
    """The lines of one file."""

    name = "jsonl"

    def __init__(self, source: JsonlSource, file: Path | None) -> None:
        if file is None:
            raise TaskSetError("its file was not given")
        self._file = file
        self.parameters = source.to_wire()
        try:
            with file.open("rb") as content:
                self.version = f"sha256:{hashlib.file_digest(content, 'sha256').hexdigest()}"
        except (FileNotFoundError, IsADirectoryError, NotADirectoryError, PermissionError) as error:
            raise TaskSetError(f"{file}: {error.strerror}") from error

    def tasks(self) -> list[Task]:
        """The tasks of the file. Raises TaskSetError at the first bad line."""
        tasks: dict[str, Task] = {}
        lines: dict[str, int] = {}
        for number, line in self._lines():
            try:
                task = _task(line)
                if task.id in tasks:
                    raise _Invalid("id", f"{task.id!r} is also the id of line {lines[task.id]}")
            except _Invalid as error:
                raise TaskSetError(f"{self._file}, line {number}: {error}") from error
            tasks[task.id], lines[task.id] = task, number
        return list(tasks.values())

    def _lines(self) -> Iterator[tuple[int, bytes]]:
        with self._file.open("rb") as content:
            for number, line in enumerate(iter(lambda: content.readline(MAX_LINE_BYTES + 1), b""), 1):
                if len(line) > MAX_LINE_BYTES:
                    raise TaskSetError(f"{self._file}, line {number}: longer than {MAX_LINE_BYTES} bytes")
                if line.strip():
                    yield number, line


class _Invalid(ValueError):
    def __init__(self, field: str, message: str) -> None:
        super().__init__(f"field {field}: {message}" if field else message)


def _task(line: bytes) -> Task:
    try:
        data = json.loads(line.decode())
        json.dumps(
            data, ensure_ascii=False, allow_nan=False
        ).encode()  # as it will be written: no NaN, no lone surrogates
    except UnicodeError as error:
        raise _Invalid("", f"not valid UTF-8: {error}") from None
    except (ValueError, RecursionError) as error:
        raise _Invalid("", f"not JSON: {error}") from None
    if not isinstance(data, dict):
        raise _Invalid("", "not a JSON object")
    try:
        task = Task.model_validate({"category": JsonlTasks.name, **data, "source": JsonlTasks.name})
    except ValidationError as error:
        found = error.errors(include_url=False)[0]
        raise _Invalid(".".join(str(part) for part in found["loc"]), found["msg"]) from None
    _check_messages(task.messages)
    _check_functions(task)
    _check_ground_truth(task)
    return task


def _check_messages(messages: list[dict[str, Any]]) -> None:
    if not messages:
        raise _Invalid("messages", "there must be at least one")
    for i, message in enumerate(messages):
        for key in ("role", "content"):
            if not isinstance(message.get(key), str):
                raise _Invalid(f"messages.{i}.{key}", "must be a string")


def _check_functions(task: Task) -> None:
    for i, function in enumerate(task.functions):
        at = f"functions.{i}"
        if not isinstance(function.get("name"), str) or not function["name"]:
            raise _Invalid(f"{at}.name", "must be a non-empty string")
        if not isinstance(function.get("description", ""), str):
            raise _Invalid(f"{at}.description", "must be a string")
        parameters = function.get("parameters")
        if not isinstance(parameters, dict) or not isinstance(parameters.get("properties"), dict):
            raise _Invalid(f"{at}.parameters.properties", "must be an object, {} if the function takes nothing")
        required = parameters.get("required")
        if not isinstance(required, list) or not all(name in parameters["properties"] for name in required):
            raise _Invalid(
                f"{at}.parameters.required", "must be a list of names in properties, [] if nothing is required"
            )
        for name, schema in parameters["properties"].items():
            _check_schema(f"{at}.parameters.properties.{name}", schema, task.language)


def _check_schema(at: str, schema: Any, language: Language) -> None:
    if not isinstance(schema, dict):
        raise _Invalid(at, "must be an object")
    if not isinstance(schema.get("description", ""), str):
        raise _Invalid(f"{at}.description", "must be a string")
    kind, known = schema.get("type"), _TYPES[language]
    if not isinstance(kind, str) or kind not in known:
        advice = (
            f"; BFCL calls it {_BFCL_NAME[kind]!r}" if isinstance(kind, str) and _BFCL_NAME.get(kind) in known else ""
        )
        raise _Invalid(f"{at}.type", f"{kind!r} is none of {', '.join(sorted(known))}{advice}")
    if kind in _LISTS:
        _check_schema(f"{at}.items", schema.get("items"), language)


def _check_ground_truth(task: Task) -> None:
    if task.expects is not Expects.CALLS:
        if task.ground_truth is not None:
            raise _Invalid("ground_truth", f"must be absent when expects is {task.expects}")
        return
    if not task.ground_truth:
        raise _Invalid("ground_truth", "must name at least one call when expects is Calls")
    parameters = {function["name"]: function["parameters"] for function in task.functions}
    for i, call in enumerate(task.ground_truth):
        if len(call) != 1:
            raise _Invalid(f"ground_truth.{i}", "must have exactly one member, the function's name")
        ((name, arguments),) = call.items()
        if name not in parameters:
            raise _Invalid(f"ground_truth.{i}.{name}", "is not among the task's functions")
        for argument, values in arguments.items():
            if argument not in parameters[name]["properties"]:
                raise _Invalid(f"ground_truth.{i}.{name}.{argument}", "is not a parameter of the function")
            kind = parameters[name]["properties"][argument]["type"]
            _check_values(f"ground_truth.{i}.{name}.{argument}", values, kind)
        for argument in parameters[name]["required"]:
            if argument not in arguments:
                raise _Invalid(
                    f"ground_truth.{i}.{name}.{argument}", "is required by the function, but has no allowed values"
                )


def _check_values(at: str, values: list[Any], kind: str) -> None:
    """Allowed values have the form that the checker walks through: lists for lists, and in dicts a list of allowed values per key."""
    if not values:
        raise _Invalid(at, "needs at least one allowed value")
    for value in values:
        if kind in _LISTS and not isinstance(value, list | str):
            raise _Invalid(
                at, f"every allowed value of a list is a list (or a string naming a variable), not {value!r}"
            )
        if kind == "dict" and not isinstance(value, str):
            entries = value.values() if isinstance(value, dict) else [None]
            if not all(isinstance(entry, list) for entry in entries):
                raise _Invalid(at, f"every allowed value of a dict is a dict of lists of allowed values, not {value!r}")
