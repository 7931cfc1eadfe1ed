"""Alteration `DefaultValueMask`: default values named in descriptions become random ones of the same type.

A question that leaves a value open is then answered by what the description says, not by what similar functions usually do.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

from bitagent_crds.alterations import DefaultValueMask
from bitagent_crds.results import Language, Task
from bitagent_evaluator.alterations.alteration import Altered, Reason, Skipped
from bitagent_evaluator.alterations.choices import Choices
from bitagent_evaluator.alterations.defaults import Scalar, another, find_default, is_said, same
from bitagent_evaluator.alterations.following import has_duplicates, texts
from bitagent_evaluator.alterations.pool import Pool


class MaskDefaultValues:
    """Strings and numbers of Python tasks, where the parameter itself names its default and nothing contradicts.

    A default value among the allowed values follows, if the argument may be left out or must be given unasked. Where the messages name
    the value, or the argument must be given although it is optional (so the question asks for it in other words), the parameter stays.
    """

    def __init__(self, parameters: DefaultValueMask) -> None:
        self.parameters = parameters

    def apply(self, task: Task, *, choices: Choices, pool: Pool) -> Altered | Skipped:
        """Record: `{"old", "new"}` by `function.parameter`, nested ones with further dots."""
        if task.language is not Language.PYTHON:
            return Skipped(Reason.LANGUAGE)
        if has_duplicates(task):
            return Skipped(Reason.DUPLICATE_NAMES)
        mask = _Mask(task, choices)
        mask.run()
        if not mask.changes:
            return Skipped(Reason.NO_CERTAIN_DEFAULT)
        changed = {"functions": mask.functions, "ground_truth": mask.truth}
        return Altered(task.model_copy(update=changed), mask.changes)


class _Mask:
    """One task's copies of functions and ground truth while defaults are replaced in them."""

    def __init__(self, task: Task, choices: Choices) -> None:
        self.functions = copy.deepcopy(task.functions)
        self.truth = copy.deepcopy(task.ground_truth)
        self.changes: dict[str, dict[str, Scalar]] = {}
        self._choices = choices
        self._said = " ".join(str(message.get("content", "")) for message in task.messages)
        self._taken = " ".join([self._said, *texts(task.ground_truth, keys=False)])

    def run(self) -> None:
        for function in self.functions:
            name = function["name"]
            calls: list[Mapping[str, Any]] = [call[name] for call in self.truth or [] if name in call]
            self._object(function["parameters"], calls, name, str(function.get("description", "")))

    def _object(self, schema: dict[str, Any], given: list[Mapping[str, Any]], path: str, about: str) -> None:
        """A schema with properties; `given` are the ground truth's objects of it, the values of whose keys are lists of allowed values."""
        required = schema.get("required")
        for name, child in (schema.get("properties") or {}).items():
            if not isinstance(child, dict):
                continue
            values = [entry[name] for entry in given if name in entry]
            is_required = isinstance(required, list) and name in required
            self._scalar(child, values, f"{path}.{name}", about, is_required=is_required)
            inner = child
            while not inner.get("properties") and isinstance(inner.get("items"), dict):
                inner = inner["items"]
            if inner.get("properties"):
                self._object(inner, [entry for value in values for entry in _objects(value)], f"{path}.{name}", about)

    def _scalar(self, schema: dict[str, Any], values: list[Any], path: str, about: str, *, is_required: bool) -> None:
        default = find_default(schema)
        if default is None or ("default" in about.lower() and is_said(default.value, about)):
            return
        meant = [value for value in values if not isinstance(value, list) or any(same(v, default.value) for v in value)]
        if meant and (
            not all(isinstance(value, list) and (is_required or "" in value) for value in meant)
            or is_said(default.value, self._said)
        ):
            return
        new = another(default.value, schema, taken=self._taken, choices=self._choices, what=path)
        if new is None:
            return
        if "default" in schema:
            schema["default"] = new
        if default.spans:
            schema["description"] = default.described(schema["description"], new)
        for allowed in meant:
            followed = [_as(new, value) if same(value, default.value) else value for value in allowed]
            allowed[:] = [value for i, value in enumerate(followed) if value not in followed[:i]]
        self.changes[path] = {"old": default.value, "new": new}


def _objects(value: Any) -> list[Mapping[str, Any]]:
    """The objects in lists of allowed values."""
    if isinstance(value, dict):
        return [value]
    return [found for entry in value for found in _objects(entry)] if isinstance(value, list) else []


def _as(new: Scalar, old: Any) -> Scalar:
    """A number in the form of the allowed value that it replaces: 3 for 2, 3.0 for 2.0."""
    return float(new) if isinstance(old, float) else new
