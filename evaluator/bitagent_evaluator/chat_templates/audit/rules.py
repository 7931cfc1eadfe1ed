"""Allowed uses of a text, and checks of single nodes.

Markers, filters, tests, methods and comparisons that are not listed are refused. Markers of conversation formats are
the only words that a template may look for in a text. No task of a benchmark contains them, so a decision on a marker
does not depend on the task. The usual one is `</think>` in an earlier answer.

The checks of single nodes (tables, encoded data, literals of a benchmark, values that differ between validators) need
no knowledge of the conversation.
"""

from __future__ import annotations

import functools
import operator
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from jinja2 import nodes

from bitagent_evaluator.chat_templates.audit.benchmark.literals import find_names, find_values
from bitagent_evaluator.chat_templates.audit.findings import Rule, Severity
from bitagent_evaluator.chat_templates.audit.labels import BUILTIN_TOOLS, CONVERSATION, PART_WORDS, SCHEMA_WORDS, Label

MAX_TABLE = 24
"""Most members of one literal, nested ones included. Templates list schema types or special tokens, a dozen at most."""
MAX_TABLE_CHARACTERS = 1500
MAX_VALUES = 2
"""Ground-truth values that may be coincidence, such as cities and dates."""
_ENCODED = re.compile(r"[A-Za-z0-9+/_-]{120,}={0,2}")
_DISTINCT_CHARACTERS = 16
"""Fewest different characters of encoded data; a line of dashes has one."""
_NOT_PROVIDED = frozenset({"random", "lipsum"})
_JINJA_NAMES = frozenset({"loop", "self", "caller", "varargs", "kwargs"})

NodeFinding = tuple[nodes.Node, Rule, Severity, str]


def check_nodes(template: nodes.Template) -> Iterator[NodeFinding]:
    """Yield the findings of all checks."""
    yield from _tables(template)
    yield from _literals(template)
    yield from _nondeterminism(template)
    for name in template.find_all(nodes.Name):
        if name.name in _JINJA_NAMES and name.ctx != "load":
            yield name, Rule.TEXT_DECISION, Severity.REFUSE, f"gives {name.name}, which Jinja sets, another meaning"


def _tables(template: nodes.Template) -> Iterator[NodeFinding]:
    inner: set[int] = set()
    used = {name.name for name in template.find_all(nodes.Name) if name.ctx == "load"}
    variables = {
        id(set_.node): set_.target.name
        for set_ in template.find_all(nodes.Assign)
        if isinstance(set_.target, nodes.Name)
    }
    for table in template.find_all((nodes.Dict, nodes.List, nodes.Tuple)):
        if id(table) in inner:
            continue
        inner.update(id(below) for below in table.find_all((nodes.Dict, nodes.List, nodes.Tuple)))
        members = [
            child
            for child in table.find_all(nodes.Expr)
            if not isinstance(child, nodes.Dict | nodes.List | nodes.Tuple)
        ]
        characters = sum(len(text) for member in members for text in _strings(member))
        if len(members) > MAX_TABLE or characters > MAX_TABLE_CHARACTERS:
            explanation = f"holds a table of {len(members)} members with {characters} characters, and few need one"
            severity = Severity.NOTE if variables.get(id(table)) in used else Severity.REFUSE
            yield table, Rule.TABLE, severity, explanation


def _literals(template: nodes.Template) -> Iterator[NodeFinding]:
    values: dict[str, nodes.Node] = {}
    for node in template.find_all((nodes.Const, nodes.TemplateData, nodes.Concat, nodes.Add, nodes.Keyword)):
        for text in _strings(node):
            if any(len(set(run[0])) >= _DISTINCT_CHARACTERS for run in _ENCODED.finditer(text)):
                yield node, Rule.TABLE, Severity.REFUSE, "holds encoded data"
            for name in find_names(text):
                yield node, Rule.BENCHMARK, Severity.REFUSE, f"names {name}, a function of a known benchmark"
            values |= dict.fromkeys(find_values(text), node)
    severity = Severity.REFUSE if len(values) > MAX_VALUES else Severity.NOTE
    for value, node in values.items():
        yield node, Rule.BENCHMARK, severity, f"holds {value[:60]!r}, an expected value of a known benchmark"


