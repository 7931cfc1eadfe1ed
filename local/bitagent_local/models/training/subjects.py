"""The subjects of the benchmark's questions (`subjects.yaml`), and how values for a question are drawn.

A subject is one function and all wordings that ask for it. Every draw comes from the caller's random generator and the
same seed must always give the same questions, because recorded scores refer to the benchmark.
"""

from __future__ import annotations

import random
from collections.abc import Collection
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

import yaml

INTEGER = "integer"
WORDS: dict[str, list[str]] = {
    kind: words.split()
    for kind, words in {
        "city": "Paris London Berlin Madrid Rome Oslo Tokyo Delhi Cairo Lima Quito Boston Denver Austin Dallas "
        "Vienna Lisbon Dublin Prague Seoul",
        "currency": "USD EUR GBP JPY CHF AUD CAD INR CNY SEK",
        "language": "French German Spanish Italian Korean Hindi Arabic Polish Dutch Greek",
        "person": "Alice Bob Carol David Emma Frank Grace Henry Irene Jack Karen Louis Mary Nora Oscar Peter",
    }.items()
}
LONGEST_INTEGER = 4
"""Digits of the largest value."""

Value = int | str
Case = tuple[str, frozenset[tuple[str, Value]]]
"""A subject's name and the values asked with, independent of the wording."""


@dataclass(frozen=True)
class Parameter:
    """One value that a subject's questions name."""

    name: str
    kind: str
    """`INTEGER`, or a key of `WORDS`."""
    description: str


@dataclass(frozen=True)
class Subject:
    """One function. Of its questions the first `PUBLIC_QUESTIONS` are the benchmark's."""

    name: str
    description: str
    parameters: tuple[Parameter, ...]
    questions: tuple[str, ...]

    def ask(self, wording: int, values: dict[str, Value]) -> str:
        """Return a question with its values filled in."""
        return self.questions[wording].format(**values)


PUBLIC_QUESTIONS = 2


@cache
def load() -> tuple[Subject, ...]:
    """Return all subjects, in the order of the file."""
    entries = yaml.safe_load((files(__package__) / "subjects.yaml").read_text(encoding="utf-8"))
    return tuple(
        Subject(
            name=entry["name"],
            description=entry["description"],
            parameters=tuple(
                Parameter(name=name, kind=parameter["kind"], description=parameter["description"])
                for name, parameter in entry["parameters"].items()
            ),
            questions=tuple(entry["questions"]),
        )
        for entry in entries
    )


def draw_values(random_: random.Random, subject: Subject, *, unknown: float = 0.0) -> dict[str, Value]:
    """Draw values for a question, all different. `unknown` is the share of words that are in no list but invented."""
    values: dict[str, Value] = {}
    for parameter in subject.parameters:
        while (value := _draw_value(random_, parameter.kind, unknown)) in values.values():
            pass
        values[parameter.name] = value
    return values


def case(subject: Subject, values: dict[str, Value]) -> Case:
    """Return what a question asks for, independent of its wording."""
    return subject.name, frozenset(values.items())


def draw_new_values(
    random_: random.Random, subject: Subject, *, excluded: Collection[Case], unknown: float
) -> dict[str, Value]:
    """Draw values of a question that is not among `excluded`."""
    while case(subject, values := draw_values(random_, subject, unknown=unknown)) in excluded:
        pass
    return values


def _draw_value(random_: random.Random, kind: str, unknown: float) -> Value:
    if kind == INTEGER:
        return random_.randint(1, 10 ** random_.randint(1, LONGEST_INTEGER) - 1)
    if random_.random() < unknown:
        syllables = (random_.choice("bdfgklmnprstvz") + random_.choice("aeiou") for _ in range(random_.randint(2, 3)))
        return "".join(syllables).capitalize()
    return random_.choice(WORDS[kind])
