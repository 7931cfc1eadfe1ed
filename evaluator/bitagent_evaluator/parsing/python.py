"""Python syntax: `[name(argument=value, ...), ...]`, read from the syntax tree and never evaluated.

Values are literals; a bare name is a string, an inner call without keywords its own source text, an inner call with
keywords a dict, an index expression its source text. Keyword arguments count, positional ones are dropped, of a
repeated keyword the last counts. A sign before a number always negates it (`+5` and `~5` are -5), as in the official
decoder.

Arithmetic on literals is folded: `150 + 0`, `'New ' + 'York'`, `2 * 10 / 2`. The official decoder passes any operator
expression to `eval`. Here an expression of literals and operators gives the same value, up to sizes that no honest
answer needs. A name that Python does not know fails, as it does there, and so does an operand that begins with one
(`now() + 1`). Anything that would need execution (a call, an attribute, a built-in, a huge power) is refused.
"""

from __future__ import annotations

import ast
import builtins
import operator
import re
import warnings
from collections.abc import Callable
from typing import Any

from bitagent_evaluator.parsing.calls import AnswerError, Call, Calls

MAX_DEPTH = 150
"""Deepest syntax tree that is read. Python's own limits are higher and depend on the caller's stack; this one does
not."""
MAX_INTEGER_BITS = 14_000
"""Largest integer that is read. Python prints no integer of more than 4300 digits (some 14,284 bits), though it reads
any in hexadecimal."""
MAX_FOLDED_BITS = 1_024
"""Largest integer that an expression may produce: as large as floats are."""
MAX_FOLDED_SIZE = 16_384
"""Largest value that an expression may produce, in characters and items at all depths."""

_DEPTH_WITHOUT_TEXT = 3
"""Levels of a syntax tree that no character is needed for: a leaf, its context, a keyword's value."""
_LEAVES = (ast.Constant, ast.Name, ast.expr_context, ast.operator, ast.unaryop)
_PLAIN_FORMAT = re.compile(r"(?:[^%]|%%|%[srdifgexc])*")
"""Format strings without widths and precisions, which would make long strings out of short ones."""

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


def strip_to_list(text: str) -> str:
    """Return the answer as one bracketed list, as the official decoders of all three languages read it.

    Backticks, newlines and spaces around the text are dropped, and missing outer brackets are added.
    """
    text = text.strip("`\n ")
    if not text.startswith("["):
        text = "[" + text
    return text if text.endswith("]") else text + "]"


def parse_python(text: str) -> Calls:
    """Parse BFCL's syntax for Python. Raises AnswerError."""
    return parse_call_list(strip_to_list(text))


def parse_call_list(text: str) -> Calls:
    """Parse a list of Python calls, or one call, without adding brackets. Raises AnswerError."""
    body = _parse(text.strip().strip("'"))
    if isinstance(body, ast.Call):
        return [_call(body)]
    if not isinstance(body, ast.List | ast.Tuple | ast.Set):
        raise AnswerError(f"expected a list of calls, not {_kind(body)}")
    calls = []
    for element in body.elts:
        if not isinstance(element, ast.Call):
            raise AnswerError(f"expected only calls in the list, not {_kind(element)}")
        calls.append(_call(element))
    return calls


def _parse(text: str) -> ast.expr:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # such as "\d" in a string: the model's style, and an error under -W error
            body = ast.parse(text, mode="eval").body
    except SyntaxError as error:
        raise AnswerError(f"not Python syntax: {error}", position=_position(text, error)) from None
    except ValueError as error:  # null bytes, lone surrogates
        raise AnswerError(f"not Python syntax: {error}") from None
    except (RecursionError, MemoryError):
        raise AnswerError("nested too deeply", refused=True) from None
    if len(text) > MAX_DEPTH - _DEPTH_WITHOUT_TEXT:  # a level takes at least a character
        _check_depth(body)
    if len(text) > MAX_INTEGER_BITS // 4:  # a hexadecimal digit has four bits
        for node in ast.walk(body):
            if isinstance(node, ast.Constant):
                check_integer(node.value)
    return body


_CALL = re.compile(r"\[?\s*[A-Za-z_][\w.]*\(")


