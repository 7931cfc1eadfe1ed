"""Labels of expressions, and the uses of a text in them that are refused."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from jinja2 import nodes

from bitagent_evaluator.chat_templates.audit.analysis import Report
from bitagent_evaluator.chat_templates.audit.calls import Calls
from bitagent_evaluator.chat_templates.audit.constants import Constants
from bitagent_evaluator.chat_templates.audit.findings import Rule
from bitagent_evaluator.chat_templates.audit.labels import (
    ALWAYS_CLEAN,
    CALL_STRUCTURE,
    CONVERSATION,
    PREDEFINED,
    SECRET,
    Label,
    Scopes,
    derive,
)
from bitagent_evaluator.chat_templates.audit.members import Members
from bitagent_evaluator.chat_templates.audit.rules import COMPARING_TESTS, SHAPE_TESTS, may_compare
from bitagent_evaluator.chat_templates.audit.syntax import ARITHMETIC, is_number, key_of, not_strings

_TEXT_RULE = Rule.TEXT_DECISION


class Expressions:
    """Labels the expressions of a template; calls `report` for every use that is refused, possibly several times."""

    def __init__(self, scopes: Scopes, report: Report) -> None:
        self.scopes = scopes
        self.report = report
        self.constants = Constants(scopes)
        self.members = Members(self, self.constants)
        self.calls = Calls(self, self.constants, self.members)
        self.macros: dict[str, list[nodes.Macro]] = {}
        self.macro_labels: dict[int, Label] = {}
        """Labels of what macros write, by the id of their node."""
        self._known: dict[int, Label] = {}
        self._structured: frozenset[str] = frozenset()
        """Expressions that are known to be lists or dicts where the analysis is."""

    def clear_cache(self) -> None:
        """Label every expression again, after labels of variables were added."""
        self._known.clear()

    @contextmanager
    def structured(self, test: nodes.Node, *, holds: bool = True) -> Iterator[None]:
        """Note which expressions are not strings while a condition holds, or does not."""
        before, self._structured = self._structured, self._structured | not_strings(test, holds)
        if self._structured != before:
            self._known.clear()
        yield
        if self._structured != before:
            self._known.clear()
        self._structured = before

    def label(self, node: nodes.Node) -> Label:
        """Return the label of an expression's value."""
        found = self.label_or_namespace(node)
        if self._structured and found & (Label.TEXT | Label.PART | Label.DERIVED) and key_of(node) in self._structured:
            found = found & ~(Label.TEXT | Label.PART | Label.DERIVED) | Label.CALLS
        if found & Label.NAMESPACE:
            held = self.scopes.attribute(None)
            found = (
                found & ~Label.NAMESPACE | held & Label.TOOLS | (Label.DERIVED if held & CONVERSATION else Label.CLEAN)
            )
        return found

    def label_or_namespace(self, node: nodes.Node) -> Label:
        """Return the label, with NAMESPACE for a namespace object."""
        if id(node) not in self._known:
            self._known[id(node)] = self._label(node)
        return self._known[id(node)]

    def _label(self, node: nodes.Node) -> Label:
        match node:
            case nodes.Name():
                found = self.scopes.find(node.name)
                unknown = Label.DERIVED if node.name == "self" else Label.CLEAN  # Blocks, by name.
                return found.label if found else unknown
            case nodes.Getattr():
                return self.members.label_member(node, node.node, node.attr)
            case nodes.Getitem():
                return self.members.label_item(node)
            case nodes.Compare():
                return self._label_comparison(node)
            case nodes.Test():
                return self._label_test(node)
            case nodes.Filter():
                return self.calls.label_filter(node)
            case nodes.Call():
                return self.calls.label_call(node)
            case nodes.And() | nodes.Or():
                self.check_condition(node.left)
                with self.structured(node.left, holds=isinstance(node, nodes.And)):
                    return self.label(node.left) | self.label(node.right)
            case nodes.Not():
                self.check_condition(node.node)
                return Label.CLEAN
            case nodes.CondExpr():
                self.check_condition(node.test)
                with self.structured(node.test):
                    label = self.label(node.expr1)
                with self.structured(node.test, holds=False):
                    return label | (self.label(node.expr2) if node.expr2 else Label.CLEAN)
            case nodes.Add() | nodes.Concat():
                return self._label_concatenation(node)
            case nodes.List() | nodes.Tuple():
                items = self.union(node.items)
                items = items if items == Label.LENGTH else derive(items)
                return items & ~Label.MESSAGE | Label.MESSAGES if items & Label.MESSAGE else items
            case nodes.Dict():
                return self._label_dict(node)
            case _ if isinstance(node, ARITHMETIC):
                return self._label_computation(node)
            case _:
                return self.union(node.iter_child_nodes())

    def union(self, children: Any) -> Label:
        """Return the union of the labels of several expressions."""
        found = Label.CLEAN
        for child in children:
            found |= self.label(child)
        return found

    def check_condition(self, test: nodes.Node) -> None:
        """Report a condition that depends on the words of a text."""
        match test:
            case nodes.Not():
                self.check_condition(test.node)
            case nodes.And() | nodes.Or():
                self.check_condition(test.left)
                with self.structured(test.left, holds=isinstance(test, nodes.And)):
                    self.check_condition(test.right)
            case _:
                if self.label(test) & Label.COMPUTED:
                    self.report(test, _TEXT_RULE, "decides by a piece of a message's text")

    def bind(self, name: str, value: nodes.Node, *, scope: nodes.Node | None = None, also: Label = Label.CLEAN) -> None:
        """Assign an expression to a variable; `also` is the label of the condition under which it is assigned."""
        constants = self.constants.of(value)
        self.scopes.assign(
            name, self.label_or_namespace(value) | also, None if constants is None else set(constants), scope=scope
        )

    def _label_comparison(self, node: nodes.Compare) -> Label:
        left: nodes.Node = node.expr
        for operand in node.ops:
            self.check_comparison(node, operand.op, left, operand.expr)
            left = operand.expr
        return Label.CLEAN

    def check_comparison(self, node: nodes.Node, operator: str, left: nodes.Node, right: nodes.Node) -> None:
        """Report a comparison whose result depends on the words of a text or a tool."""
        if self._is_undefined(left) or self._is_undefined(right):
            return
        sides = (self.label(left), self.label(right))
        if may_compare(operator, sides, (self.constants.of(left), self.constants.of(right)), literals=(left, right)):
            return
        if (sides[0] | sides[1]) & CONVERSATION:
            self.report(node, _TEXT_RULE, "compares the text of a message with something")
        else:
            self.report(node, Rule.TOOL_DECISION, "compares a tool's name or words with something")

    def _is_undefined(self, node: nodes.Node) -> bool:
        """Return whether this is a variable without a value, such as `builtin_tools`: nothing equals it or is in it."""
        return isinstance(node, nodes.Name) and self.scopes.find(node.name) is None and node.name not in PREDEFINED

    def _label_test(self, node: nodes.Test) -> Label:
        held = self.label(node.node)
        operator = COMPARING_TESTS.get(node.name)
        if operator is not None and len(node.args) == 1:
            self.check_comparison(node, operator, node.node, node.args[0])
            return Label.CLEAN
        secret = held & SECRET or self.union(node.args) & CONVERSATION
        place = isinstance(node.node, nodes.Getitem | nodes.Filter)
        presence = place and node.name in ("defined", "undefined", "none") and held & Label.COMPUTED
        if secret and (node.name not in SHAPE_TESTS or presence):
            self.report(node, _TEXT_RULE, f"tests the text of a message for {node.name!r}")
        elif held & Label.TOOLS and node.name not in SHAPE_TESTS:
            self.report(node, Rule.TOOL_DECISION, f"tests a tool for {node.name!r}")
        return Label.CLEAN

    def _label_dict(self, node: nodes.Dict) -> Label:
        """Return MESSAGE for a literal message, DERIVED for any other dict with something of the conversation in it."""
        held = self.union(pair.value for pair in node.items)
        self.union(pair.key for pair in node.items)
        soft = Label.DERIVED | Label.CALLS
        for pair in node.items:
            key, inner = self.constants.single(pair.key), self.label(pair.value) & CONVERSATION
            hidden = key in ALWAYS_CLEAN or (key in CALL_STRUCTURE and not inner & soft)
            if inner & ~soft and hidden:
                return held & Label.TOOLS | Label.COMPUTED
            if inner & ~(soft | Label.TEXT | Label.PIECES):
                return derive(held) | Label.DERIVED
        return held & ~Label.TEXT | Label.MESSAGE if held & Label.TEXT else held

    def _label_concatenation(self, node: nodes.Add | nodes.Concat) -> Label:
        parts: Sequence[nodes.Node] = node.nodes if isinstance(node, nodes.Concat) else [node.left, node.right]
        found = self.union(parts)
        if isinstance(node, nodes.Add) and (is_number(node) or found & Label.LENGTH == found != Label.CLEAN):
            return self._label_computation(node)
        return found & ~Label.MARKER_LENGTH

    def _label_computation(self, node: nodes.Node) -> Label:
        operands = [self.label(child) for child in node.iter_child_nodes()]
        held = self.union(node.iter_child_nodes())
        layout = isinstance(node, nodes.Mod) and isinstance(self.constants.single(node.left), str)
        numbers = held & (Label.LENGTH | Label.COMPUTED | Label.COUNT)
        if layout and not numbers:
            return derive(held)
        if isinstance(node, nodes.Neg) and held in (Label.LENGTH, Label.MARKER_LENGTH):
            return held
        step = isinstance(node, nodes.Add | nodes.Sub)
        single = step and any(self.constants.single(child) in (1, -1) for child in node.iter_child_nodes())
        markers = all(
            label & (Label.LENGTH | Label.MARKER_LENGTH) or (not label and self.constants.of(child) is None)
            for label, child in zip(operands, node.iter_child_nodes(), strict=True)
        )
        one = step and any(self.constants.is_short(child) for child in node.iter_child_nodes())
        if step and held & Label.LENGTH and not held & (SECRET & ~Label.LENGTH) and (markers or one):
            return Label.LENGTH
        if held & Label.COUNT and not held & SECRET and single:
            return Label.COUNT
        if held & SECRET:
            self.report(node, _TEXT_RULE, "computes with the text of a message")
            return Label.COMPUTED
        if held & Label.COUNT or (held & Label.TOOLS and not layout):
            self.report(node, Rule.TOOL_DECISION, "computes with a number of tools or parameters")
            return Label.COUNT
        return held & ~Label.MARKER_LENGTH