def _strings(node: nodes.Node) -> list[str]:
    """Return the texts of a constant, or of constants that are concatenated."""
    match node:
        case nodes.Const(value=str(text)) | nodes.TemplateData(data=str(text)):
            return [text]
        case nodes.Keyword():
            return [node.key]
        case nodes.Concat():
            return _concatenated(node.nodes)
        case nodes.Add():
            return _concatenated([node.left, node.right])
        case _:
            return []


def _concatenated(parts: list[nodes.Expr]) -> list[str]:
    texts = [_strings(part) for part in parts]
    return ["".join(text[0] for text in texts if text)] if any(texts) else []


def _nondeterminism(template: nodes.Template) -> Iterator[NodeFinding]:
    for name in template.find_all(nodes.Name):
        if name.name == "strftime_now":
            yield name, Rule.NONDETERMINISM, Severity.NOTE, "asks for the date, which is always 2026-01-01"
        elif name.name in _NOT_PROVIDED and name.ctx == "load":
            yield (
                name,
                Rule.NONDETERMINISM,
                Severity.REFUSE,
                f"uses {name.name}, which does not exist here: prompts must not depend on chance",
            )
    for used in template.find_all(nodes.Filter):
        if used.name in _NOT_PROVIDED:
            yield (
                used,
                Rule.NONDETERMINISM,
                Severity.REFUSE,
                f"uses |{used.name}, which does not exist here: prompts must not depend on chance",
            )


_TAGS = (
    "think|thinking|thought|reasoning|reflection|answer|tool|tools|tool_call|tool_calls|tool_response|tool_result"
    "|tool_results|tool_outputs?|function|functions|function_call|function_calls|function_results?|available_tools"
    "|scratch_pad|s|bos|eos|turn|start_of_turn|end_of_turn|start_of_image|end_of_image|image_soft_token"
    "|image|video|audio"
)
_BRACKETS = (
    "INST|AVAILABLE_TOOLS|TOOL_CALLS|TOOL_RESULTS|TOOL_CONTENT|SYSTEM_PROMPT|MODEL_SETTINGS|THINK|ARGS|CALL_ID|IMG"
)
MARKER = re.compile(
    rf"<\|[^<>|\n]{{1,40}}\|>|<｜[^<>｜\n]{{1,40}}｜>|</?(?:{_TAGS})>|<<?/?SYS>>?"
    rf"|\[/?(?:{_BRACKETS})\]|/(?:no_?)?think\b|/system_override\b|detailed thinking (?:on|off)\b"
)
"""One marker."""


_LONGEST_HEADER = 16
"""Most characters between two markers, such as a channel or a role."""
_FORMAT_WORD = re.compile(
    rf"\s*(?:(?:{MARKER.pattern})\s*|<[^<>\n]{{0,40}}>\s*|<<+[^<>\n]{{1,24}}>+>\s*|\[/?[A-Z][A-Z0-9_ ]{{1,40}}\]\s*"
    r"|detailed thinking (?:on|off)|reasoning strength|\.[a-z]\w{1,4}|CONTINUE_FINAL_MESSAGE_TAG\s*|[^\w\s?]{1,4}\s*)+"
)
"""Markers of any format: a word in angle brackets, capitals in square brackets, punctuation without words.

More than MARKER, which is also what the differential probe leaves in a text.
"""


def is_marker(text: object) -> bool:
    """Return whether a constant consists of markers and punctuation, with or without whitespace around them."""
    if not isinstance(text, str):
        return False
    parts = MARKER.split(text)
    between = len(parts) > 1 and not parts[0].strip() and not parts[-1].strip()
    return _FORMAT_WORD.fullmatch(text) is not None or (between and max(map(len, parts)) <= _LONGEST_HEADER)


def is_separator(text: object) -> bool:
    """Return whether a constant is a marker or only whitespace, which a template may split by, strip and replace."""
    return isinstance(text, str) and (not text.strip() or is_marker(text))


