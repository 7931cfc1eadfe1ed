"""Constants that an expression may stand for."""

from __future__ import annotations

from typing import Any

import pytest
from jinja2 import nodes

from bitagent_evaluator.chat_templates.audit.constants import Constants
from bitagent_evaluator.chat_templates.audit.labels import Label, Scopes
from bitagent_evaluator.chat_templates.render import parse_template


def expression(source: str) -> nodes.Node:
    """The syntax tree of an expression."""
    output = parse_template(f"{{{{ {source} }}}}").body[0]
    assert isinstance(output, nodes.Output)
    return output.nodes[0]


@pytest.fixture(scope="module")
def constants() -> Constants:
    """Constants where `known` is one of two words, and `any` may be anything."""
    scopes = Scopes()
    scopes.assign("known", Label.CLEAN, {"a", "b"})
    scopes.assign("any", Label.CLEAN, None)
    return Constants(scopes)


@pytest.mark.parametrize(
    ("source", "values"),
    [
        ("'a'", ["a"]),
        ("-2", [-2]),
        ("['a', ('b', 1)]", ["a", "b", 1]),
        ("{'a': any}", ["a"]),
        ("['a', any]", None),
        ("'a' if any else 'b'", ["a", "b"]),
        ("any if any else 'b'", None),
        ("'a' ~ 'b' + 'c'", ["abc"]),
        ("known ~ 'c'", ["ac", "bc"]),
        ("known ~ known ~ known ~ known ~ known", None),
        ("' a '.strip()", ["a"]),
        ("' a '.strip(any)", None),
        ("1 + 2", [3]),
        ("1 + any", None),
        ("any ~ 'a'", None),
        ("unassigned", None),
    ],
)
def test_constants_of_an_expression(constants: Constants, source: str, values: list[Any] | None) -> None:
    found = constants.of(expression(source))
    assert (None if found is None else sorted(found, key=str)) == (None if values is None else sorted(values, key=str))


@pytest.mark.parametrize(("source", "value"), [("'a'", "a"), ("known", None), ("any", None)])
def test_a_single_constant(constants: Constants, source: str, value: Any) -> None:
    assert constants.single(expression(source)) == value


@pytest.mark.parametrize(
    ("source", "short"), [("8", True), ("-8", True), ("57", False), ("57 - 49", False), ("any", False)]
)
def test_numbers_that_may_be_the_length_of_a_marker(constants: Constants, source: str, short: bool) -> None:
    assert constants.is_short(expression(source)) is short
