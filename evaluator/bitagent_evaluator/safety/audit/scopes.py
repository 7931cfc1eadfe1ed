"""Variables of a template, each with everything that was ever put into it.

The order of assignments does not matter to the audit: a variable has the labels of all of them, and the walk is repeated until no label is
added. Loops and macros have scopes of their own, as in Jinja.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from jinja2 import nodes

from bitagent_evaluator.rendering.tokens import NAMES
from bitagent_evaluator.safety.audit.labels import Label

GIVEN = frozenset(
    {*NAMES, "messages", "tools", "documents", "add_generation_prompt", "loop", "caller", "varargs", "kwargs"}
)
"""Names that have a value though the template sets none. Special tokens are the miner's own words, so they are no harmless constants."""


@dataclass
class Variable:
    """What is known of one variable."""

    label: Label = Label.CLEAN
    constants: set[Any] | None = field(default_factory=set)
    """The constants that it may hold; None when it may hold something else."""


class Scopes:
    """The variables of one template. `changed` tells whether anything was learnt since it was last set to False."""

    def __init__(self) -> None:
        self._all: dict[int, dict[str, Variable]] = {0: {}}
        self._open = [0]
        self._attributes: dict[str, Label] = {}
        self.changed = False
        for name, label in (("messages", Label.MESSAGES), ("tools", Label.TOOLS)):
            self.assign(name, label, None)

    @contextmanager
    def inside(self, node: nodes.Node) -> Iterator[None]:
        """The scope that belongs to a node of the template."""
        self._all.setdefault(id(node), {})
        self._open.append(id(node))
        yield
        self._open.pop()

    def assign(self, name: str, label: Label, constants: set[Any] | None, *, inside: nodes.Node | None = None) -> None:
        """Put one more thing into a variable of the innermost scope, or of the scope that belongs to a node."""
        scope = self._open[-1] if inside is None else id(inside)
        variable = self._all.setdefault(scope, {}).setdefault(name, Variable())
        held = None if variable.constants is None or constants is None else variable.constants | constants
        if label | variable.label != variable.label or held != variable.constants:
            variable.label |= label
            variable.constants = held
            self.changed = True

    def find(self, name: str) -> Variable | None:
        """The variable that a name means here."""
        return next((self._all[scope][name] for scope in reversed(self._open) if name in self._all[scope]), None)

    def assign_attribute(self, name: str, label: Label) -> None:
        """Put something into the attribute `name` of some namespace; which one does not matter, so that no alias hides it."""
        before = self._attributes.get(name, Label.CLEAN)
        if before | label != before:
            self._attributes[name] = before | label
            self.changed = True

    def attribute(self, name: object) -> Label:
        """What the attribute of any namespace may hold; of an unknown name, what any of them holds."""
        if isinstance(name, str):
            return self._attributes.get(name, Label.CLEAN)
        found = Label.CLEAN
        for label in self._attributes.values():
            found |= label
        return found
