"""Alterations `FunctionMask` and `ParameterMask`: replace names by random identifiers.

Descriptions, ground truth and messages are changed consistently (`renaming`). A model then has to read the descriptions
instead of recalling functions that it has seen.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bitagent_crds.alterations import FunctionMask, ParameterMask
from bitagent_crds.task_set import Task
from bitagent_evaluator.alterations.base import Altered, Choices, Skipped, SkipReason, TaskPool
from bitagent_evaluator.alterations.renaming import (
    MentionReplacer,
    WordsInUse,
    has_duplicates,
    is_plain_chat,
    iter_schemas,
    map_descriptions,
    value_words,
)


class MaskFunctions:
    """Replace the names of functions; a dotted name becomes one without dots."""

    def __init__(self, parameters: FunctionMask) -> None:
        self.parameters = parameters

    def apply(self, task: Task, *, choices: Choices, pool: TaskPool) -> Altered | Skipped:
        """Return the task with new function names. Record: the new names by the old ones."""
        if not task.functions:
            return Skipped(SkipReason.TOO_FEW_FUNCTIONS)
        if has_duplicates(task):
            return Skipped(SkipReason.DUPLICATE_NAMES)
        if not is_plain_chat(task):
            return Skipped(SkipReason.CONVERSATION)
        names = [function["name"] for function in task.functions]
        if any(name not in names for call in task.ground_truth or [] for name in call):
            return Skipped(SkipReason.UNDESCRIBED_GROUND_TRUTH)
        renamed: dict[str, str] = {}
        in_use = WordsInUse(task)
        for name in names:
            renamed[name] = choices.identifier("function", name, avoid=in_use)
            in_use.add(renamed[name])
        mentions = MentionReplacer(renamed, values=value_words(task))
        functions = [
            {**map_descriptions(function, mentions.in_description), "name": renamed[function["name"]]}
            for function in task.functions
        ]
        truth = task.ground_truth and [
            {renamed[name]: arguments for name, arguments in call.items()} for call in task.ground_truth
        ]
        changes = {"functions": functions, "ground_truth": truth, "messages": mentions.in_messages(task.messages)}
        return Altered(task.model_copy(update=changes), dict(renamed))


class MaskParameters:
    """Replace the names of parameters and nested properties.

    A name gets one new name in the whole task, whichever functions have it, so that a mention of it has one meaning.
    """

    def __init__(self, parameters: ParameterMask) -> None:
        self.parameters = parameters

    def apply(self, task: Task, *, choices: Choices, pool: TaskPool) -> Altered | Skipped:
        """Return the task with new parameter names. Record: the new names by the old ones."""
        if has_duplicates(task):
            return Skipped(SkipReason.DUPLICATE_NAMES)
        if not is_plain_chat(task):
            return Skipped(SkipReason.CONVERSATION)
        renamed: dict[str, str] = {}
        in_use = WordsInUse(task)
        for name in sorted({name for function in task.functions for name in _property_names(function["parameters"])}):
            renamed[name] = choices.identifier("parameter", name, avoid=in_use)
            in_use.add(renamed[name])
        if not renamed:
            return Skipped(SkipReason.NO_PARAMETERS)
        functions = {function["name"]: function for function in task.functions}
        mentions = MentionReplacer(renamed, values=value_words(task) | functions.keys())
        try:
            described = [map_descriptions(function, mentions.in_description) for function in task.functions]
            masked = [
                {**function, "parameters": _rename_schema(function["parameters"], renamed)} for function in described
            ]
            truth = task.ground_truth and [
                {
                    name: _rename_value(functions[name]["parameters"], arguments, renamed)
                    for name, arguments in call.items()
                }
                for call in task.ground_truth
            ]
        except KeyError:
            return Skipped(SkipReason.UNDESCRIBED_GROUND_TRUTH)
        changes = {"functions": masked, "ground_truth": truth, "messages": mentions.in_messages(task.messages)}
        return Altered(task.model_copy(update=changes), renamed)


def _property_names(parameters: dict[str, Any]) -> set[str]:
    return {
        name
        for node in iter_schemas(parameters)
        if isinstance(properties := node.get("properties"), dict)
        for name in properties
    }


def _rename_schema(node: Any, renamed: Mapping[str, str]) -> Any:
    """Return a copy of a schema with new names.

    Raises KeyError if a default or enumerated value has a key that the schema does not describe.
    """
    if not isinstance(node, dict):
        return node
    copy: dict[str, Any] = {}
    for key, value in node.items():
        if key == "properties" and isinstance(value, dict):
            copy[key] = {renamed[name]: _rename_schema(child, renamed) for name, child in value.items()}
        elif key in ("required", "optional") and isinstance(value, list):
            properties = node.get("properties")
            known = properties if isinstance(properties, dict) else {}
            copy[key] = [renamed[name] if isinstance(name, str) and name in known else name for name in value]
        elif key in ("default", "enum"):
            copy[key] = _rename_value(node, value, renamed)
        else:
            copy[key] = _rename_schema(value, renamed) if isinstance(value, dict) else value
    return copy


def _rename_value(schema: Any, value: Any, renamed: Mapping[str, str]) -> Any:
    """Return a value, or nested lists of allowed values, with new keys where the schema describes keys.

    Raises KeyError if a value has a key that such a schema does not describe.
    """
    if isinstance(value, list):
        return [_rename_value(schema, entry, renamed) for entry in value]
    if not isinstance(value, dict):
        return value
    while isinstance(schema, Mapping) and not schema.get("properties") and isinstance(schema.get("items"), Mapping):
        schema = schema["items"]
    properties = schema.get("properties") if isinstance(schema, Mapping) else None
    if not isinstance(properties, Mapping) or not properties:
        return value
    return {renamed[key]: _rename_value(properties[key], entry, renamed) for key, entry in value.items()}
