"""Lessons for a model that shall read: nothing but the descriptions tells which function and which parameter is meant.

Names are random strings or random words, new in every lesson and without any relation to the subject; functions and parameters come in
any order, questions in all wordings with values of their own. Some questions fit no function. No lesson asks what the public benchmark
asks, in whatever words.
"""

from __future__ import annotations

import keyword
import random
from collections.abc import Callable, Collection

from bitagent_local.models import subjects
from bitagent_local.models.lesson import Exchange, Lesson
from bitagent_local.models.offer import Offer, OfferedParameter, no_call
from bitagent_local.models.subjects import Case, Subject, Value

NO_FIT = 0.2
"""Share of the questions that no function fits."""
UNKNOWN = 0.2
"""Share of words among the values that are in no list."""
STRING_NAMES = 0.5
"""Share of functions, and of lessons' parameters, whose names are random strings."""
POLITE = 0.2
"""Share of questions with words around them that ask nothing."""

_LETTERS = "bcdfghjklmnpqrstvwxz"
_DIGITS = "23456789"
STRING_CHARACTERS = _LETTERS + _DIGITS
_BEFORE = ("Hello!", "Please help me.", "Can you help?", "One question:", "Quickly:")
_AFTER = ("Thank you.", "Please.", "Thanks!", "I am in a hurry.")

Draw = Callable[[random.Random, int, int], Lesson]
"""Makes a lesson with so many functions and questions."""


def drawing(without: Collection[Case], *, string_names: float = STRING_NAMES) -> Draw:
    """Draws lessons, none with a question for one of `without`."""
    known = subjects.load()
    names = [name for subject in known for name in (subject.name, *(each.name for each in subject.parameters))]
    words = sorted({word for name in names for word in name.split("_")})

    def draw(random_: random.Random, functions: int, questions: int) -> Lesson:
        chosen = random_.sample(known, functions)
        others = [subject for subject in known if subject not in chosen]
        offers = _offers(random_, chosen, words, string_names)
        exchanges = [
            _miss(random_, random_.choice(others), without)
            if random_.random() < NO_FIT
            else _hit(random_, *random_.choice(offers), without)
            for _ in range(questions)
        ]
        return Lesson(tuple(offer.schema() for _, offer in offers), tuple(exchanges))

    return draw


def _offers(
    random_: random.Random, chosen: list[Subject], words: list[str], string_names: float
) -> list[tuple[Subject, Offer]]:
    """The chosen subjects under names that say nothing; no name is used twice."""
    taken: set[str] = set()
    has_strings = random_.random() < string_names
    return [
        (
            subject,
            Offer(
                name=_name(random_, words, taken, is_string=random_.random() < string_names),
                description=subject.description,
                parameters=tuple(
                    OfferedParameter(_name(random_, words, taken, is_string=has_strings), each)
                    for each in random_.sample(subject.parameters, len(subject.parameters))
                ),
            ),
        )
        for subject in chosen
    ]


def _name(random_: random.Random, words: list[str], taken: set[str], *, is_string: bool) -> str:
    """An identifier that is not taken yet; it is afterwards."""
    while True:
        if is_string:
            name = "".join(random_.choice(_LETTERS if place % 4 < 3 else _DIGITS) for place in range(8))
        else:
            name = "_".join(random_.sample(words, random_.randint(1, 3)))
        if name not in taken and not keyword.iskeyword(name):
            taken.add(name)
            return name


def _hit(random_: random.Random, subject: Subject, offer: Offer, without: Collection[Case]) -> Exchange:
    """A question that one of the functions answers."""
    values = subjects.draw_values_without(random_, subject, without=without, unknown=UNKNOWN)
    return Exchange(_question(random_, subject, values), offer.explained_call(values))


def _miss(random_: random.Random, subject: Subject, without: Collection[Case]) -> Exchange:
    """A question about a subject that is not on offer."""
    values = subjects.draw_values_without(random_, subject, without=without, unknown=UNKNOWN)
    return Exchange(_question(random_, subject, values), no_call(subject))


def _question(random_: random.Random, subject: Subject, values: dict[str, Value]) -> str:
    question = subject.ask(random_.randrange(len(subject.questions)), values)
    if random_.random() < POLITE:
        question = f"{random_.choice(_BEFORE)} {question}"
    if random_.random() < POLITE:
        question = f"{question} {random_.choice(_AFTER)}"
    return question