def is_stripped(text: object) -> bool:
    """Return whether a constant is whitespace or a tag: stripping takes a set of characters, which words consist of."""
    return isinstance(text, str) and (not text.strip() or re.fullmatch(rf"</?(?:{_TAGS})>", text.strip()) is not None)


KEEPING_FILTERS = frozenset({"trim", "string", "safe", "e", "escape", "tojson", "indent", "urlencode"})
"""Filters whose result is still the same text. Their arguments have to be constants."""

READING_FILTERS = frozenset({"from_json", "fromjson", "parse_json"})
"""Filters of some libraries that read the arguments of an earlier call. None exists here."""

CHANGING_FILTERS = frozenset({"lower", "upper", "title", "capitalize"})
"""Filters whose result is another text, in which a template may look for markers only."""

JOINING_FILTERS = frozenset({"join", "list", "first", "last", "reverse", "items", "dictsort"})
"""Filters that take lists apart or put them together."""

TOOL_FILTERS = frozenset(
    {"upper", "lower", "title", "capitalize", "replace", "sort", "unique", "map", "selectattr", "rejectattr"}
)
"""Filters that are also allowed on tools: they change how a tool is written. Their arguments are checked."""

SHAPE_TESTS = frozenset(
    {
        *("string", "none", "defined", "undefined", "mapping", "sequence", "iterable"),
        *("boolean", "number", "integer", "float", "true", "false", "callable"),
    }
)
"""Tests of the kind of a value, which do not depend on its words."""

COMPARING_TESTS: Mapping[str, str] = {
    **dict.fromkeys(("eq", "==", "equalto", "sameas"), "eq"),
    **dict.fromkeys(("ne", "!="), "ne"),
    **dict.fromkeys(("gt", ">", "greaterthan"), "gt"),
    **dict.fromkeys(("lt", "<", "lessthan"), "lt"),
    **dict.fromkeys(("ge", ">="), "gteq"),
    **dict.fromkeys(("le", "<="), "lteq"),
    "in": "in",
}
"""Tests that are comparisons, with their operators."""

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
    "find": Label.LENGTH,
    "rfind": Label.LENGTH,
    "index": Label.LENGTH,
    "rindex": Label.LENGTH,
    "count": Label.LENGTH,
}
"""Methods of a text that may be called with markers and whitespace, with the label of their result."""

MEMBER_METHODS = frozenset({"items", "keys", "values", "get", "append", "extend"})
"""Methods of structured content, which a text does not have."""

TOOL_METHODS = frozenset({"upper", "lower", "title", "capitalize", "keys", "values", "items", "get", *MARKER_METHODS})
"""Methods that are allowed on tools; their arguments are checked."""

_WORD = re.compile(r"[$\w]+(?:[-/]\w+)*")
_Constants = list[Any] | None
_FEW = range(-1, 3)
_NOTHING = frozenset({"", "null", "None", "none", "true", "false", "True", "False"})
"""Values of JSON and Python that a template may look for in arguments."""
_WEAK = Label.DERIVED | Label.PIECES | Label.PART


def _is_schema_word(text: object) -> bool:
    """Return whether a constant is a word of schemas, or several with punctuation, such as "object | object"."""
    return isinstance(text, str) and all(
        word in SCHEMA_WORDS or word.lower() in SCHEMA_WORDS for word in _WORD.findall(text)
    )


def _is_marker_or_break(word: object) -> bool:
    return is_marker(word) or (isinstance(word, str) and bool(word) and not word.strip("\n"))


def _is_part_word(word: object) -> bool:
    return word in PART_WORDS or _is_marker_or_break(word)


def is_type_name(text: str) -> bool:
    """Return whether a text that a template writes consists of words of schemas, such as `any[]`."""
    return bool(text.strip()) and _is_schema_word(text)


_WORDS: Mapping[Label, Callable[[object], bool]] = {
    Label.MESSAGE: lambda word: isinstance(word, str),
    Label.CALLS: lambda word: isinstance(word, str),
    Label.TEXT: _is_marker_or_break,
    Label.DERIVED: _is_part_word,
    Label.PIECES: _is_marker_or_break,
    Label.COMPUTED: is_marker,
    Label.PART: _is_part_word,
    Label.TOOLS: lambda word: _is_schema_word(word) or is_marker(word),
}
"""The constants that a template may look for in a value of each label."""


