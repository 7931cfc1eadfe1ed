"""What a template may do to a text: lists of filters, tests and methods. What is not listed may not touch one."""

from __future__ import annotations

from collections.abc import Mapping

from bitagent_evaluator.safety.audit.labels import Label

KEEPING_FILTERS = frozenset({"trim", "string", "safe", "e", "escape", "tojson", "indent"})
"""Filters after which a text is still that text. Their arguments have to be constants."""

JOINING_FILTERS = frozenset({"join", "list", "first", "last", "reverse", "items", "dictsort"})

TOOL_FILTERS = frozenset(
    {"upper", "lower", "title", "capitalize", "replace", "sort", "unique", "map", "selectattr", "rejectattr"}
)
"""Allowed on tools besides the others: they change how a tool is written, and the arguments are looked at."""

SHAPE_TESTS = frozenset(
    {"string", "none", "defined", "undefined", "mapping", "sequence", "iterable", "boolean", "number", "integer", "float", "true", "false", "callable"}
)  # fmt: skip
"""Tests that tell what kind of value it is, not what it says."""

COMPARING_TESTS: Mapping[str, str] = {
    **dict.fromkeys(("eq", "==", "equalto", "sameas"), "eq"),
    **dict.fromkeys(("ne", "!="), "ne"),
    **dict.fromkeys(("gt", ">", "greaterthan"), "gt"),
    **dict.fromkeys(("lt", "<", "lessthan"), "lt"),
    **dict.fromkeys(("ge", ">="), "gteq"),
    **dict.fromkeys(("le", "<="), "lteq"),
    "in": "in",
}
"""Tests that are comparisons, by the operator that they stand for."""

MARKER_METHODS: Mapping[str, Label] = {
    "startswith": Label.CLEAN,
    "endswith": Label.CLEAN,
    "split": Label.TEXT,
    "rsplit": Label.TEXT,
    "partition": Label.TEXT,
    "rpartition": Label.TEXT,
    "replace": Label.TEXT,
    "removeprefix": Label.TEXT,
    "removesuffix": Label.TEXT,
    "strip": Label.TEXT,
    "lstrip": Label.TEXT,
    "rstrip": Label.TEXT,
}
"""Methods of a text that may be given markers and whitespace, by what they make of it."""

TOOL_METHODS = frozenset({"upper", "lower", "title", "capitalize", "keys", "values", "items", "get", *MARKER_METHODS})
