"""What the syntax of an expression says about its value, before any label is known."""

from __future__ import annotations

from jinja2 import nodes

ARITHMETIC = (nodes.Sub, nodes.Mul, nodes.Div, nodes.FloorDiv, nodes.Mod, nodes.Pow, nodes.Neg, nodes.Pos)


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


def key_of(node: nodes.Node) -> str:
    """Return a name, or a member of one, as text; empty for any other expression."""
    match node:
        case nodes.Name():
            return node.name
        case nodes.Getattr():
            return f"{inner}.{node.attr}" if (inner := key_of(node.node)) else ""
        case nodes.Getitem(arg=nodes.Const(value=member)):
            return f"{inner}.{member}" if (inner := key_of(node.node)) else ""
        case _:
            return ""


def not_strings(test: nodes.Node, holds: bool) -> frozenset[str]:
    """Return the expressions that are not strings if the condition holds, or does not."""
    match test:
        case nodes.Not():
            return not_strings(test.node, not holds)
        case nodes.And() if holds:
            return not_strings(test.left, True) | not_strings(test.right, True)
        case nodes.Or() if not holds:
            return not_strings(test.left, False) | not_strings(test.right, False)
        case nodes.Test(name="string") if not holds:
            return frozenset({key_of(test.node)} - {""})
        case nodes.Test(name="mapping") if holds:
            return frozenset({key_of(test.node)} - {""})
        case _:
            return frozenset()
