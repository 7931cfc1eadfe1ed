"""Labels of expressions, and the uses of a text in them that are refused."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from jinja2 import nodes

from bitagent_evaluator.chat_templates.audit.calls import Calls
from bitagent_evaluator.chat_templates.audit.findings import Rule
from bitagent_evaluator.chat_templates.audit.labels import (
    ALWAYS_CLEAN,
    CALL_STRUCTURE,
    CONVERSATION,
    PART_KEYS,
    PREDEFINED,
    SCHEMA_WORDS,
    SECRET,
    Label,
    Scopes,
    compute,
    derive,
)
from bitagent_evaluator.chat_templates.audit.rules import COMPARING_TESTS, SHAPE_TESTS, may_compare

Report = Callable[[nodes.Node, Rule, str], None]

_ARITHMETIC = (nodes.Sub, nodes.Mul, nodes.Div, nodes.FloorDiv, nodes.Mod, nodes.Pow, nodes.Neg, nodes.Pos)
_LONGEST_MARKER = 12
_PARAMETERS = "properties"
_NO_LENGTH = 1 << 20
"""What a number counts as that the template computes from constants: no length of a marker."""
_PART_TEXTS = frozenset({"text", "content", "thinking", "reasoning", "output_text", "input_text", "refusal"})
_TEXT_RULE = Rule.TEXT_DECISION
_ENDS = (0, 1, 2, -1, -2)
"""Places at the ends of a list or text."""


class Expressions:
    """Labels the expressions of a template; calls `report` for every use that is refused, possibly several times."""

    def __init__(self, scopes: Scopes, report: Report) -> None:
        self.scopes = scopes
        self.report = report
        self.calls = Calls(self)
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
        before, self._structured = self._structured, self._structured | _not_strings(test, holds)
        if self._structured != before:
            self._known.clear()
        yield
        if self._structured != before:
            self._known.clear()
        self._structured = before

    def label(self, node: nodes.Node) -> Label:
        """Return the label of an expression's value."""
        found = self._label_or_namespace(node)
        if self._structured and found & (Label.TEXT | Label.PART | Label.DERIVED) and _key(node) in self._structured:
            found = found & ~(Label.TEXT | Label.PART | Label.DERIVED) | Label.CALLS
        if found & Label.NAMESPACE:
            held = self.scopes.attribute(None)
            found = (
                found & ~Label.NAMESPACE | held & Label.TOOLS | (Label.DERIVED if held & CONVERSATION else Label.CLEAN)
            )
        return found

    def _label_or_namespace(self, node: nodes.Node) -> Label:
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
                return self.label_member(node, node.node, node.attr)
            case nodes.Getitem():
                return self._label_item(node)
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
            case _ if isinstance(node, _ARITHMETIC):
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

    def constants(self, node: nodes.Node) -> list[Any] | None:
        """Return the constants that an expression may stand for, or those in a list or dict; None if it is variable."""
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
            case nodes.CondExpr():
                either = (self.constants(node.expr1), self.constants(node.expr2) if node.expr2 else [])
                return None if either[0] is None or either[1] is None else [*either[0], *either[1]]
            case nodes.Call(node=nodes.Getattr(node=stripped, attr="strip"), args=[]):
                values = self.constants(stripped)
                return None if values is None else [value.strip() for value in values if isinstance(value, str)]
            case nodes.Add() | nodes.Concat():
                return self._constant_sums(node)
            case nodes.Sub() | nodes.Mul() | nodes.Pow() | nodes.FloorDiv():
                return [_NO_LENGTH] if self._is_constant(node) else None
            case nodes.Name():
                found = self.scopes.find(node.name)
                return list(found.constants) if found and found.constants else None
            case _:
                return None

    def _is_constant(self, node: nodes.Node) -> bool:
        return isinstance(node, nodes.BinExpr) and all(
            self.constants(side) is not None for side in (node.left, node.right)
        )

    def _constant_sums(self, node: nodes.Add | nodes.Concat) -> list[Any] | None:
        if isinstance(node, nodes.Add) and is_number(node):
            sides = self.constants(node.left), self.constants(node.right)
            return [
                a + b for a in sides[0] or [] for b in sides[1] or [] if isinstance(a, int) and isinstance(b, int)
            ] or None
        sums: list[Any] = [""]
        for part in node.nodes if isinstance(node, nodes.Concat) else [node.left, node.right]:
            values = self.constants(part)
            if values is None or not all(isinstance(value, str) for value in values) or len(values) * len(sums) > 16:
                return None
            sums = [before + value for before in sums for value in values]
        return sums

    def constant(self, node: nodes.Node) -> Any:
        """Return the constant that an expression stands for; None if there is none, or more than one."""
        values = self.constants(node)
        return values[0] if values and len(values) == 1 else None

    def bind(self, name: str, value: nodes.Node, *, scope: nodes.Node | None = None, also: Label = Label.CLEAN) -> None:
        """Assign an expression to a variable; `also` is the label of the condition under which it is assigned."""
        constants = self.constants(value)
        self.scopes.assign(
            name, self._label_or_namespace(value) | also, None if constants is None else set(constants), scope=scope
        )

    def label_member(self, node: nodes.Node, of: nodes.Node, key: object) -> Label:
        """Return the label of `of[key]`; `key` is None if it is not constant."""
        if isinstance(of, nodes.Name) and of.name == "loop":
            return self._label_of_loop(key)
        held = self._held(of)
        of_tool = held & Label.TOOLS and not held & (CONVERSATION | Label.NAMESPACE)
        if of_tool and isinstance(key, str) and (key not in SCHEMA_WORDS or self._is_of_parameters(of)):
            self.report(node, Rule.TOOL_DECISION, "reads a member that no schema has, such as a parameter by its name")
        found = self.scopes.attribute(key) if not held & ~Label.NAMESPACE else Label.CLEAN
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
                return bool(self.constant(node.arg) == _PARAMETERS)
            case nodes.Call(node=nodes.Getattr(attr="get"), args=[key, *_]):
                return bool(self.constant(key) == _PARAMETERS)
            case _:
                return False

    def _held(self, node: nodes.Node) -> Label:
        """Return the label of a value, which may be a namespace."""
        found = self._label_or_namespace(node)
        return found if found & Label.NAMESPACE else self.label(node)

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
        found = self.scopes.find(f"loop.{key}") or self.scopes.find("loop.")
        return (found.label if found else Label.CLEAN) | self.scopes.attribute(key)

    def _label_of_text(self, held: Label, key: object) -> Label:
        if key in ALWAYS_CLEAN:
            return Label.CLEAN  # A string has no such member, only a part of a list does.
        if key in CALL_STRUCTURE or (held & Label.PART and key in PART_KEYS - _PART_TEXTS):
            return Label.CALLS
        if isinstance(key, int):
            return Label.PART if key in _ENDS else Label.COMPUTED
        return Label.TEXT if isinstance(key, str) else Label.DERIVED

    def _label_item(self, node: nodes.Getitem) -> Label:
        held = self.label(node.node)
        if isinstance(node.arg, nodes.Slice):
            return self._label_slice(node.arg, held)
        key = self.label(node.arg)
        keys = self.constants(node.arg)
        if held & Label.TOOLS and not held & CONVERSATION and not key and not self._are_words(keys, node.node):
            self.report(node, Rule.TOOL_DECISION, "reads a member of a tool that may be any")
        if key & CONVERSATION and (not held & CONVERSATION or key & Label.COMPUTED):
            self.report(node, _TEXT_RULE, "looks something up by the text of a message")
        if key & (Label.TOOLS | Label.COUNT) and not held & (Label.TOOLS | CONVERSATION):
            self.check_tool_lookup(node, node.node)
        return self.label_member(node, node.node, self.constant(node.arg))

    def _label_slice(self, cut: nodes.Slice, held: Label) -> Label:
        """Return the label of a piece: cut where a marker is, or at its very end, or anywhere."""
        bounds = self.union(cut.iter_child_nodes())
        if not held & SECRET:
            if bounds & SECRET:
                self.report(cut, _TEXT_RULE, "cuts something by the text of a message")
                return held | Label.COMPUTED
            if bounds & (Label.TOOLS | Label.COUNT) and not held & Label.TOOLS:
                self.report(cut, Rule.TOOL_DECISION, "cuts something by a number of tools or parameters")
            return held
        if not held & (Label.TEXT | Label.PART | Label.DERIVED | Label.COMPUTED):
            return held  # A list of pieces.
        near = cut.step is None and all(
            bound is None or self.label(bound) & (Label.LENGTH | Label.MARKER_LENGTH) or self._is_short(bound)
            for bound in (cut.start, cut.stop)
        )
        if bounds & Label.COMPUTED or not near:
            return compute(held)
        return derive(held)

    def is_role(self, node: nodes.Node) -> bool:
        """Return whether this is a member of a message that says nothing about its words."""
        match node:
            case nodes.Getattr():
                return node.attr in ALWAYS_CLEAN
            case nodes.Getitem():
                return self.constant(node.arg) in ALWAYS_CLEAN
            case _:
                return False

    def _is_short(self, node: nodes.Node) -> bool:
        """Return whether this is a number that may be the length of a marker."""
        values = self.constants(node)
        return bool(values) and all(isinstance(value, int) and abs(value) <= _LONGEST_MARKER for value in values or [])

    def check_tool_lookup(self, node: nodes.Node, table: nodes.Node) -> None:
        """Report a lookup by a word of a tool, except in a literal table of schema words."""
        keys = [pair.key for pair in table.items] if isinstance(table, nodes.Dict) else None
        if keys is None or not all(self.constant(key) in SCHEMA_WORDS for key in keys):
            found = self.scopes.find(table.name) if isinstance(table, nodes.Name) else None
            if found is None or not found.constants or not found.constants <= SCHEMA_WORDS:
                self.report(node, Rule.TOOL_DECISION, "looks something up by a tool's name or words")

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
        if may_compare(operator, sides, (self.constants(left), self.constants(right)), literals=(left, right)):
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
            key, inner = self.constant(pair.key), self.label(pair.value) & CONVERSATION
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
        layout = isinstance(node, nodes.Mod) and isinstance(self.constant(node.left), str)
        numbers = held & (Label.LENGTH | Label.COMPUTED | Label.COUNT)
        if layout and not numbers:
            return derive(held)
        if isinstance(node, nodes.Neg) and held in (Label.LENGTH, Label.MARKER_LENGTH):
            return held
        step = isinstance(node, nodes.Add | nodes.Sub)
        single = step and any(self.constant(child) in (1, -1) for child in node.iter_child_nodes())
        markers = all(
            label & (Label.LENGTH | Label.MARKER_LENGTH) or (not label and self.constants(child) is None)
            for label, child in zip(operands, node.iter_child_nodes(), strict=True)
        )
        one = step and any(self._is_short(child) for child in node.iter_child_nodes())
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


