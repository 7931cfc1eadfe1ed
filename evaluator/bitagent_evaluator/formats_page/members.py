"""The docstrings of an enumeration's members, which Python itself drops."""

from __future__ import annotations

import ast
import inspect
import textwrap
from enum import StrEnum


def member_docs(enumeration: type[StrEnum]) -> dict[str, str]:
    """Return the docstring of each member by its value, in one line; empty for a member without one."""
    (definition,) = ast.parse(textwrap.dedent(inspect.getsource(enumeration))).body
    if not isinstance(definition, ast.ClassDef):
        raise TypeError(f"{enumeration.__name__} is not a class")
    docs = dict.fromkeys((str(member.value) for member in enumeration), "")
    for statement, following in zip(definition.body, definition.body[1:], strict=False):
        if not isinstance(statement, ast.Assign) or not isinstance(statement.targets[0], ast.Name):
            continue
        if isinstance(following, ast.Expr) and isinstance(following.value, ast.Constant):
            member = enumeration[statement.targets[0].id]
            docs[str(member.value)] = " ".join(str(following.value.value).split())
    return docs
