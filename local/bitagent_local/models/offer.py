"""A subject as one prompt offers it: under some name, with one of its descriptions, its parameters in some order."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from bitagent_local.models.subjects import INTEGER, Parameter, Subject, Value

NO_CALL = "[]"
"""The answer when no function fits."""


@dataclass(frozen=True)
class OfferedParameter:
    """One parameter of a function on offer."""

    name: str
    description: str
    parameter: Parameter
    """What it is called and means in the subject."""


@dataclass(frozen=True)
class Offer:
    """A function on offer."""

    name: str
    description: str
    parameters: tuple[OfferedParameter, ...]

    def schema(self) -> dict[str, Any]:
        """The function in BFCL's form, its texts with a full stop."""
        properties = {
            offered.name: {
                "type": INTEGER if offered.parameter.kind == INTEGER else "string",
                "description": f"{offered.description}.",
            }
            for offered in self.parameters
        }
        parameters = {"type": "dict", "properties": properties, "required": list(properties)}
        return {"name": self.name, "description": f"{self.description}.", "parameters": parameters}

    def call(self, values: dict[str, Value]) -> str:
        """The call in BFCL's syntax, without spaces, which the models' tokenizer does not know. `values` are by the subject's names."""
        given = [(offered.name, values[offered.parameter.name]) for offered in self.parameters]
        written = ",".join(f"{name}={value}" if isinstance(value, int) else f'{name}="{value}"' for name, value in given)
        return f"[{self.name}({written})]"


def public(subject: Subject) -> Offer:
    """The function as the benchmark shows it: own names and order, first descriptions."""
    parameters = (OfferedParameter(each.name, each.descriptions[0], each) for each in subject.parameters)
    return Offer(subject.name, subject.descriptions[0], tuple(parameters))
