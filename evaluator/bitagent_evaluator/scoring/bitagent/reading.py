"""Answers read as one Python call, from the syntax tree and never evaluated.

The rules ask two different questions: is the text Python at all (`parse_module`), and which call is it
(`read_call`)? Argument values must be literals. A text beyond the limits here counts as one that is not Python;
upstream's parser fails near the same sizes.
"""

from __future__ import annotations

import ast
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from bitagent_evaluator.parsing import MAX_CHARACTERS
from bitagent_evaluator.scoring.bitagent.criteria import CriterionFailed

_MOST_BRACKETS = 6
"""One more than the pairs of outer brackets that the rules remove."""
MAX_DEPTH = 250
"""Deepest syntax tree that is read. Python itself allows 200 open brackets."""


@dataclass(frozen=True)
class PythonCall:
    """A call as the rules read it."""

    name: str | None
    """Dotted name; None if the called expression has none, such as a string."""
    arguments: tuple[tuple[str | None, Any], ...]
    """Keyword arguments as written, repeated ones included; None is the name of `**mapping`. Positional ones are
    dropped."""

    @property
    def values(self) -> dict[str | None, Any]:
        """Value by argument; of a repeated argument the last one."""
        return dict(self.arguments)


NO_CALL = PythonCall(name="", arguments=())
"""The call in an empty text."""


def without_brackets(text: str) -> str:
    """Return the text without one pair of outer square brackets, if it has one."""
    return text[1:-1] if text.startswith("[") and text.endswith("]") else text


def parse_module(text: str) -> ast.Module | None:
    """Return the syntax tree of a text; None if it is not Python."""
    if len(text) > MAX_CHARACTERS:
        return None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # such as calling a string: what models write, and an error under -W error
            tree = ast.parse(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError):  # ValueError: null bytes, lone surrogates
        return None
    return tree if _is_shallow(tree) else None


def read_call(text: str) -> PythonCall:
    """Return the call that a text is; NO_CALL of an empty text.

    The name is that of the last call in the text that has one: `print(f(a=1))` is `f` without arguments. Raises
    CriterionFailed for any other expression, for a statement, for several, and for none, such as a comment.
    """
    if not text:
        return NO_CALL
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            call = ast.parse(text, mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        raise CriterionFailed("the answer is not one expression") from None
    if not isinstance(call, ast.Call):
        raise CriterionFailed("the answer is not a call")
    arguments = tuple((keyword.arg, _literal(keyword.value)) for keyword in call.keywords)
    names = [name for name in _names(call) if name is not None]
    return PythonCall(name=names[-1] if names else None, arguments=arguments)


def holds_call(text: str) -> bool:
    """Return whether the text, or its last line, is a call by some way in which the rules strip blanks and brackets."""
    for part in (text, text.strip().split("\n")[-1]):
        for _ in range(_MOST_BRACKETS):
            part = part.strip()
            try:
                if part and parse_module(part) is not None and read_call(part).name:
                    return True
            except CriterionFailed:
                pass
            part = without_brackets(part)
    return False


def _names(node: ast.AST) -> Iterator[str | None]:
    """Yield the names of all calls in a node, each before those inside it."""
    if isinstance(node, ast.Call):
        yield _name(node.func)
    for child in ast.iter_child_nodes(node):
        yield from _names(child)


def _name(node: ast.expr) -> str | None:
    """The dotted name of what is called, without anything else before its first dot; None if it has none."""
    parts: list[str] = []
    while isinstance(node, ast.Attribute):
        parts.append(node.attr)
        node = node.value
    if isinstance(node, ast.Name):
        parts.append(node.id)
    return ".".join(reversed(parts)) or None


def _literal(node: ast.expr) -> Any:
    try:
        return ast.literal_eval(node)
    except (ValueError, TypeError, RecursionError):
        raise CriterionFailed("an argument is not a literal") from None


def _is_shallow(root: ast.AST) -> bool:
    level: list[ast.AST] = [root]
    for _ in range(MAX_DEPTH):
        level = [child for node in level for child in ast.iter_child_nodes(node)]
        if not level:
            return True
    return False