def may_compare(
    comparison: str,
    sides: tuple[Label, Label],
    constants: tuple[_Constants, _Constants],
    *,
    literals: tuple[nodes.Node, nodes.Node],
) -> bool:
    """Return whether comparing values of these labels tells nothing about a task.

    `constants` are the values that either side may have, `literals` the two expressions.
    """
    left, right = (side & ~Label.MARKER_LENGTH for side in sides)
    if not left | right:
        return True
    if comparison in ("in", "notin"):
        return _may_contain(left, right, constants)
    if right and (not left or constants[0]):
        (left, right), constants, literals = (right, left), constants[::-1], literals[::-1]
    empty = isinstance(literals[1], nodes.List | nodes.Dict) and not literals[1].items
    values = constants[1]
    if values or empty:
        return all(_may_equal(comparison, left, value) for value in values or [""])
    return _may_compare_variables(comparison, left, right)


def _may_compare_variables(comparison: str, left: Label, right: Label) -> bool:
    """Return whether two values may be compared, neither of which is known."""
    both, equality = left | right, comparison in ("eq", "ne")
    if both & Label.COMPUTED:
        return False
    if both & Label.COUNT:
        return left == right
    if both & Label.TOOLS:
        return equality and not both & Label.LENGTH
    if both & (Label.TEXT | Label.PART):
        return equality and bool(left & CONVERSATION and right & CONVERSATION)
    return True


def _may_equal(comparison: str, label: Label, value: object) -> bool:
    """Return whether a value with this label may be compared with a constant."""
    if value is None or isinstance(value, bool):
        return not label & (Label.COMPUTED | Label.LENGTH)
    if isinstance(value, int | float):
        if label & Label.COMPUTED or (label & Label.TEXT and not label & (Label.LENGTH | _WEAK)):
            return False
        return value in _FEW if not label & (Label.COUNT | Label.TOOLS) else -1 <= value <= 1
    if not isinstance(value, str) or (comparison not in ("eq", "ne") and value):
        return False
    if value.strip() in _NOTHING and not label & Label.COMPUTED:
        return True
    if is_marker(value) and label & Label.COMPUTED:
        return any(map(str.isalpha, value))
    if not value or is_marker(value):
        return True
    if label & Label.TOOLS and _is_schema_word(value):
        return True
    if label & (Label.TEXT | Label.COMPUTED | Label.LENGTH | Label.DERIVED | Label.PIECES):
        return value in BUILTIN_TOOLS
    if label & Label.PART:
        return value in PART_WORDS
    return bool(label & Label.TOOLS) and value in BUILTIN_TOOLS


def _may_contain(needle: Label, hay: Label, constants: tuple[_Constants, _Constants]) -> bool:
    """Return whether the test `needle in hay` is allowed."""
    inside = constants[1]
    if not hay or inside:
        if needle & (Label.COMPUTED | Label.LENGTH | Label.COUNT):
            return False
        return inside is not None and all(_may_equal("eq", needle, word) for word in inside)
    if needle in (Label.MESSAGE, Label.CALLS):
        return True
    if needle & Label.TOOLS:
        return not hay & CONVERSATION and not hay & Label.COUNT
    words = None if constants[0] is None else [word for word in constants[0] if word is not None]
    if needle & CONVERSATION or words is None:
        # A member of a list that the template made of such members, but not a word in a text.
        return bool(needle) and not (needle | hay) & (Label.COMPUTED | Label.LENGTH | Label.TEXT | Label.PART)
    if hay & ~(Label.COUNT | Label.LENGTH | functools.reduce(operator.or_, _WORDS)):
        return False
    if hay & Label.TOOLS and all(_WORDS[Label.TOOLS](word) or word in PART_WORDS for word in words):
        return True
    return all(allowed(word) for label, allowed in _WORDS.items() if hay & label for word in words)
