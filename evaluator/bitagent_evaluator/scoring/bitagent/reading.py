"""Answers read as one Python call, from the syntax tree and never evaluated.

The rules ask two different questions: is the text Python at all (`parse`), and which call is it (`call_of`). Argument values must be
literals. Texts beyond the bounds here count as texts that are not Python; upstream's parser gives up near the same sizes.
"""

from __future__ import annotations

import ast
import warnings
from dataclasses import dataclass
from typing import Any

from bitagent_evaluator.answers import MAX_CHARACTERS
from bitagent_evaluator.scoring.bitagent.criteria import CriterionFailed

MAX_DEPTH = 250
"""Deepest syntax tree that is read. Python itself allows 200 open brackets."""


@dataclass(frozen=True)
class Call:
    """One call as the rules see it."""

    name: str | None
    """Dotted; None where what is called has no name, such as a string."""
    arguments: tuple[tuple[str | None, Any], ...]
    """Keyword arguments as written, repeated ones included; None is the name of `**mapping`. Positional ones do not count."""

    @property
    def values(self) -> dict[str | None, Any]:
        """Value by argument; of a repeated argument the last."""
        return dict(self.arguments)


NO_CALL = Call(name="", arguments=())
"""What an empty text reads as."""


def without_brackets(text: str) -> str:
    """The text inside one pair of outer square brackets, if there is one."""
    return text[1:-1] if text.startswith("[") and text.endswith("]") else text


def parse(text: str) -> ast.Module | None:
    """The syntax tree of a text, None for one that is not Python."""
    if len(text) > MAX_CHARACTERS:
        return None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # such as calling a string: what models write, and an error under -W error
            tree = ast.parse(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError):  # ValueError: null bytes, lone surrogates
        return None
    return tree if _is_shallow(tree) else None


def call_of(tree: ast.Module) -> Call:
    """The call that the first statement is; `NO_CALL` for no statement. Raises CriterionFailed for anything else.

    The name is that of the innermost call that has one: `print(f(a=1))` is `f` without arguments.
    """
    if not tree.body:
        return NO_CALL
    statement = tree.body[0]
    if not isinstance(statement, ast.Expr) or not isinstance(statement.value, ast.Call):
        raise CriterionFailed("the answer is not a call")
    arguments = tuple((keyword.arg, _literal(keyword.value)) for keyword in statement.value.keywords)
    names = [name for node in ast.walk(tree) if isinstance(node, ast.Call) and (name := _name(node.func)) is not None]
    return Call(name=names[-1] if names else None, arguments=arguments)


def _name(node: ast.expr) -> str | None:
    parts: list[str] = []
    while isinstance(node, ast.Attribute):
        parts.append(node.attr)
        node = node.value
    if isinstance(node, ast.Name):
        parts.append(node.id)
    elif parts:
        parts.append(ast.unparse(node))
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
