"""Training examples as text: questions with their answers, and the functions that a prompt offers for them.

`batches` turns them into token ids.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from bitagent_local.models.training.subjects import INTEGER, Parameter, Subject, Value

LANGUAGE_NOTE = " Note that the provided function is in Python 3 syntax."
"""Sentence that the leaderboard, and so the evaluator, appends to the description of every Python function."""


@dataclass(frozen=True)
class Exchange:
    """A question and its right answer."""

    question: str
    answer: str


@dataclass(frozen=True)
class Lesson:
    """Questions that share their functions. Each is asked in a conversation of its own."""

    tools: tuple[dict[str, Any], ...]
    exchanges: tuple[Exchange, ...]


@dataclass(frozen=True)
class OfferedParameter:
    """One parameter of an offered function."""

    name: str
    """As the prompt shows it."""
    parameter: Parameter
    """The subject's parameter, under its own name."""

    @property
    def description(self) -> str:
        """The meaning of the parameter."""
        return self.parameter.description


@dataclass(frozen=True)
class Offer:
    """A subject as one prompt offers it: under some names, its parameters in some order."""

    name: str
    description: str
    parameters: tuple[OfferedParameter, ...]

    def schema(self) -> dict[str, Any]:
        """Return the function in BFCL's form."""
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
        """Return the call in BFCL's syntax. `values` are by the subject's names."""
        given = ",".join(f"{each.name}={_literal(values[each.parameter.name])}" for each in self.parameters)
        return f"[{self.name}({given})]"

    def explained_call(self, values: dict[str, Value]) -> str:
        """Return the call with a comment before every name, as the models' chat template writes functions.

        Arguments come in the order of `values`.
        """
        parameters = {each.parameter.name: each for each in self.parameters}
        given = ",".join(
            f"#{parameters[name].description}\n{parameters[name].name}={_literal(value)}"
            for name, value in values.items()
        )
        return f"[#{self.description}{LANGUAGE_NOTE}\n{self.name}({given})]"


def no_call(subject: Subject) -> str:
    """Return an empty list of calls, with a comment that names the function which would be needed."""
    return f"[#{subject.description}\n]"


def public_offer(subject: Subject) -> Offer:
    """Return the function as the benchmark shows it: with the subject's own names, in their own order."""
    return Offer(
        subject.name, subject.description, tuple(OfferedParameter(each.name, each) for each in subject.parameters)
    )


def _literal(value: Value) -> str:
    return str(value) if isinstance(value, int) else f'"{value}"'
