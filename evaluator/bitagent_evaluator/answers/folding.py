"""Arithmetic on literals, within bounds: `150 + 0`, `'New ' + 'York'`, `2 * 10 / 2`.

The official decoder hands any operator expression to `eval`. Here an expression of literals and operators gives the same value, up to
sizes that no honest answer needs; a name that Python does not know fails, as it does there, and so does what begins with one (`now() + 1`);
whatever would need more (a call, an attribute, a built-in, a huge power) is refused.
"""

from __future__ import annotations

import ast
import builtins
import operator
import re
from collections.abc import Callable
from typing import Any

from bitagent_evaluator.answers.errors import AnswerError

MAX_BITS = 1_024
"""Largest integer that an expression may make: as far as floats reach."""
MAX_SIZE = 16_384
"""Largest value that an expression may make, in characters and items at all depths."""

_PLAIN_FORMAT = re.compile(r"(?:[^%]|%%|%[srdifgexc])*")
"""Format strings without widths and precisions: those make long strings out of short ones."""

_BINARY: dict[type[ast.operator], Callable[[Any, Any], Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
    ast.Mod: operator.mod,
    ast.Pow: operator.pow,
    ast.LShift: operator.lshift,
    ast.RShift: operator.rshift,
    ast.BitAnd: operator.and_,
    ast.BitOr: operator.or_,
    ast.BitXor: operator.xor,
    ast.MatMult: operator.matmul,
}
_UNARY: dict[type[ast.unaryop], Callable[[Any], Any]] = {
    ast.UAdd: operator.pos,
    ast.USub: operator.neg,
    ast.Invert: operator.invert,
    ast.Not: operator.not_,
}


def fold(node: ast.expr) -> Any:
    """The value of an expression of literals and operators. Raises AnswerError."""
    match node:
        case ast.Constant(value=value):
            return value
        case ast.BinOp(left=left, op=op, right=right):
            return _binary(op, fold(left), fold(right))
        case ast.UnaryOp(op=op_unary, operand=operand):
            return _apply(_UNARY[type(op_unary)], fold(operand))
        case ast.List(elts=elements):
            return [fold(element) for element in elements]
        case ast.Tuple(elts=elements):
            return tuple(fold(element) for element in elements)
        case ast.Dict(keys=keys, values=values) if None not in keys:
            pairs = [(fold(key), fold(value)) for key, value in zip(keys, values, strict=True) if key is not None]
            return _apply(dict, pairs)
        case _ if (name := _first_name(node)) is not None and not hasattr(builtins, name):
            raise AnswerError(f"name {name!r} has no value")
        case _:
            raise AnswerError(
                f"an operator's operand of kind {type(node).__name__} would have to be executed", refused=True
            )


def _first_name(node: ast.expr) -> str | None:
    """The name that has to be known before anything else of the operand is looked at, if it begins with one."""
    while isinstance(node, ast.Call | ast.Attribute | ast.Subscript | ast.Starred):
        node = node.func if isinstance(node, ast.Call) else node.value
    return node.id if isinstance(node, ast.Name) else None


def _binary(op: ast.operator, left: Any, right: Any) -> Any:
    if not _is_bounded(op, left, right):
        raise AnswerError(f"the result of {type(op).__name__} would be too large", refused=True)
    result = _apply(_BINARY[type(op)], left, right)
    if _size(result) > MAX_SIZE:
        raise AnswerError("the result of an expression is too large", refused=True)
    return result


def _apply(function: Callable[..., Any], *operands: Any) -> Any:
    try:
        return function(*operands)
    except (TypeError, ValueError, ArithmeticError) as error:
        raise AnswerError(f"an expression has no value: {error}") from None


def _is_bounded(op: ast.operator, left: Any, right: Any) -> bool:
    """Whether the result is certain to be small, known from the operands alone."""
    match op, left, right:
        case ast.Pow(), int(), int():
            return left.bit_length() * abs(right) <= MAX_BITS
        case ast.LShift(), int(), int():
            return left.bit_length() + right <= MAX_BITS
        case ast.Mult(), int(), int():
            return left.bit_length() + right.bit_length() <= MAX_BITS
        case ast.Mult(), int(), _:
            return left * _size(right) <= MAX_SIZE
        case ast.Mult(), _, int():
            return _size(left) * right <= MAX_SIZE
        case ast.Mod(), str(), _:
            return _PLAIN_FORMAT.fullmatch(left) is not None
        case ast.Mod(), bytes(), _:
            return False
        case _:
            return True


def _size(value: Any) -> int:
    """Characters and items at all depths; a list that occurs twice counts twice, as it does for whoever compares or prints it."""
    match value:
        case str() | bytes():
            return len(value)
        case list() | tuple():
            return 1 + sum(_size(item) for item in value)
        case dict():
            return 1 + sum(_size(key) + _size(item) for key, item in value.items())
        case _:
            return 1
