"""What the syntax of an expression says about its value."""

from __future__ import annotations

import pytest
from jinja2 import nodes

from bitagent_evaluator.chat_templates.audit.syntax import is_number, key_of, not_strings
from bitagent_evaluator.chat_templates.render import parse_template


def expression(source: str) -> nodes.Node:
    """The syntax tree of an expression."""
    output = parse_template(f"{{{{ {source} }}}}").body[0]
    assert isinstance(output, nodes.Output)
    return output.nodes[0]


@pytest.mark.parametrize(
    ("source", "number"),
    [
        ("1", True),
        ("true", False),
        ("'1'", False),
        ("a - b", True),
        ("a + b", False),
        ("a + 1", True),
        ("a | length", True),
        ("a | upper", False),
        ("loop.index0", True),
        ("loop.first", False),
        ("a.index", False),
        ("a.find('x')", True),
        ("a.strip('x')", False),
    ],
)
def test_numbers(source: str, number: bool) -> None:
    assert is_number(expression(source)) is number


@pytest.mark.parametrize(
    ("source", "key"), [("a", "a"), ("a.b['c']", "a.b.c"), ("a[0]", "a.0"), ("a[b]", ""), ("f().b", "")]
)
def test_names_of_expressions(source: str, key: str) -> None:
    assert key_of(expression(source)) == key


@pytest.mark.parametrize(
    ("test", "holds", "found"),
    [
        ("m.content is mapping", True, {"m.content"}),
        ("m.content is mapping", False, set()),
        ("m.content is string", True, set()),
        ("m.content is string", False, {"m.content"}),
        ("m.content is not string", True, {"m.content"}),
        ("a is mapping and b is not string", True, {"a", "b"}),
        ("a is mapping or b is mapping", True, set()),
        ("a is string or b is string", False, {"a", "b"}),
    ],
)
def test_what_a_condition_says_is_no_string(test: str, holds: bool, found: set[str]) -> None:
    assert not_strings(expression(test), holds) == found
