"""Filters, methods and functions: what comes out of them, and which may be given a text."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from jinja2 import nodes

from bitagent_evaluator.safety.audit.finding import Rule
from bitagent_evaluator.safety.audit.labels import CONVERSATION, SCHEMA_WORDS, SECRET, Label, derived
from bitagent_evaluator.safety.audit.markers import is_separator
from bitagent_evaluator.safety.audit.uses import (
    JOINING_FILTERS,
    KEEPING_FILTERS,
    MARKER_METHODS,
    SHAPE_TESTS,
    TOOL_FILTERS,
    TOOL_METHODS,
)

if TYPE_CHECKING:
    from bitagent_evaluator.safety.audit.expressions import Expressions

_SHORT = 8
"""Characters of a replacement that is no answer, such as `\\n// ` or `&lt;`."""
_BY_ATTRIBUTE = frozenset({"selectattr", "rejectattr", "map"})
_PLAIN_ATTRIBUTES = frozenset({"role", "type"})


class Calls:
    """The part of the audit's expressions that is about calls."""

    def __init__(self, expressions: Expressions) -> None:
        self._of = expressions

    def _text(self, node: nodes.Node, explanation: str) -> Label:
        self._of.report(node, Rule.TEXT_DECISION, explanation)
        return Label.DERIVED

    def _arguments(self, node: nodes.Filter | nodes.Call) -> list[nodes.Node]:
        more = [extra for extra in (node.dyn_args, node.dyn_kwargs) if extra is not None]
        return [*node.args, *(pair.value for pair in node.kwargs), *more]

    def filtered(self, node: nodes.Filter) -> Label:
        """`value | name(...)`. In a `filter` block there is no value: the block's text is looked at by the caller."""
        held = self._of.label(node.node) if node.node is not None else Label.CLEAN
        return self.filter_of(node, held)

    def filter_of(self, node: nodes.Filter, held: Label) -> Label:
        """The filter applied to something of a given label."""
        name, arguments = node.name, self._arguments(node)
        given = self._of.union(arguments)
        if name in ("default", "d"):
            if held & (Label.DERIVED | Label.PART):
                return self._text(node, "falls back on a default by a piece of a message's text")
            return held | given
        if given & CONVERSATION:
            return self._text(node, f"gives the text of a message to |{name}")
        if name in ("length", "count"):
            return _length(held)
        if not held & (CONVERSATION | Label.TOOLS):
            return held | given
        if held & (Label.MESSAGES | Label.CALLS | Label.TEXT) and name in _BY_ATTRIBUTE:
            return self._by_attribute(node, held)
        if name in KEEPING_FILTERS and (name != "trim" or self._only_blanks(arguments)):
            return _kept(held)
        if name in JOINING_FILTERS:
            return self._joined(name, held)
        if held == Label.TOOLS and name in TOOL_FILTERS:
            self._tool_words(node, arguments)
            return held
        if held == Label.TOOLS:
            self._of.report(node, Rule.TOOL_DECISION, f"applies |{name} to a tool")
            return held
        if name == "replace" and held == Label.TEXT and self._only_separators(arguments):
            return held
        return self._text(node, f"applies |{name} to a message")

    def _joined(self, name: str, held: Label) -> Label:
        if name in ("first", "last") and held & Label.MESSAGES:
            return Label.MESSAGE
        if held == Label.PIECES:
            return Label.TEXT if name in ("join", "first", "last") else held
        if held == Label.TEXT:
            return {"join": Label.TEXT, "list": Label.TEXT}.get(
                name, Label.PART if name in ("first", "last") else Label.DERIVED
            )
        whole = held & (Label.MESSAGES | Label.CALLS | Label.TOOLS) and name != "join"
        return held if whole else _kept(held)

    def _by_attribute(self, node: nodes.Filter, held: Label) -> Label:
        """`selectattr('role', 'equalto', 'user')` and `map(attribute='role')`."""
        named = [pair.value for pair in node.kwargs if pair.key == "attribute"]
        first = named[0] if named else node.args[0] if node.args else None
        attribute = self._of.constant(first) if first is not None else None
        if node.name == "map":
            if not named or not isinstance(attribute, str):
                return self._text(node, "applies |map to a message")
            if attribute in _PLAIN_ATTRIBUTES:
                return Label.CLEAN
            return Label.PIECES if held == Label.TEXT and attribute == "text" else Label.DERIVED
        test = self._of.constant(node.args[1]) if len(node.args) > 1 else "defined"
        whole = isinstance(attribute, str) and "." not in attribute
        if attribute in _PLAIN_ATTRIBUTES or (whole and test in SHAPE_TESTS):
            return held
        return self._text(node, f"selects messages by {attribute!r}")

    def called(self, node: nodes.Call) -> Label:
        """`f(...)` and `value.method(...)`."""
        given = self._of.union(self._arguments(node))
        if isinstance(node.node, nodes.Getattr):
            return self._method(node, node.node, given)
        if isinstance(node.node, nodes.Name):
            name = node.node.name
            if name in self._of.macros and self._of.scopes.find(name) is None:
                return self._macros(node, self._of.macros[name])
            if name in ("namespace", "dict"):
                for pair in node.kwargs:
                    self._of.scopes.assign_attribute(pair.key, self._of.label(pair.value))
                whole = [*node.args, *(extra for extra in (node.dyn_args, node.dyn_kwargs) if extra is not None)]
                safe = name == "namespace" and not self._of.union(whole) & CONVERSATION
                return Label.NAMESPACE if safe else derived(given)
            if name == "raise_exception":
                return Label.CLEAN
        held = self._of.label(node.node)
        if (held | given) & CONVERSATION:
            return self._text(node, "gives the text of a message to a function")
        return held | given

    def _macros(self, node: nodes.Call, macros: list[nodes.Macro]) -> Label:
        found = Label.CLEAN
        for macro in macros:  # One name may be defined several times.
            found |= self._macro(node, macro)
        return found

    def _macro(self, node: nodes.Call, macro: nodes.Macro) -> Label:
        """A macro's parameters get what it is called with; what it makes is known from its body."""
        names = [parameter.name for parameter in macro.args]
        given = [*zip(names, node.args, strict=False), *((pair.key, pair.value) for pair in node.kwargs)]
        for name, value in given:
            self._of.bind(name, value, inside=macro)
        rest = [value for name, value in given if name not in names]
        rest += [*node.args[len(names) :], *(extra for extra in (node.dyn_args, node.dyn_kwargs) if extra is not None)]
        if self._of.union(rest) & CONVERSATION:
            self._text(node, "gives the text of a message to a macro that names no parameter for it")
        return self._of.results.get(id(macro), Label.CLEAN)

    def _method(self, node: nodes.Call, method: nodes.Getattr, given: Label) -> Label:
        name = method.attr
        if isinstance(method.node, nodes.Name) and method.node.name == "loop" and not given & CONVERSATION:
            return given | self._of.member(node, method.node, name)
        held = self._of.label(method.node)
        if name == "get" and node.args and held & (Label.MESSAGE | Label.PART | Label.CALLS | Label.TOOLS):
            return self._of.member(node, method.node, self._of.constant(node.args[0])) | given
        if held & Label.TOOLS and not held & CONVERSATION and not given & CONVERSATION:
            return self._tool_method(node, name, held)
        if held & (Label.MESSAGE | Label.CALLS) and name in ("keys", "items", "values"):
            return Label.CLEAN if name == "keys" else Label.DERIVED
        if held & CONVERSATION:
            return self._text_method(node, name, held)
        if given & CONVERSATION:
            allowed = name in ("join", "format") and not given & (Label.LENGTH | Label.PART)
            return Label.DERIVED if allowed else self._text(node, f"gives the text of a message to .{name}()")
        if given & Label.TOOLS and name == "get":
            self._of.tool_lookup(node, method.node)
        return held | given | self._of.member(node, method.node, name)

    def _text_method(self, node: nodes.Call, name: str, held: Label) -> Label:
        blanks = not name.endswith("strip") or self._only_blanks(node.args)
        if name not in MARKER_METHODS or not blanks or not self._only_separators(node.args) or node.kwargs:
            return self._text(
                node, f"applies .{name}() to the text of a message, with other words than a format's markers"
            )
        if held != Label.TEXT:
            return Label.DERIVED
        if name in ("split", "rsplit", "partition", "rpartition"):
            marker = node.args and (self._of.constant(node.args[0]) or "").strip()
            return Label.PIECES if marker else Label.DERIVED
        return MARKER_METHODS[name]

    def _only_blanks(self, arguments: Sequence[nodes.Node]) -> bool:
        """Stripping takes a set of characters, and any other set would tell which a text consists of."""
        return all(
            values is not None and not any(str(value).strip() for value in values)
            for values in map(self._of.constants, arguments)
        )

    def _only_separators(self, arguments: Sequence[nodes.Node]) -> bool:
        for place, argument in enumerate(arguments):
            values = self._of.constants(argument)
            if values is None:
                return False
            if place and all(
                isinstance(value, int) or (isinstance(value, str) and len(value) <= _SHORT) for value in values
            ):
                continue  # A count, or a short replacement.
            if not all(is_separator(value) for value in values):
                return False
        return True

    def _tool_method(self, node: nodes.Call, name: str, held: Label) -> Label:
        if name not in TOOL_METHODS:
            self._of.report(node, Rule.TOOL_DECISION, f"applies .{name}() to a tool")
        self._tool_words(node, list(node.args))
        return held

    def _tool_words(self, node: nodes.Filter | nodes.Call, arguments: list[nodes.Node]) -> None:
        """Constants beside a tool have to be words of schemas or too short to be a name."""
        for argument in arguments:
            for value in self._of.constants(argument) or []:
                if (
                    isinstance(value, str)
                    and len(value) > _SHORT
                    and value not in SCHEMA_WORDS
                    and not is_separator(value)
                ):
                    self._of.report(node, Rule.TOOL_DECISION, "looks for a particular word in a tool")


def _length(held: Label) -> Label:
    if held & (Label.DERIVED | Label.PIECES | Label.PART):
        return Label.DERIVED
    if held & (Label.TEXT | Label.LENGTH):
        return Label.LENGTH
    return held & Label.TOOLS


def _kept(held: Label) -> Label:
    whole = held & (Label.MESSAGES | Label.MESSAGE | Label.CALLS)
    return (held & ~CONVERSATION) | (held & SECRET) | (Label.TEXT if whole else Label.CLEAN)
