"""Which rewordings are accepted, and why others are rejected."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bitagent_evaluator.alterations.rewrite.acceptance import (
    Accepted,
    Bounds,
    OriginalText,
    Rejection,
    mentioned_names,
)
from bitagent_evaluator.alterations.rewrite.passages import extract_rewording
from bitagent_evaluator.alterations.rewrite.values import keeps_value, same_numbers


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        ("get_user", "call get_user now", True),
        ("get_user", "get_users", False),
        ("getUser", "use getUser.", True),
        ("math.add", "math.add it", True),
        ("search", "search for it", False),
        ("search", "use `search`", True),
        ("search", "search(x)", True),
        ("kq3v9bxt", "the kq3v9bxt way", True),
        ("GetUser", "getuser", False),
    ],
)
def test_mentioned_names(name: str, text: str, expected: bool) -> None:
    assert bool(mentioned_names([name], text)) is expected


class Known:
    """An embedding by a table; other texts have similarity 0.5 to the question."""

    version = "table"

    def __init__(self, **known: float) -> None:
        self._known = {"question": 1.0, **known}

    def vector(self, text: str) -> Any:
        cosine = self._known.get(text, 0.5)
        return np.array([cosine, np.sqrt(1 - cosine**2)], dtype=np.float32)


QUESTION = "How warm is it in Paris on 3 May?"
BOUNDS = Bounds(Decimal("0.2"), Decimal("0.98"))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "On 3 May, what is the temperature in Paris?",
            Accepted("On 3 May, what is the temperature in Paris?", "0.5000"),
        ),
        ("", Rejection.EMPTY),
        ("Paris 3 " * 60, Rejection.TOO_LONG),
        ("Paris\x00 on 3 May?", Rejection.CONTROL_CHARACTERS),
        ("Paris \u202eon 3 May?", Rejection.CONTROL_CHARACTERS),
        ("Paris,\n\ton 3 May?", Accepted("Paris,\n\ton 3 May?", "0.5000")),
        ("Do get_weather in Paris on 3 May.", Rejection.NAMES_FUNCTION),
        ("And on 3 May?", Rejection.VALUE_LOST),
        ("In Paris on 4 May?", Rejection.NUMBER_CHANGED),
        ("Paris? 3 May? far", Rejection.TOO_DIFFERENT),
        ("Paris? 3 May? edge", Accepted("Paris? 3 May? edge", "0.2000")),
        ("Paris? 3 May? near", Rejection.TOO_SIMILAR),
        ("HOW warm is it in Paris -- on 3 May", Rejection.TOO_SIMILAR),
        (QUESTION, Rejection.TOO_SIMILAR),
    ],
)
def test_check(text: str, expected: Accepted | Rejection) -> None:
    known = {"Paris? 3 May? far": 0.1, "Paris? 3 May? edge": 0.2, "Paris? 3 May? near": 0.999, QUESTION: 1.0}
    question = OriginalText(QUESTION, ["Paris"], ["get_weather"], Known(**known))
    assert question.check(text, BOUNDS) == expected


def test_what_the_original_has_already_may_stay() -> None:
    question = OriginalText("Ask get_user for\x07 me", [], ["get_user"], Known(**{"Ask get_user for\x07 me": 1.0}))
    assert isinstance(question.check("get_user\x07 is what I want", BOUNDS), Accepted)


WORDS = st.sampled_from(
    ["Paris", "paris", "New York, NY", "5", "five", "1,000", "get_user", "search", "in", "the", '"', "\n", "\x00"]
)
TEXTS = st.lists(WORDS | st.text(max_size=6), max_size=8).map(" ".join)


@given(
    before=TEXTS,
    after=TEXTS,
    values=st.lists(WORDS | st.integers(-10, 2000) | st.floats(0, 10, allow_nan=False), max_size=3),
    functions=st.lists(WORDS, max_size=2),
)
def test_an_accepted_rewording_keeps_every_value(
    before: str, after: str, values: list[Any], functions: list[str]
) -> None:
    text = extract_rewording(after, before)
    verdict = OriginalText(before, values, functions, Known()).check(text, BOUNDS)
    if isinstance(verdict, Accepted):
        assert verdict.text == text != before
        assert all(keeps_value(value, before, text) for value in values)
        assert same_numbers(before, text)
        assert mentioned_names(functions, text) <= mentioned_names(functions, before)
