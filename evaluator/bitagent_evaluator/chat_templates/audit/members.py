"""Labels of members, items and pieces of a value, and the lookups that are refused."""

from __future__ import annotations

from typing import Any

from jinja2 import nodes

from bitagent_evaluator.chat_templates.audit.analysis import Analysis
from bitagent_evaluator.chat_templates.audit.constants import Constants
from bitagent_evaluator.chat_templates.audit.findings import Rule
from bitagent_evaluator.chat_templates.audit.labels import (
    ALWAYS_CLEAN,
    CALL_STRUCTURE,
    CONVERSATION,
    PART_KEYS,
    SCHEMA_WORDS,
    SECRET,
    Label,
    compute,
    derive,
)

_PARAMETERS = "properties"
_PART_TEXTS = frozenset({"text", "content", "thinking", "reasoning", "output_text", "input_text", "refusal"})
_ENDS = (0, 1, 2, -1, -2)
"""Places at the ends of a list or text."""


class Members:
    """Labels what is read out of a value: `value.member`, `value[item]` and `value[from:to]`."""

    def __init__(self, expressions: Analysis, constants: Constants) -> None:
        self._expressions = expressions
        self._constants = constants

    def label_member(self, node: nodes.Node, of: nodes.Node, key: object) -> Label:
        """Return the label of `of[key]`; `key` is None if it is not constant."""
        if isinstance(of, nodes.Name) and of.name == "loop":
            return self._label_of_loop(key)
        held = self._held(of)
        of_tool = held & Label.TOOLS and not held & (CONVERSATION | Label.NAMESPACE)
        if of_tool and isinstance(key, str) and (key not in SCHEMA_WORDS or self._is_of_parameters(of)):
            self._expressions.report(
                node, Rule.TOOL_DECISION, "reads a member that no schema has, such as a parameter by its name"
            )
        found = self._expressions.scopes.attribute(key) if not held & ~Label.NAMESPACE else Label.CLEAN
        if held & Label.MESSAGES and not isinstance(key, str):
            found |= Label.MESSAGE
        if held & (Label.MESSAGE | Label.CALLS | Label.DERIVED):
            found |= self._label_of_object(held, key)
        if held & (Label.TEXT | Label.PART):
            found |= self._label_of_text(held, key)
        if held & Label.PIECES:
            found |= Label.TEXT if isinstance(key, int) else Label.DERIVED
        numbers = Label.CLEAN if isinstance(key, str) else Label.LENGTH | Label.COUNT
        return found | held & (Label.TOOLS | Label.COMPUTED | numbers)

    def label_item(self, node: nodes.Getitem) -> Label:
        """Return the label of `value[item]` and `value[from:to]`."""
        held = self._expressions.label(node.node)
        if isinstance(node.arg, nodes.Slice):
            return self._label_slice(node.arg, held)
        key = self._expressions.label(node.arg)
        keys = self._constants.of(node.arg)
        if held & Label.TOOLS and not held & CONVERSATION and not key and not self._are_words(keys, node.node):
            self._expressions.report(node, Rule.TOOL_DECISION, "reads a member of a tool that may be any")
        if key & CONVERSATION and (not held & CONVERSATION or key & Label.COMPUTED):
            self._expressions.report(node, Rule.TEXT_DECISION, "looks something up by the text of a message")
        if key & (Label.TOOLS | Label.COUNT) and not held & (Label.TOOLS | CONVERSATION):
            self.check_tool_lookup(node, node.node)
        return self.label_member(node, node.node, self._constants.single(node.arg))

    def _label_slice(self, cut: nodes.Slice, held: Label) -> Label:
        """Return the label of a piece: cut where a marker is, or at its very end, or anywhere."""
        bounds = self._expressions.union(cut.iter_child_nodes())
        if not held & SECRET:
            if bounds & SECRET:
                self._expressions.report(cut, Rule.TEXT_DECISION, "cuts something by the text of a message")
                return held | Label.COMPUTED
            if bounds & (Label.TOOLS | Label.COUNT) and not held & Label.TOOLS:
                self._expressions.report(cut, Rule.TOOL_DECISION, "cuts something by a number of tools or parameters")
            return held
        if not held & (Label.TEXT | Label.PART | Label.DERIVED | Label.COMPUTED):
            return held  # A list of pieces.
        near = cut.step is None and all(
            bound is None
            or self._expressions.label(bound) & (Label.LENGTH | Label.MARKER_LENGTH)
            or self._constants.is_short(bound)
            for bound in (cut.start, cut.stop)
        )
        if bounds & Label.COMPUTED or not near:
            return compute(held)
        return derive(held)

    def check_tool_lookup(self, node: nodes.Node, table: nodes.Node) -> None:
        """Report a lookup by a word of a tool, except in a literal table of schema words."""
        keys = [pair.key for pair in table.items] if isinstance(table, nodes.Dict) else None
        if keys is None or not all(self._constants.single(key) in SCHEMA_WORDS for key in keys):
            found = self._expressions.scopes.find(table.name) if isinstance(table, nodes.Name) else None
            if found is None or not found.constants or not found.constants <= SCHEMA_WORDS:
                self._expressions.report(node, Rule.TOOL_DECISION, "looks something up by a tool's name or words")

    def is_role(self, node: nodes.Node) -> bool:
        """Return whether this is a member of a message that says nothing about its words."""
        match node:
            case nodes.Getattr():
                return node.attr in ALWAYS_CLEAN
            case nodes.Getitem():
                return self._constants.single(node.arg) in ALWAYS_CLEAN
            case _:
                return False

    def _are_words(self, keys: list[Any] | None, of: nodes.Node) -> bool:
        """Whether keys are known, and several of them only words of schemas; `label_member` looks at a single one."""
        if keys is None or len(keys) == 1:
            return keys is not None
        words = [key for key in keys if isinstance(key, str)]
        return SCHEMA_WORDS.issuperset(words) and not (words and self._is_of_parameters(of))

    def _is_of_parameters(self, node: nodes.Node) -> bool:
        """Whether this is `properties`, whose members are named as parameters are, perhaps by a schema's word."""
        match node:
            case nodes.Getattr():
                return node.attr == _PARAMETERS
            case nodes.Getitem():
                return bool(self._constants.single(node.arg) == _PARAMETERS)
            case nodes.Call(node=nodes.Getattr(attr="get"), args=[key, *_]):
                return bool(self._constants.single(key) == _PARAMETERS)
            case _:
                return False

    def _held(self, node: nodes.Node) -> Label:
        """Return the label of a value, which may be a namespace."""
        found = self._expressions.label_or_namespace(node)
        return found if found & Label.NAMESPACE else self._expressions.label(node)

    def _label_of_object(self, held: Label, key: object) -> Label:
        if key in ALWAYS_CLEAN:
            return Label.CLEAN
        if key in CALL_STRUCTURE or (isinstance(key, int) and held & Label.CALLS):
            return Label.CALLS
        if held & (Label.DERIVED | Label.CALLS) and key in PART_KEYS - _PART_TEXTS:
            return Label.CALLS
        if held & Label.DERIVED and not isinstance(key, str):
            return Label.DERIVED
        return Label.TEXT if isinstance(key, str) else held & Label.CALLS | Label.TEXT

    def _label_of_loop(self, key: object) -> Label:
        found = self._expressions.scopes.find(f"loop.{key}") or self._expressions.scopes.find("loop.")
        return (found.label if found else Label.CLEAN) | self._expressions.scopes.attribute(key)

    def _label_of_text(self, held: Label, key: object) -> Label:
        if key in ALWAYS_CLEAN:
            return Label.CLEAN  # A string has no such member, only a part of a list does.
        if key in CALL_STRUCTURE or (held & Label.PART and key in PART_KEYS - _PART_TEXTS):
            return Label.CALLS
        if isinstance(key, int):
            return Label.PART if key in _ENDS else Label.COMPUTED
        return Label.TEXT if isinstance(key, str) else Label.DERIVED
