"""Labels of filters, methods and functions, and which of them a text may be given to."""

from __future__ import annotations

from collections.abc import Sequence

from jinja2 import nodes

from bitagent_evaluator.chat_templates.audit.analysis import Analysis
from bitagent_evaluator.chat_templates.audit.constants import Constants
from bitagent_evaluator.chat_templates.audit.findings import Rule
from bitagent_evaluator.chat_templates.audit.labels import (
    CONVERSATION,
    SCHEMA_WORDS,
    SECRET,
    Label,
    compute,
    derive,
)
from bitagent_evaluator.chat_templates.audit.members import Members
from bitagent_evaluator.chat_templates.audit.rules import (
    CHANGING_FILTERS,
    JOINING_FILTERS,
    KEEPING_FILTERS,
    MARKER_METHODS,
    MEMBER_METHODS,
    READING_FILTERS,
    SHAPE_TESTS,
    TOOL_FILTERS,
    TOOL_METHODS,
    is_marker,
    is_separator,
    is_stripped,
)

_SHORT = 8
"""Most characters of a replacement that cannot be an answer, such as `\\n// ` or `&lt;`."""
_SEEKING = frozenset({"index", "rindex", "count", "batch", "slice", "truncate", "center", "wordwrap", *MARKER_METHODS})
"""Methods and filters of a text whose result depends on where another text is in it, or on a number."""
_ORDERING = frozenset({"sort", "unique"})
"""Filters that compare the items of a list."""
_LINES = frozenset({"splitlines"})
_BY_ATTRIBUTE = frozenset({"selectattr", "rejectattr", "map"})
_PLAIN_ATTRIBUTES = frozenset({"role", "type"})


