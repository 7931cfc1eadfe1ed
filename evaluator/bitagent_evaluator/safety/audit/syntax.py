"""What can be seen of single nodes: tables, encoded data, literals of a benchmark, and what would differ between two validators."""

from __future__ import annotations

import re
from collections.abc import Iterator

from jinja2 import nodes

from bitagent_evaluator.safety.audit.benchmark.literals import names_in, values_in
from bitagent_evaluator.safety.audit.finding import Rule, Severity

MAX_TABLE = 24
"""Members of one literal, members of members included. Templates list schema types or special tokens; the longest have a dozen."""
MAX_TABLE_CHARACTERS = 1500
MAX_VALUES = 2
"""Ground-truth values that may be chance: cities and dates are."""
_ENCODED = re.compile(r"[A-Za-z0-9+/_-]{120,}={0,2}")
_VARIED = 16
"""Different characters of encoded data; a line of dashes has one."""
_REMOVED = frozenset({"random", "lipsum"})
_OWN = frozenset({"loop", "self", "caller", "varargs", "kwargs"})

Found = tuple[nodes.Node, Rule, Severity, str]


def seen_in(template: nodes.Template) -> Iterator[Found]:
    """Every finding that needs no knowledge of the conversation."""
    yield from _tables(template)
    yield from _literals(template)
    yield from _changing(template)
    for name in template.find_all(nodes.Name):
        if name.name in _OWN and name.ctx != "load":
            yield name, Rule.TEXT_DECISION, Severity.REFUSE, f"gives {name.name}, which Jinja sets, another meaning"


def _tables(template: nodes.Template) -> Iterator[Found]:
    inner: set[int] = set()
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
            explanation = (
                f"holds a table of {len(members)} members with {characters} characters; a template has no use for one"
            )
            yield table, Rule.TABLE, Severity.REFUSE, explanation


def _literals(template: nodes.Template) -> Iterator[Found]:
    values: dict[str, nodes.Node] = {}
    for node in template.find_all((nodes.Const, nodes.TemplateData, nodes.Concat, nodes.Add, nodes.Keyword)):
        for text in _strings(node):
            if any(len(set(run[0])) >= _VARIED for run in _ENCODED.finditer(text)):
                yield node, Rule.TABLE, Severity.REFUSE, "holds encoded data"
            for name in names_in(text):
                yield node, Rule.BENCHMARK, Severity.REFUSE, f"names {name}, a function of a known benchmark"
            values |= dict.fromkeys(values_in(text), node)
    severity = Severity.REFUSE if len(values) > MAX_VALUES else Severity.NOTE
    for value, node in values.items():
        yield node, Rule.BENCHMARK, severity, f"holds {value[:60]!r}, an expected value of a known benchmark"


def _strings(node: nodes.Node) -> list[str]:
    """The text of a constant, or of constants that are put together."""
    match node:
        case nodes.Const(value=str(text)) | nodes.TemplateData(data=str(text)):
            return [text]
        case nodes.Keyword():
            return [node.key]
        case nodes.Concat():
            return _together(node.nodes)
        case nodes.Add():
            return _together([node.left, node.right])
        case _:
            return []


def _together(parts: list[nodes.Expr]) -> list[str]:
    texts = [_strings(part) for part in parts]
    return ["".join(text[0] for text in texts if text)] if any(texts) else []


def _changing(template: nodes.Template) -> Iterator[Found]:
    for name in template.find_all(nodes.Name):
        if name.name == "strftime_now":
            yield name, Rule.NONDETERMINISM, Severity.NOTE, "asks for the date; the clock stands still at 2026-01-01"
        elif name.name in _REMOVED and name.ctx == "load":
            yield (
                name,
                Rule.NONDETERMINISM,
                Severity.REFUSE,
                f"uses {name.name}, which does not exist here: prompts are no matter of chance",
            )
    for used in template.find_all(nodes.Filter):
        if used.name in _REMOVED:
            yield (
                used,
                Rule.NONDETERMINISM,
                Severity.REFUSE,
                f"uses |{used.name}, which does not exist here: prompts are no matter of chance",
            )
