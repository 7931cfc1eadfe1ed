"""A subject as one prompt offers it: under some names, its parameters in some order."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from bitagent_local.models.subjects import INTEGER, Parameter, Subject, Value

LANGUAGE_NOTE = " Note that the provided function is in Python 3 syntax."
"""What the leaderboard, and so the evaluator, puts behind the description of every Python function."""


@dataclass(frozen=True)
class OfferedParameter:
    """One parameter of a function on offer."""

    name: str
    parameter: Parameter
    """What it is called and means in the subject."""

    @property
    def description(self) -> str:
        """What it means."""
        return self.parameter.description


@dataclass(frozen=True)
class Offer:
    """A function on offer."""

    name: str
    description: str
    parameters: tuple[OfferedParameter, ...]

    def schema(self) -> dict[str, Any]:
        """The function in BFCL's form."""
        properties = {
            offered.name: {
                "type": INTEGER if offered.parameter.kind == INTEGER else "string",
                "description": offered.description,
            }
            for offered in self.parameters
        }
        parameters = {"type": "dict", "properties": properties, "required": list(properties)}
        return {"name": self.name, "description": self.description, "parameters": parameters}

    def call(self, values: dict[str, Value]) -> str:
        """The call in BFCL's syntax. `values` are by the subject's names."""
        given = ",".join(f"{each.name}={_literal(values[each.parameter.name])}" for each in self.parameters)
        return f"[{self.name}({given})]"

    def explained_call(self, values: dict[str, Value]) -> str:
        """The call with a comment before every name, as the models' chat template writes functions; arguments in the order of `values`."""
        parameters = {each.parameter.name: each for each in self.parameters}
        given = ",".join(
            f"#{parameters[name].description}\n{parameters[name].name}={_literal(value)}"
            for name, value in values.items()
        )
        return f"[#{self.description}{LANGUAGE_NOTE}\n{self.name}({given})]"


def no_call(subject: Subject) -> str:
    """No call, with a comment that says what would be needed."""
    return f"[#{subject.description}\n]"


def public(subject: Subject) -> Offer:
    """The function as the benchmark shows it: own names and order."""
    return Offer(
        subject.name, subject.description, tuple(OfferedParameter(each.name, each) for each in subject.parameters)
    )


def _literal(value: Value) -> str:
    return str(value) if isinstance(value, int) else f'"{value}"'
