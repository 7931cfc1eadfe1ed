"""One set of official systems, and calls on it.

A call is source text of `parsing.render` or of a ground truth. The leaderboard passes it to `eval`; here its syntax
tree is walked, and all that can happen is a call of a public method of the systems with literal arguments or the
results of such calls. Results and errors are worded as the leaderboard words them, because they are compared as text
and shown to the model. One difference remains: a name that Python itself knows, such as `print`, is undefined here.
"""

from __future__ import annotations

import ast
import copy
import importlib
import inspect
import json
import warnings
from collections.abc import Callable, Sequence
from typing import Any

from bfcl_eval.constants.executable_backend_config import (
    CLASS_FILE_PATH_MAPPING,
    OMIT_STATE_INFO_CLASSES,
    STATELESS_CLASSES,
)

from bitagent_evaluator.parsing.python import fold
from bitagent_evaluator.scoring.multi_turn.memory import MEMORY_SYSTEMS, open_memory

SYSTEMS = tuple(name for name in CLASS_FILE_PATH_MAPPING if name not in OMIT_STATE_INFO_CLASSES)
"""Names of the systems of the multi-turn cases. Memories are `MEMORY_SYSTEMS`."""
_FORBIDDEN = frozenset(("kill", "exit", "quit", "remove", "unlink", "popen", "Popen", "run"))
"""Names that the leaderboard refuses with a message of its own."""


class Systems:
    """Fresh systems of the given classes, loaded with their initial state."""

    def __init__(self, classes: Sequence[str], initial_state: dict[str, Any], *, long_context: bool) -> None:
        self.instances: dict[str, Any] = {}
        """By class name."""
        self._methods: dict[str, Callable[..., Any]] = {}
        for name in classes:
            if name not in SYSTEMS and name not in MEMORY_SYSTEMS:
                raise ValueError(f"no system {name!r}; there are: {', '.join([*SYSTEMS, *MEMORY_SYSTEMS])}")
            state = copy.deepcopy(initial_state.get(name, {}))
            instance = open_memory(name, state) if name in MEMORY_SYSTEMS else _class(name)()
            if name in SYSTEMS and name not in STATELESS_CLASSES:
                instance._load_scenario(state, long_context=long_context)
            # With long context, scenarios share entries of the package's own tables, which calls change.
            vars(instance).update(copy.deepcopy(vars(instance)))
            self.instances[name] = instance
            for method, bound in inspect.getmembers(instance, predicate=inspect.ismethod):
                if not method.startswith("_"):
                    self._methods[method] = bound

    def run(self, source: str) -> str:
        """Execute one call; return its result, or its error, as text. Changes the systems' state."""
        try:
            return _as_text(self._execute(source))
        except Exception as error:  # noqa: BLE001 - whatever a system raises is the call's result
            return f"Error during execution: {error}"

    def _execute(self, source: str) -> Any:
        called = source.split("(")[0].split(".")
        name = called[min(1, len(called) - 1)]
        if name in _FORBIDDEN:
            raise PermissionError(f"Function call {name} is not allowed.")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # such as "\d" in a string
            tree = ast.parse(source, "<string>", "eval")  # the file's name is part of syntax errors' messages
        return self._value(tree.body)

    def _value(self, node: ast.expr) -> Any:
        match node:
            case ast.Call(func=function, args=args, keywords=keywords):
                method = self._method(function)
                named = {_keyword(keyword): self._value(keyword.value) for keyword in keywords}
                return method(*[self._value(argument) for argument in args], **named)
            case ast.Dict(keys=keys, values=values):
                return {self._value(_present(key)): self._value(value) for key, value in zip(keys, values, strict=True)}
            case ast.List(elts=elements):
                return [self._value(element) for element in elements]
            case ast.Tuple(elts=elements):
                return tuple(self._value(element) for element in elements)
            case ast.Name(id=name):
                raise _undefined(name)
            case _:
                return fold(node)

    def _method(self, function: ast.expr) -> Callable[..., Any]:
        if isinstance(function, ast.Name):
            if function.id in self._methods:
                return self._methods[function.id]
            raise _undefined(function.id)
        while isinstance(function, ast.Attribute):
            function = function.value
        raise _undefined(function.id) if isinstance(function, ast.Name) else TypeError("this is not callable")


def load_systems() -> None:
    """Import all systems, which takes longer than most calls do."""
    for name in SYSTEMS:
        _class(name)


def _class(name: str) -> Any:
    return getattr(importlib.import_module(CLASS_FILE_PATH_MAPPING[name]), name)


def _keyword(keyword: ast.keyword) -> str:
    if keyword.arg is None:
        raise TypeError("`**` is not an argument")
    return keyword.arg


def _present(key: ast.expr | None) -> ast.expr:
    if key is None:
        raise TypeError("`**` is not a member")
    return key


def _undefined(name: str) -> NameError:
    return NameError(f"name {name!r} is not defined")


def _as_text(result: Any) -> str:
    if isinstance(result, dict):
        try:
            return json.dumps(result)
        except (TypeError, ValueError, RecursionError):  # some systems return objects
            return str(result)
    return str(result)
