"""Alteration `ParameterMask`: parameter names become random strings, those of nested properties too."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bitagent_crds.alterations import ParameterMask
from bitagent_crds.results import Task
from bitagent_evaluator.alterations.alteration import Altered, Reason, Skipped
from bitagent_evaluator.alterations.choices import Choices
from bitagent_evaluator.alterations.following import (
    Mentions,
    has_duplicates,
    is_plain_chat,
    schemas,
    value_words,
    with_descriptions,
    words_in_use,
)
from bitagent_evaluator.alterations.pool import Pool


class MaskParameters:
    """One new name per name in a task, whichever functions have it: so a mention has one meaning."""

    def __init__(self, parameters: ParameterMask) -> None:
        self.parameters = parameters

    def apply(self, task: Task, *, choices: Choices, pool: Pool) -> Altered | Skipped:
        """Record: the new name by the old one."""
        if has_duplicates(task):
            return Skipped(Reason.DUPLICATE_NAMES)
        if not is_plain_chat(task):
            return Skipped(Reason.CONVERSATION)
        renamed: dict[str, str] = {}
        in_use = words_in_use(task)
        for name in sorted({name for function in task.functions for name in _property_names(function["parameters"])}):
            renamed[name] = choices.name("parameter", name, avoid=in_use)
            in_use.add(renamed[name])
        if not renamed:
            return Skipped(Reason.NO_PARAMETERS)
        functions = {function["name"]: function for function in task.functions}
        mentions = Mentions(renamed, values=value_words(task) | functions.keys())
        try:
            described = [with_descriptions(function, mentions.in_description) for function in task.functions]
            masked = [{**function, "parameters": _schema(function["parameters"], renamed)} for function in described]
            truth = task.ground_truth and [
                {name: _value(functions[name]["parameters"], arguments, renamed) for name, arguments in call.items()}
                for call in task.ground_truth
            ]
        except KeyError:
            return Skipped(Reason.UNDESCRIBED_GROUND_TRUTH)
        changes = {"functions": masked, "ground_truth": truth, "messages": mentions.in_messages(task.messages)}
        return Altered(task.model_copy(update=changes), renamed)


def _property_names(parameters: Mapping[str, Any]) -> set[str]:
    return {
        name
        for node in schemas(parameters)
        if isinstance(properties := node.get("properties"), Mapping)
        for name in properties
    }


def _schema(node: Any, renamed: Mapping[str, str]) -> Any:
    """A copy of a schema with new names. Raises KeyError when a default value has a key that the schema does not describe."""
    if not isinstance(node, dict):
        return node
    copy: dict[str, Any] = {}
    for key, value in node.items():
        if key == "properties" and isinstance(value, dict):
            copy[key] = {renamed[name]: _schema(child, renamed) for name, child in value.items()}
        elif key in ("required", "optional") and isinstance(value, list):
            properties = node.get("properties")
            known = properties if isinstance(properties, dict) else {}
            copy[key] = [renamed[name] if isinstance(name, str) and name in known else name for name in value]
        elif key in ("default", "enum"):
            copy[key] = _value(node, value, renamed)
        else:
            copy[key] = _schema(value, renamed)
    return copy


def _value(schema: Any, value: Any, renamed: Mapping[str, str]) -> Any:
    """A value, or lists of allowed values at any depth, with new keys where the schema names its keys. Raises KeyError for other keys."""
    if isinstance(value, list):
        return [_value(schema, entry, renamed) for entry in value]
    if not isinstance(value, dict):
        return value
    while isinstance(schema, Mapping) and not schema.get("properties") and isinstance(schema.get("items"), Mapping):
        schema = schema["items"]
    properties = schema.get("properties") if isinstance(schema, Mapping) else None
    if not isinstance(properties, Mapping) or not properties:
        return value
    return {renamed[key]: _value(properties[key], entry, renamed) for key, entry in value.items()}
