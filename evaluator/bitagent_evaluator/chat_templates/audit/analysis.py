"""Interface of the analysis of expressions, for its parts: `members` and `calls` label operands through it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from jinja2 import nodes

from bitagent_evaluator.chat_templates.audit.findings import Rule
from bitagent_evaluator.chat_templates.audit.labels import Label, Scopes

Report = Callable[[nodes.Node, Rule, str], None]


class Analysis(Protocol):
    """What the parts need of `expressions.Expressions`, which creates them."""

    scopes: Scopes
    report: Report
    macros: dict[str, list[nodes.Macro]]
    macro_labels: dict[int, Label]

    def label(self, node: nodes.Node) -> Label:
        """Return the label of an expression's value."""

    def label_or_namespace(self, node: nodes.Node) -> Label:
        """Return the label, with NAMESPACE for a namespace object."""

    def union(self, children: Any) -> Label:
        """Return the union of the labels of several expressions."""

    def bind(self, name: str, value: nodes.Node, *, scope: nodes.Node) -> None:
        """Assign an expression to a macro's parameter."""