def _position(text: str, error: SyntaxError) -> int:
    """The number of characters before the place of an error, in a text that begins with a call; 0 in any other."""
    if not _CALL.match(text):
        return 0
    before = text.split("\n")[: (error.lineno or 1) - 1]
    return sum(len(line) + 1 for line in before) + max(0, (error.offset or 1) - 1)


def _check_depth(root: ast.AST) -> None:
    level: list[ast.AST] = [root]
    for _ in range(MAX_DEPTH):
        level = [child for node in level for child in ast.iter_child_nodes(node) if not isinstance(child, _LEAVES)]
        if not level:
            return
    raise AnswerError("nested too deeply", refused=True)


def check_integer(value: object) -> None:
    """Raise AnswerError if the value is an integer beyond MAX_INTEGER_BITS."""
    if isinstance(value, int) and value.bit_length() > MAX_INTEGER_BITS:
        raise AnswerError(f"an integer of more than {MAX_INTEGER_BITS} bits", refused=True)


def _call(node: ast.Call) -> Call:
    parts: list[str] = []
    target = node.func
    while isinstance(target, ast.Attribute):
        parts.append(target.attr)
        target = target.value
    if isinstance(target, ast.Name):
        parts.append(target.id)
    return {".".join(reversed(parts)): {keyword.arg: _value(keyword.value) for keyword in node.keywords}}


def _value(node: ast.expr | None) -> Any:
    match node:
        case ast.Constant(value=value):
            return "..." if value is Ellipsis else value
        case ast.UnaryOp(operand=ast.Constant(value=bool() | int() | float() | complex() as number)):
            return -number
        case ast.List(elts=elements):
            return [_value(element) for element in elements]
        case ast.Tuple(elts=elements):
            return tuple(_value(element) for element in elements)
        case ast.Dict(keys=keys, values=values):
            return _dict([_value(key) for key in keys], [_value(value) for value in values])
        case ast.BinOp():
            return fold(node)
        case ast.Name(id=name):
            return name
        case ast.Call(keywords=[]):
            return ast.unparse(node)
        case ast.Call():
            return _call(node)
        case ast.Subscript(value=value, slice=index):
            return f"{ast.unparse(value)}[{ast.unparse(index)}]"
        case None:
            raise AnswerError("`**` inside a dict is not a value")
        case _:
            raise AnswerError(f"{_kind(node)} is not a value")


def _dict(keys: list[Any], values: list[Any]) -> dict[Any, Any]:
    try:
        return dict(zip(keys, values, strict=True))
    except TypeError:
        raise AnswerError("a key of a dict is a list, dict or set") from None


def _kind(node: ast.AST) -> str:
    return f"an expression of kind {type(node).__name__}"


def fold(node: ast.expr) -> Any:
    """Return the value of an expression of literals and operators. Raises AnswerError."""
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
    """The name that Python would look up first for the operand, if it begins with one."""
    while isinstance(node, ast.Call | ast.Attribute | ast.Subscript | ast.Starred):
        node = node.func if isinstance(node, ast.Call) else node.value
    return node.id if isinstance(node, ast.Name) else None


def _binary(op: ast.operator, left: Any, right: Any) -> Any:
    if not _is_bounded(op, left, right):
        raise AnswerError(f"the result of {type(op).__name__} would be too large", refused=True)
    result = _apply(_BINARY[type(op)], left, right)
    if _size(result) > MAX_FOLDED_SIZE:
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
            return left.bit_length() * abs(right) <= MAX_FOLDED_BITS
        case ast.LShift(), int(), int():
            return left.bit_length() + right <= MAX_FOLDED_BITS
        case ast.Mult(), int(), int():
            return left.bit_length() + right.bit_length() <= MAX_FOLDED_BITS
        case ast.Mult(), int(), _:
            return left * _size(right) <= MAX_FOLDED_SIZE
        case ast.Mult(), _, int():
            return _size(left) * right <= MAX_FOLDED_SIZE
        case ast.Mod(), str(), _:
            return _PLAIN_FORMAT.fullmatch(left) is not None
        case ast.Mod(), bytes(), _:
            return False
        case _:
            return True


def _size(value: Any) -> int:
    """Characters and items at all depths; a list that occurs twice counts twice, as when it is compared or printed."""
    match value:
        case str() | bytes():
            return len(value)
        case list() | tuple():
            return 1 + sum(_size(item) for item in value)
        case dict():
            return 1 + sum(_size(key) + _size(item) for key, item in value.items())
        case _:
            return 1