class Calls:
    """Labels the filters, tests by attribute, methods and function calls of a template."""

    def __init__(self, expressions: Analysis, constants: Constants, members: Members) -> None:
        self._expressions = expressions
        self._constants = constants
        self._members = members

    def _refuse(self, node: nodes.Node, explanation: str) -> Label:
        """Report a decision on a text; its result is computed from one."""
        self._expressions.report(node, Rule.TEXT_DECISION, explanation)
        return Label.COMPUTED

    def _arguments(self, node: nodes.Filter | nodes.Call) -> list[nodes.Node]:
        more = [extra for extra in (node.dyn_args, node.dyn_kwargs) if extra is not None]
        return [*node.args, *(pair.value for pair in node.kwargs), *more]

    def label_filter(self, node: nodes.Filter) -> Label:
        """Return the label of `value | name(...)`. A `filter` block has no value: the caller labels its text."""
        held = self._expressions.label(node.node) if node.node is not None else Label.CLEAN
        return self.apply_filter(node, held)

    def apply_filter(self, node: nodes.Filter, held: Label) -> Label:
        """Return the label of the filter applied to a value with the label `held`."""
        name, arguments = node.name, self._arguments(node)
        given = self._expressions.union(arguments)
        if name in ("default", "d"):
            if held & Label.COMPUTED:
                return self._refuse(node, "falls back on a default by a piece of a message's text")
            return held | given
        if given & CONVERSATION and name == "format" and not given & (Label.COMPUTED | Label.LENGTH) and not held:
            return derive(given)
        if given & CONVERSATION:
            return self._refuse(node, f"gives the text of a message to |{name}")
        if name in ("length", "count"):
            constants = self._constants.of(node.node) if node.node is not None else None
            return Label.MARKER_LENGTH if constants and all(map(is_marker, constants)) else _label_of_length(held)
        if not held & (CONVERSATION | Label.TOOLS):
            self._check_sought_in_constant(node, name)
            return held | given
        if held & CONVERSATION and name in _BY_ATTRIBUTE:
            return self._label_by_attribute(node, held)
        if held & CONVERSATION and name in READING_FILTERS:
            return Label.CALLS | Label.TEXT
        if held & CONVERSATION and name in CHANGING_FILTERS:
            return compute(held)
        if held & CONVERSATION and name == "sort" and self._sorts_by_type(node):
            return held
        if name in ("min", "max") and held == Label.LENGTH:
            return held
        if name in KEEPING_FILTERS and (name != "trim" or self._only_blanks(arguments)):
            return _label_of_same_text(held)
        if name in JOINING_FILTERS:
            return self._label_join(name, held)
        if held in (Label.TOOLS, Label.TOOLS | Label.COUNT) and name in TOOL_FILTERS:
            sought = {
                "replace": slice(0, 1),
                "map": slice(1, None),
                "selectattr": slice(2, None),
                "rejectattr": slice(2, None),
            }.get(name)
            if name in _ORDERING and isinstance(node.node, nodes.List | nodes.Tuple | nodes.Add):
                self._expressions.report(node, Rule.TOOL_DECISION, "compares what a tool is called by sorting")
            self._check_tool_words(node, arguments)
            self._check_tool_words(node, arguments[sought] if sought is not None else [], longest=0)
            return held
        if not held & CONVERSATION:
            self._expressions.report(node, Rule.TOOL_DECISION, f"applies |{name} to a tool")
            return held
        if (
            name == "replace"
            and not held & ~(Label.TEXT | Label.DERIVED | Label.TOOLS)
            and self._only_separators(arguments)
        ):
            return held
        return self._refuse(node, f"applies |{name} to a message")

    def _sorts_by_type(self, node: nodes.Filter) -> bool:
        named = [pair.value for pair in node.kwargs if pair.key == "attribute"]
        return len(named) == 1 == len(node.kwargs) and self._constants.single(named[0]) in _PLAIN_ATTRIBUTES

    def _label_join(self, name: str, held: Label) -> Label:
        if name in ("first", "last") and held & Label.MESSAGES:
            return Label.MESSAGE
        if held == Label.PIECES:
            return Label.TEXT if name in ("join", "first", "last") else held
        if held == Label.TEXT and name in ("items", "dictsort"):
            return Label.PIECES
        if held == Label.TEXT:
            return {"join": Label.TEXT, "list": Label.TEXT}.get(
                name, Label.PART if name in ("first", "last") else Label.DERIVED
            )
        whole = held & (Label.MESSAGES | Label.CALLS | Label.TOOLS) and name != "join"
        return held if whole else _label_of_same_text(held)

    def _label_by_attribute(self, node: nodes.Filter, held: Label) -> Label:
        """Return the label of `selectattr('role', 'equalto', 'user')` and `map(attribute='role')`."""
        named = [pair.value for pair in node.kwargs if pair.key == "attribute"]
        first = named[0] if named else node.args[0] if node.args else None
        attribute = self._constants.single(first) if first is not None else None
        if node.name == "map" and not named:
            filters = KEEPING_FILTERS | {"list", "join"}
            if attribute in filters and len(node.args) == 1 and not held & (Label.MESSAGES | Label.MESSAGE):
                return held
            return self._refuse(node, "applies |map to a message")
        if node.name == "map":
            if attribute in _PLAIN_ATTRIBUTES:
                return Label.CLEAN
            return Label.PIECES if held == Label.TEXT and attribute == "text" else derive(held) | Label.DERIVED
        test = self._constants.single(node.args[1]) if len(node.args) > 1 else "defined"
        whole = isinstance(attribute, str) and "." not in attribute
        if attribute in _PLAIN_ATTRIBUTES or (whole and test in SHAPE_TESTS):
            return held
        return self._refuse(node, f"selects messages by {attribute!r}")

    def label_call(self, node: nodes.Call) -> Label:
        """Return the label of `f(...)` and `value.method(...)`."""
        given = self._expressions.union(self._arguments(node))
        if isinstance(node.node, nodes.Getattr):
            return self._label_method(node, node.node, given)
        if isinstance(node.node, nodes.Name):
            name = node.node.name
            if name in self._expressions.macros and self._expressions.scopes.find(name) is None:
                return self._label_macros(node, self._expressions.macros[name])
            if name in ("namespace", "dict"):
                for pair in node.kwargs:
                    self._expressions.scopes.assign_attribute(pair.key, self._expressions.label(pair.value))
                whole = [*node.args, *(extra for extra in (node.dyn_args, node.dyn_kwargs) if extra is not None)]
                safe = name == "namespace" and not self._expressions.union(whole) & CONVERSATION
                return Label.NAMESPACE if safe else derive(given)
            if name == "raise_exception":
                return Label.CLEAN
        held = self._expressions.label(node.node)
        if name_is_range := isinstance(node.node, nodes.Name) and node.node.name == "range":
            if given & Label.COMPUTED:
                return self._refuse(node, "counts the text of a message")
            return Label.LENGTH if given & CONVERSATION else held | given
        if (held | given) & CONVERSATION and not name_is_range:
            return self._refuse(node, "gives the text of a message to a function")
        return held | given

    def _label_macros(self, node: nodes.Call, macros: list[nodes.Macro]) -> Label:
        found = Label.CLEAN
        for macro in macros:  # One name may be defined several times.
            found |= self._label_macro(node, macro)
        return found

    def _label_macro(self, node: nodes.Call, macro: nodes.Macro) -> Label:
        """Assign the arguments to the macro's parameters; return the label of what its body writes."""
        names = [parameter.name for parameter in macro.args]
        given = [*zip(names, node.args, strict=False), *((pair.key, pair.value) for pair in node.kwargs)]
        for name, value in given:
            self._expressions.bind(name, value, scope=macro)
        rest = [value for name, value in given if name not in names]
        rest += [*node.args[len(names) :], *(extra for extra in (node.dyn_args, node.dyn_kwargs) if extra is not None)]
        if self._expressions.union(rest) & CONVERSATION:
            self._refuse(node, "gives the text of a message to a macro that names no parameter for it")
        return self._expressions.macro_labels.get(id(macro), Label.CLEAN)

    def _label_method(self, node: nodes.Call, method: nodes.Getattr, given: Label) -> Label:
        name = method.attr
        if isinstance(method.node, nodes.Name) and method.node.name == "loop" and not given & CONVERSATION:
            return given | self._members.label_member(node, method.node, name)
        held = self._expressions.label(method.node)
        if name == "get" and node.args and held & (Label.MESSAGE | Label.PART | Label.CALLS | Label.TOOLS):
            return self._members.label_member(node, method.node, self._constants.single(node.args[0])) | given
        if held & Label.TOOLS and not held & CONVERSATION and not given & CONVERSATION:
            return self._label_tool_method(node, name, held)
        if held & Label.MESSAGE and name in ("keys", "items", "values"):
            return Label.CLEAN if name == "keys" else Label.DERIVED
        if held & CONVERSATION and not held & Label.COMPUTED and name in MEMBER_METHODS:
            if given & (Label.COMPUTED | Label.LENGTH):
                return self._refuse(node, f"gives a number that depends on a message to .{name}()")
            return Label.PIECES
        if held & CONVERSATION and name in CHANGING_FILTERS:
            return compute(held)
        if held & CONVERSATION:
            return self._label_text_method(node, name, held)
        if given & CONVERSATION:
            allowed = name in ("join", "format", "append") and not given & (Label.LENGTH | Label.COMPUTED)
            return Label.DERIVED if allowed else self._refuse(node, f"gives the text of a message to .{name}()")
        if given & Label.TOOLS and name == "get":
            self._members.check_tool_lookup(node, method.node)
        self._check_sought_in_constant(node, name)
        return held | given | self._members.label_member(node, method.node, name)

    def _label_text_method(self, node: nodes.Call, name: str, held: Label) -> Label:
        if name in _LINES and not node.args:
            return Label.COMPUTED if held & Label.COMPUTED else Label.PIECES
        blanks = not name.endswith("strip") or self._only_blanks(node.args)
        if name not in MARKER_METHODS or not blanks or not self._only_separators(node.args) or node.kwargs:
            return self._refuse(
                node, f"applies .{name}() to the text of a message, with other words than a format's markers"
            )
        if name in ("split", "rsplit", "partition", "rpartition"):
            return self._label_of_split(node, held)
        if held & Label.COMPUTED and MARKER_METHODS[name] == Label.TEXT:
            return Label.COMPUTED
        if held != Label.TEXT and MARKER_METHODS[name] == Label.TEXT:
            return Label.DERIVED
        return MARKER_METHODS[name]

    def _label_of_split(self, node: nodes.Call, held: Label) -> Label:
        """Return PIECES for a split by markers; a split by blanks gives words, and their number."""
        markers = self._constants.of(node.args[0]) if node.args else None
        if held & Label.COMPUTED or not markers or not all(str(mark).strip() or "\n" in str(mark) for mark in markers):
            return Label.COMPUTED
        return Label.PIECES

    def _only_blanks(self, arguments: Sequence[nodes.Node]) -> bool:
        """Stripping takes a set of characters, and any other set would tell which a text consists of."""
        return all(
            values is not None and all(map(is_stripped, values)) for values in map(self._constants.of, arguments)
        )

    def _only_separators(self, arguments: Sequence[nodes.Node]) -> bool:
        for place, argument in enumerate(arguments):
            values = self._constants.of(argument)
            if values is None and place and not self._expressions.label(argument) & CONVERSATION:
                continue  # What is written in a marker's place.
            if values is None:
                return False
            if place and all(
                isinstance(value, int) or (isinstance(value, str) and len(value) <= _SHORT) for value in values
            ):
                continue  # A count, or a short replacement.
            if not all(is_separator(value) for value in values):
                return False
        return True

    def _label_tool_method(self, node: nodes.Call, name: str, held: Label) -> Label:
        if name not in TOOL_METHODS:
            self._expressions.report(node, Rule.TOOL_DECISION, f"applies .{name}() to a tool")
        self._check_tool_words(node, node.args[:1], longest=0)  # What is looked for.
        self._check_tool_words(node, node.args[1:])
        return held

    def _check_sought_in_constant(self, node: nodes.Filter | nodes.Call, name: str) -> None:
        """Report a text of the template that is changed by a tool's name or a count: `'area'.replace(name, hint)`."""
        sought = [
            *node.args[:1],
            *(pair.value for pair in node.kwargs),
            *filter(None, (node.dyn_args, node.dyn_kwargs)),
        ]
        if name in _SEEKING and self._expressions.union(sought) & (Label.TOOLS | Label.COUNT):
            self._expressions.report(node, Rule.TOOL_DECISION, "changes a text by what a tool is called, or by a count")

    def _check_tool_words(
        self, node: nodes.Filter | nodes.Call, arguments: Sequence[nodes.Node], *, longest: int = _SHORT
    ) -> None:
        """Report constants that could be a tool's name: longer ones than `longest` that are not words of schemas."""
        for argument in arguments:
            values = self._constants.of(argument)
            if values is None and not self._expressions.label(argument) & (Label.TOOLS | Label.COUNT):
                self._expressions.report(node, Rule.TOOL_DECISION, "looks for a word in a tool that may be any")
            for value in values or []:
                if (
                    isinstance(value, str)
                    and len(value) > longest
                    and not all(word in SCHEMA_WORDS for word in value.split("."))
                    and not is_separator(value)
                ):
                    self._expressions.report(node, Rule.TOOL_DECISION, "looks for a certain word in a tool")


def _label_of_length(held: Label) -> Label:
    if held & Label.COMPUTED:
        return Label.COMPUTED
    if held & (SECRET | Label.CALLS):
        return Label.LENGTH if held & SECRET else Label.CLEAN
    return Label.COUNT if held & (Label.TOOLS | Label.COUNT) else Label.CLEAN


def _label_of_same_text(held: Label) -> Label:
    if held & (Label.MESSAGES | Label.MESSAGE):
        return held & ~CONVERSATION | held & SECRET | Label.DERIVED
    return (held & ~CONVERSATION) | (held & SECRET) | (Label.TEXT if held & Label.CALLS else Label.CLEAN)
