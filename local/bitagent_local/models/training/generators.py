"""Generators of lessons for the models that read and that reword.

In a reader's lessons only descriptions identify functions and parameters: names are random strings or
random words, new in every lesson and unrelated to the subject; functions and parameters come in any order, questions in
all wordings with values of their own. Some questions fit no function. No lesson asks what the public benchmark asks, in
any wording.

A rewriter's lessons turn each wording of a subject into another one with the same values. Which one is fixed, so that
there is one right answer to learn; a public wording never becomes a public one.
"""

from __future__ import annotations

import keyword
import random
from collections.abc import Callable, Collection

from bitagent_local.models.training import subjects
from bitagent_local.models.training.lessons import Exchange, Lesson, Offer, OfferedParameter, no_call
from bitagent_local.models.training.subjects import PUBLIC_QUESTIONS, Case, Subject, Value

NO_FIT = 0.2
"""Share of the reader's questions that no function fits."""
UNKNOWN_READ, UNKNOWN_REWORDED = 0.2, 0.4
"""Share of words among the values that are in no list, for the reader and for the rewriter."""
STRING_NAMES = 0.5
"""Share of functions, and of lessons' parameters, whose names are random strings."""
POLITE = 0.2
"""Share of questions with polite words before, and with polite words after."""

_LETTERS = "bcdfghjklmnpqrstvwxz"
_DIGITS = "23456789"
STRING_CHARACTERS = _LETTERS + _DIGITS
_BEFORE = ("Hello!", "Please help me.", "Can you help?", "One question:", "Quickly:")
_AFTER = ("Thank you.", "Please.", "Thanks!", "I am in a hurry.")

Draw = Callable[[random.Random, int, int], Lesson]
"""Draws a lesson with so many functions and so many questions."""


def reading_lessons(excluded: Collection[Case], *, string_names: float = STRING_NAMES) -> Draw:
    """Return a generator of reading lessons, none of which contains a question for one of `excluded`."""
    known = subjects.load()
    names = [name for subject in known for name in (subject.name, *(each.name for each in subject.parameters))]
    words = sorted({word for name in names for word in name.split("_")})

    def draw(random_: random.Random, functions: int, questions: int) -> Lesson:
        chosen = random_.sample(known, functions)
        others = [subject for subject in known if subject not in chosen]
        offers = _offers(random_, chosen, words, string_names)
        exchanges = [
            _unanswerable(random_, random_.choice(others), excluded)
            if random_.random() < NO_FIT
            else _answerable(random_, *random_.choice(offers), excluded)
            for _ in range(questions)
        ]
        return Lesson(tuple(offer.schema() for _, offer in offers), tuple(exchanges))

    return draw


def rewording_lesson(random_: random.Random) -> Lesson:
    """Draw a lesson with one question, whose answer is its other wording."""
    subject = random_.choice(subjects.load())
    values = subjects.draw_values(random_, subject, unknown=UNKNOWN_REWORDED)
    return Lesson((), (reworded(subject, random_.randrange(len(subject.questions)), values),))


def reworded(subject: Subject, wording: int, values: dict[str, Value]) -> Exchange:
    """Return a question in one wording, answered by the wording `PUBLIC_QUESTIONS` further in the list."""
    other = (wording + PUBLIC_QUESTIONS) % len(subject.questions)
    return Exchange(subject.ask(wording, values), subject.ask(other, values))


def _offers(
    random_: random.Random, chosen: list[Subject], words: list[str], string_names: float
) -> list[tuple[Subject, Offer]]:
    """Offer the chosen subjects under meaningless names; no name is used twice."""
    used: set[str] = set()
    has_strings = random_.random() < string_names
    return [
        (
            subject,
            Offer(
                name=_name(random_, words, used, is_string=random_.random() < string_names),
                description=subject.description,
                parameters=tuple(
                    OfferedParameter(_name(random_, words, used, is_string=has_strings), each)
                    for each in random_.sample(subject.parameters, len(subject.parameters))
                ),
            ),
        )
        for subject in chosen
    ]


def _name(random_: random.Random, words: list[str], used: set[str], *, is_string: bool) -> str:
    """Draw an identifier that is not in `used`, and add it there."""
    while True:
        if is_string:
            name = "".join(random_.choice(_LETTERS if place % 4 < 3 else _DIGITS) for place in range(8))
        else:
            name = "_".join(random_.sample(words, random_.randint(1, 3)))
        if name not in used and not keyword.iskeyword(name):
            used.add(name)
            return name


def _answerable(random_: random.Random, subject: Subject, offer: Offer, excluded: Collection[Case]) -> Exchange:
    """Draw a question that one of the functions answers."""
    values = subjects.draw_new_values(random_, subject, excluded=excluded, unknown=UNKNOWN_READ)
    return Exchange(_question(random_, subject, values), offer.explained_call(values))


def _unanswerable(random_: random.Random, subject: Subject, excluded: Collection[Case]) -> Exchange:
    """Draw a question about a subject that is not offered."""
    values = subjects.draw_new_values(random_, subject, excluded=excluded, unknown=UNKNOWN_READ)
    return Exchange(_question(random_, subject, values), no_call(subject))


def _question(random_: random.Random, subject: Subject, values: dict[str, Value]) -> str:
    question = subject.ask(random_.randrange(len(subject.questions)), values)
    if random_.random() < POLITE:
        question = f"{random_.choice(_BEFORE)} {question}"
    if random_.random() < POLITE:
        question = f"{question} {random_.choice(_AFTER)}"
    return question
