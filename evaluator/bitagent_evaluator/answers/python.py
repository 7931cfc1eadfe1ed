"""Answers in Python syntax: `[name(argument=value, ...), ...]`, read from the syntax tree and never evaluated.

Values are literals; a bare name is a string, an inner call without keywords its own source text, an inner call with keywords a dict, an
index expression its source text. Keyword arguments count, positional ones are dropped, of a repeated keyword the last wins. A sign before
a number always negates it (`+5` and `~5` are -5), as in the official decoder. Operators are folded, see `folding`.
"""

from __future__ import annotations

import ast
import warnings
from typing import Any

from bitagent_evaluator.answers.bracketed import bracketed
from bitagent_evaluator.answers.errors import AnswerError
from bitagent_evaluator.answers.folding import fold

MAX_DEPTH = 150
"""Deepest syntax tree that is read. Python's own limits lie above and depend on the caller's stack; this one does not."""
_DEPTH_WITHOUT_TEXT = 3
"""Levels that no character stands for: a leaf, its context, a keyword's value."""
MAX_INTEGER_BITS = 14_000
"""Largest integer that is read. Python writes out none of more than 4300 digits (some 14,284 bits), though it reads any in hexadecimal."""
_LEAVES = (ast.Constant, ast.Name, ast.expr_context, ast.operator, ast.unaryop)


def decode(text: str) -> list[dict[str, dict[str | None, Any]]]:
    """Read an answer. Raises AnswerError."""
    body = _parse(bracketed(text).strip().strip("'"))
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
            warnings.simplefilter("ignore")  # such as "\d" in a string: the writer's style, and an error under -W error
            body = ast.parse(text, mode="eval").body
    except (SyntaxError, ValueError) as error:  # ValueError: null bytes, lone surrogates
        raise AnswerError(f"not Python syntax: {error}") from None
    except (RecursionError, MemoryError):
        raise AnswerError("nested too deeply", refused=True) from None
    if len(text) > MAX_DEPTH - _DEPTH_WITHOUT_TEXT:  # a level takes at least a character
        _check_depth(body)
    if len(text) > MAX_INTEGER_BITS // 4:  # a hexadecimal digit has four
        _check_integers(body)
    return body


def _check_depth(root: ast.AST) -> None:
    level: list[ast.AST] = [root]
    for _ in range(MAX_DEPTH):
        level = [child for node in level for child in ast.iter_child_nodes(node) if not isinstance(child, _LEAVES)]
        if not level:
            return
    raise AnswerError("nested too deeply", refused=True)


def _check_integers(root: ast.AST) -> None:
    for node in ast.walk(root):
        match node:
            case ast.Constant(value=int() as value) if value.bit_length() > MAX_INTEGER_BITS:
                raise AnswerError(f"an integer of more than {MAX_INTEGER_BITS} bits", refused=True)


def _call(node: ast.Call) -> dict[str, dict[str | None, Any]]:
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
