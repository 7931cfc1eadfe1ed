"""Constants that expressions stand for: literals, their sums, and variables that hold nothing else."""

from __future__ import annotations

from typing import Any

from jinja2 import nodes

from bitagent_evaluator.chat_templates.audit.labels import Scopes
from bitagent_evaluator.chat_templates.audit.syntax import is_number

_LONGEST_MARKER = 12
_NO_LENGTH = 1 << 20
"""What a number counts as that the template computes from constants: no length of a marker."""
_MOST_SUMS = 16
"""Sums of alternatives that are followed; an expression with more of them counts as variable."""


class Constants:
    """Finds the constants that the expressions of a template may stand for."""

    def __init__(self, scopes: Scopes) -> None:
        self._scopes = scopes

    def of(self, node: nodes.Node) -> list[Any] | None:
        """Return the constants that an expression may stand for, or those in a list or dict; None if it is variable."""
        match node:
            case nodes.Const():
                return [node.value]
            case nodes.TemplateData():
                return [node.data]
            case nodes.List() | nodes.Tuple():
                parts = [self.of(item) for item in node.items]
                return (
                    None if any(part is None for part in parts) else [value for part in parts for value in part or []]
                )
            case nodes.Dict():
                return self.of(nodes.List([pair.key for pair in node.items]))
            case nodes.Neg(node=nodes.Const(value=int(value))):
                return [-value]
            case nodes.CondExpr():
                either = (self.of(node.expr1), self.of(node.expr2) if node.expr2 else [])
                return None if either[0] is None or either[1] is None else [*either[0], *either[1]]
            case nodes.Call(node=nodes.Getattr(node=stripped, attr="strip"), args=[]):
                values = self.of(stripped)
                return None if values is None else [value.strip() for value in values if isinstance(value, str)]
            case nodes.Add() | nodes.Concat():
                return self._sums(node)
            case nodes.Sub() | nodes.Mul() | nodes.Pow() | nodes.FloorDiv():
                return [_NO_LENGTH] if self._is_constant(node) else None
            case nodes.Name():
                found = self._scopes.find(node.name)
                return list(found.constants) if found and found.constants else None
            case _:
                return None

    def single(self, node: nodes.Node) -> Any:
        """Return the constant that an expression stands for; None if there is none, or more than one."""
        values = self.of(node)
        return values[0] if values and len(values) == 1 else None

    def is_short(self, node: nodes.Node) -> bool:
        """Return whether this is a number that may be the length of a marker."""
        values = self.of(node)
        return bool(values) and all(isinstance(value, int) and abs(value) <= _LONGEST_MARKER for value in values or [])

    def _is_constant(self, node: nodes.Node) -> bool:
        return isinstance(node, nodes.BinExpr) and all(self.of(side) is not None for side in (node.left, node.right))

    def _sums(self, node: nodes.Add | nodes.Concat) -> list[Any] | None:
        if isinstance(node, nodes.Add) and is_number(node):
            sides = self.of(node.left), self.of(node.right)
            return [
                a + b for a in sides[0] or [] for b in sides[1] or [] if isinstance(a, int) and isinstance(b, int)
            ] or None
        sums: list[Any] = [""]
        for part in node.nodes if isinstance(node, nodes.Concat) else [node.left, node.right]:
            values = self.of(part)
            if values is None or not all(isinstance(value, str) for value in values):
                return None
            if len(values) * len(sums) > _MOST_SUMS:
                return None
            sums = [before + value for before in sums for value in values]
        return sums