def is_number(node: nodes.Node) -> bool:
    """Return whether an expression is a number, as far as can be seen from it alone."""
    match node:
        case nodes.Const(value=bool()):
            return False
        case nodes.Const(value=int() | float()) | nodes.Sub() | nodes.Mul() | nodes.Div() | nodes.FloorDiv():
            return True
        case nodes.Pow() | nodes.Neg() | nodes.Pos():
            return True
        case nodes.Filter():
            return node.name in ("length", "count", "wordcount", "int", "float", "abs", "round", "sum", "min", "max")
        case nodes.Getattr(attr="index" | "index0" | "revindex" | "revindex0" | "length" | "depth" | "depth0"):
            return isinstance(node.node, nodes.Name) and node.node.name == "loop"
        case nodes.Call(node=nodes.Getattr(attr="find" | "rfind" | "index" | "rindex" | "count")):
            return True
        case nodes.Add() | nodes.Mod():
            return is_number(node.left) or is_number(node.right)
        case _:
            return False


def _key(node: nodes.Node) -> str:
    """Return a name, or a member of one, as text; empty for any other expression."""
    match node:
        case nodes.Name():
            return node.name
        case nodes.Getattr():
            return f"{inner}.{node.attr}" if (inner := _key(node.node)) else ""
        case nodes.Getitem(arg=nodes.Const(value=member)):
            return f"{inner}.{member}" if (inner := _key(node.node)) else ""
        case _:
            return ""


def _not_strings(test: nodes.Node, holds: bool) -> frozenset[str]:
    """Return the expressions that are not strings if the condition holds, or does not."""
    match test:
        case nodes.Not():
            return _not_strings(test.node, not holds)
        case nodes.And() if holds:
            return _not_strings(test.left, True) | _not_strings(test.right, True)
        case nodes.Or() if not holds:
            return _not_strings(test.left, False) | _not_strings(test.right, False)
        case nodes.Test(name="string") if not holds:
            return frozenset({_key(test.node)} - {""})
        case nodes.Test(name="mapping") if holds:
            return frozenset({_key(test.node)} - {""})
        case _:
            return frozenset()
