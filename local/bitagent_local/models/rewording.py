"""Lessons for a model that rewords questions: each wording of a subject becomes another one of it, with the same values.

Which one is fixed, two further in the list, so that there is one right answer to learn; a public wording never becomes a public one.
"""

from __future__ import annotations

import random

from bitagent_local.models import subjects
from bitagent_local.models.lesson import Exchange, Lesson
from bitagent_local.models.subjects import PUBLIC_QUESTIONS, Subject, Value

UNKNOWN = 0.4
"""Share of words among the values that are in no list."""


def reworded(subject: Subject, wording: int, values: dict[str, Value]) -> Exchange:
    """A question in one wording, and the same in its other wording."""
    other = (wording + PUBLIC_QUESTIONS) % len(subject.questions)
    return Exchange(subject.ask(wording, values), subject.ask(other, values))


def draw(random_: random.Random) -> Lesson:
    """A lesson with one question, whose answer is its other wording."""
    subject = random_.choice(subjects.load())
    values = subjects.draw_values(random_, subject, unknown=UNKNOWN)
    return Lesson((), (reworded(subject, random_.randrange(len(subject.questions)), values),))
