"""Where an expression's value comes from, and what is decided by it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from jinja2 import nodes

from bitagent_evaluator.safety.audit.comparisons import may_compare
from bitagent_evaluator.safety.audit.finding import Rule
from bitagent_evaluator.safety.audit.labels import (
    ALWAYS_CLEAN,
    CALL_STRUCTURE,
    CONVERSATION,
    SCHEMA_WORDS,
    SECRET,
    Label,
    derived,
)
from bitagent_evaluator.safety.audit.scopes import GIVEN, Scopes
from bitagent_evaluator.safety.audit.uses import COMPARING_TESTS, SHAPE_TESTS

Report = Callable[[nodes.Node, Rule, str], None]

_ARITHMETIC = (nodes.Sub, nodes.Mul, nodes.Div, nodes.FloorDiv, nodes.Mod, nodes.Pow, nodes.Neg, nodes.Pos)
_TEXT_RULE = Rule.TEXT_DECISION


class Expressions:
    """Labels of expressions. `report` is told of every forbidden use on the way; being told twice is normal."""

    def __init__(self, scopes: Scopes, report: Report) -> None:
        from bitagent_evaluator.safety.audit.calls import Calls

        self.scopes = scopes
        self.report = report
        self.filters = Calls(self)
        self.macros: dict[str, list[nodes.Macro]] = {}
        self.results: dict[int, Label] = {}
        self._known: dict[int, Label] = {}

    def forget(self) -> None:
        """Look at everything anew, because variables have become known."""
        self._known.clear()

    def label(self, node: nodes.Node) -> Label:
        """What the value was made from."""
        found = self._named(node)
        if found & Label.NAMESPACE:
            held = self.scopes.attribute(None)
            found = (
                found & ~Label.NAMESPACE | held & Label.TOOLS | (Label.DERIVED if held & CONVERSATION else Label.CLEAN)
            )
        return found

    def _named(self, node: nodes.Node) -> Label:
        """The label in which a namespace still counts as one."""
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
                return self.member(node, node.node, node.attr)
            case nodes.Getitem():
                return self._item(node)
            case nodes.Compare():
                return self._compare(node)
            case nodes.Test():
                return self._test(node)
            case nodes.Filter():
                return self.filters.filtered(node)
            case nodes.Call():
                return self.filters.called(node)
            case nodes.And() | nodes.Or():
                self.decide(node.left)
                return self.label(node.left) | self.label(node.right)
            case nodes.Not():
                self.decide(node.node)
                return Label.CLEAN
            case nodes.CondExpr():
                self.decide(node.test)
                return self.label(node.expr1) | (self.label(node.expr2) if node.expr2 else Label.CLEAN)
            case nodes.Add() | nodes.Concat():
                return self._joined(node)
            case nodes.List() | nodes.Tuple():
                held = derived(self.union(node.items))
                return held & ~Label.MESSAGE | Label.MESSAGES if held & Label.MESSAGE else held
            case nodes.Dict():
                return self._dict(node)
            case _ if isinstance(node, _ARITHMETIC):
                return self._computed(node)
            case _:
                return self.union(node.iter_child_nodes())

    def union(self, children: Any) -> Label:
        """Everything that several expressions were made from."""
        found = Label.CLEAN
        for child in children:
            found |= self.label(child)
        return found

    def decide(self, test: nodes.Node) -> None:
        """Whether a condition holds is about to matter: it must not depend on what a text says."""
        match test:
            case nodes.Not():
                self.decide(test.node)
            case nodes.And() | nodes.Or():
                self.decide(test.left)
                self.decide(test.right)
            case _:
                if self.label(test) & (Label.DERIVED | Label.PART):
                    self.report(test, _TEXT_RULE, "decides by a piece of a message's text")

    def constants(self, node: nodes.Node) -> list[Any] | None:
        """The constants that an expression may stand for, of a list or dict what is in it; None when it is no constant."""
        match node:
            case nodes.Const():
                return [node.value]
            case nodes.TemplateData():
                return [node.data]
            case nodes.List() | nodes.Tuple():
                parts = [self.constants(item) for item in node.items]
                return (
                    None if any(part is None for part in parts) else [value for part in parts for value in part or []]
                )
            case nodes.Dict():
                return self.constants(nodes.List([pair.key for pair in node.items]))
            case nodes.Neg(node=nodes.Const(value=int(value))):
                return [-value]
            case nodes.Name():
                found = self.scopes.find(node.name)
                return list(found.constants) if found and found.constants else None
            case _:
                return None

    def constant(self, node: nodes.Node) -> Any:
        """The one constant that an expression stands for; None when there is none."""
        values = self.constants(node)
        return values[0] if values and len(values) == 1 else None

    def bind(
        self, name: str, value: nodes.Node, *, inside: nodes.Node | None = None, also: Label = Label.CLEAN
    ) -> None:
        """Put an expression's value, and whatever its being put there tells, into a variable."""
        constants = self.constants(value)
        self.scopes.assign(
            name, self._named(value) | also, None if constants is None else set(constants), inside=inside
        )

    def member(self, node: nodes.Node, of: nodes.Node, key: object) -> Label:
        """`of[key]`, where a key that is no constant is None."""
        if isinstance(of, nodes.Name) and of.name == "loop":
            return self._of_loop(key)
        held = self._named(of)
        found = self.scopes.attribute(key) if not held & ~Label.NAMESPACE else Label.CLEAN
        if held & Label.MESSAGES:
            found |= Label.MESSAGE
        if held & Label.MESSAGE:
            found |= Label.CALLS if key in CALL_STRUCTURE else Label.CLEAN if key in ALWAYS_CLEAN else Label.TEXT
        if held & Label.CALLS:
            position = isinstance(key, int) or key in CALL_STRUCTURE
            clean = key in ALWAYS_CLEAN or key == "type"
            found |= Label.CALLS if position else Label.CLEAN if clean else Label.TEXT
        if held & (Label.TEXT | Label.PART):
            found |= self._of_text(held, key)
        if held & Label.PIECES:
            found |= Label.TEXT if isinstance(key, int) else Label.DERIVED
        return found | held & (Label.TOOLS | Label.DERIVED)

    def _of_loop(self, key: object) -> Label:
        found = self.scopes.find(f"loop.{key}") or self.scopes.find("loop.")
        return (found.label if found else Label.CLEAN) | self.scopes.attribute(key)

    def _of_text(self, held: Label, key: object) -> Label:
        if key == "type":
            return Label.CLEAN  # A string has no such member: only a list of parts does.
        if isinstance(key, int):
            return Label.PART if held & Label.TEXT else Label.DERIVED
        return Label.TEXT if isinstance(key, str) else Label.DERIVED

    def _item(self, node: nodes.Getitem) -> Label:
        held = self.label(node.node)
        if isinstance(node.arg, nodes.Slice):
            self._key(node, self.union(node.arg.iter_child_nodes()))
            return held & ~Label.TEXT | Label.DERIVED if held & SECRET else held
        key = self.label(node.arg)
        self._key(node, key)
        if key & Label.TOOLS and not held & Label.TOOLS:
            self.tool_lookup(node, node.node)
        return self.member(node, node.node, self.constant(node.arg))

    def _key(self, node: nodes.Node, key: Label) -> None:
        if key & CONVERSATION:
            self.report(node, _TEXT_RULE, "looks something up by the text of a message")

    def tool_lookup(self, node: nodes.Node, table: nodes.Node) -> None:
        """Something is looked up by a word of a tool, which is harmless only in a table of schema words that stands right there."""
        keys = [pair.key for pair in table.items] if isinstance(table, nodes.Dict) else None
        if keys is None or not all(self.constant(key) in SCHEMA_WORDS for key in keys):
            found = self.scopes.find(table.name) if isinstance(table, nodes.Name) else None
            if found is None or not found.constants or not found.constants <= SCHEMA_WORDS:
                self.report(node, Rule.TOOL_DECISION, "looks something up by what a tool says")

    def _compare(self, node: nodes.Compare) -> Label:
        left: nodes.Node = node.expr
        for operand in node.ops:
            self.compare(node, operand.op, left, operand.expr)
            left = operand.expr
        return Label.CLEAN

    def compare(self, node: nodes.Node, operator: str, left: nodes.Node, right: nodes.Node) -> None:
        """Report a comparison that tells what a text or a tool's name is."""
        if self._is_undefined(left) or self._is_undefined(right):
            return
        sides = (self.label(left), self.label(right))
        if may_compare(operator, sides, (self.constants(left), self.constants(right)), literals=(left, right)):
            return
        if (sides[0] | sides[1]) & CONVERSATION:
            self.report(node, _TEXT_RULE, "compares the text of a message with something")
        else:
            self.report(node, Rule.TOOL_DECISION, "compares what a tool is called or says with something")

    def _is_undefined(self, node: nodes.Node) -> bool:
        """Whether this is a variable that nobody sets, such as `builtin_tools`: nothing is equal to it or in it."""
        return isinstance(node, nodes.Name) and self.scopes.find(node.name) is None and node.name not in GIVEN

    def _test(self, node: nodes.Test) -> Label:
        held = self.label(node.node)
        operator = COMPARING_TESTS.get(node.name)
        if operator is not None and len(node.args) == 1:
            self.compare(node, operator, node.node, node.args[0])
            return Label.CLEAN
        secret = held & SECRET or self.union(node.args) & CONVERSATION
        presence = node.name in ("defined", "undefined", "none") and held & (Label.DERIVED | Label.PART)
        if secret and (node.name not in SHAPE_TESTS or presence):
            self.report(node, _TEXT_RULE, f"tests the text of a message for {node.name!r}")
        elif held & Label.TOOLS and node.name not in SHAPE_TESTS:
            self.report(node, Rule.TOOL_DECISION, f"tests a tool for {node.name!r}")
        return Label.CLEAN

    def _dict(self, node: nodes.Dict) -> Label:
        """A message that is put together is a message; any other dict with something of the conversation in it is anything."""
        held = self.union(pair.value for pair in node.items)
        self.union(pair.key for pair in node.items)
        for pair in node.items:
            plain = self.constant(pair.key) in ALWAYS_CLEAN | CALL_STRUCTURE
            if self.label(pair.value) & CONVERSATION and (plain or self.label(pair.value) != Label.TEXT):
                return held & Label.TOOLS | Label.DERIVED
        return held & ~Label.TEXT | Label.MESSAGE if held & Label.TEXT else held

    def _joined(self, node: nodes.Add | nodes.Concat) -> Label:
        parts: Sequence[nodes.Node] = node.nodes if isinstance(node, nodes.Concat) else [node.left, node.right]
        found = self.union(parts)
        if found & Label.LENGTH and isinstance(node, nodes.Add):
            return self._computed(node)
        return found

    def _computed(self, node: nodes.Node) -> Label:
        held = self.union(node.iter_child_nodes())
        layout = isinstance(node, nodes.Mod) and isinstance(self.constant(node.left), str)
        if held & SECRET and not (layout and not held & (Label.LENGTH | Label.DERIVED | Label.PART)):
            self.report(node, _TEXT_RULE, "computes with the text of a message")
            return Label.DERIVED
        return derived(held)
