"""Which rewordings are taken: what must stay in a question, what must not come in, and how answers are read."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bitagent_evaluator.alterations.rewriting import prompt
from bitagent_evaluator.alterations.rewriting.judging import Accepted, Bounds, Question
from bitagent_evaluator.alterations.rewriting.names import named
from bitagent_evaluator.alterations.rewriting.reasons import Rejected
from bitagent_evaluator.alterations.rewriting.values import canonical_number, keeps, same_numbers, values_of


@pytest.mark.parametrize(
    ("value", "before", "after", "expected"),
    [
        ("Paris", "Weather in Paris?", "How is Paris?", True),
        ("Paris", "Weather in Paris?", "How is London?", False),
        ("Paris", "Weather in Paris?", "How is paris?", False),
        ("Paris", "weather in paris?", "How is Paris?", True),
        ("New York, NY", "in New York, NY now", "now in New York, NY", True),
        ("New York, NY", "in new york NY now", "New York/NY please", True),
        ("New York, NY", "in New York now", "in the big city now", False),
        ("New York, NY", "in New York now", "now, in New York", True),
        ("top-rated", "top rated hotels", "the best hotels", False),
        ("apple", "two apples", "apples, two", True),
        ("apple", "an apple", "apples", False),
        ("car", "a scary car", "a scary one", False),
        ("café Ünal", "the cafe\u0301 U\u0308nal now", "now the cafe\u0301 U\u0308nal", True),
        ("café Ünal", "the cafe\u0301 U\u0308nal now", "now that place", False),
        ("average", "the mean", "anything", True),
        ("C++ (17)", "use C++ (17) here", "here, C++ (17) is used", True),
        ("  ", "a  b", "ab", True),
        (5, "5 of them", "of them, 5", True),
        (5, "five of them", "5 of them", True),
        (5, "5 of them", "some of them", False),
        (5, "15 of them", "some of them", True),
        (-5, "at -5 degrees", "at minus 5 degrees", True),
        (1000, "1,000 dollars", "1000 dollars", True),
        (1000.0, "1000 dollars", "dollars", False),
        (0.05, "a rate of .05", "0.05 is the rate", True),
        (0.05, "a rate of 5%", "the rate", True),
        (25, "twenty-five", "twenty five", True),
        (25, "twenty-five", "twenty", False),
    ],
)
def test_values_stay(value: Any, before: str, after: str, expected: bool) -> None:
    assert keeps(value, before, after) is expected


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        ("5% over 3 years", "for 3 years at 5%", True),
        ("5% over 3 years", "for 3 years at 6%", False),
        ("5% over 3 years", "over 3 years", False),
        ("in three days", "in 3 days", True),
        ("in 3 days", "in three days", True),
        ("a few days", "in 3 days", False),
        ("the best one", "the best", True),
        ("2024-05-01", "on 2024-05-01", True),
        ("2024-05-01", "on 2024-05-02", False),
        ("1.50 euros", "1.5 euros", True),
        ("1,500,000.50", "1500000.5", True),
        ("at -5 degrees", "at 5 degrees", False),
        ("at 5 degrees", "at -5 degrees", False),
        ("at -5 degrees", "when it has minus 5 degrees", True),
        ("at negative 5 degrees", "at \u22125 degrees", True),
        ("2024-05-01, room 3-5", "room 3-5 on 2024-05-01", True),
        ("5 million people", "5 billion people", False),
        ("two thousand", "two", False),
        ("three Million", "MILLIONS, three of them", True),
    ],
)
def test_numbers_stay(before: str, after: str, expected: bool) -> None:
    assert same_numbers(before, after) is expected


@given(st.integers(0, 10**12) | st.floats(0, 1e9, allow_nan=False).map(lambda x: round(x, 3)))
def test_a_number_stands_in_a_text_that_says_it(number: float) -> None:
    assert not keeps(number, f"take {Decimal(repr(number)):f} of it", "take some of it")
    assert canonical_number(number) == canonical_number(f"{Decimal(repr(number)):,f}")


def test_values_of_a_ground_truth() -> None:
    truth = [
        {"f": {"a": [1, 2.5, ""], "b": [True, "x"], "c": [{"k": ["deep"], "l": [[3, "in"]]}]}},
        {"g": {"d": [["p", "q"], None]}},
    ]
    assert values_of(truth) == [1, 2.5, "x", "deep", 3, "in", "p", "q"]
    assert values_of(None) == []


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        ("get_user", "call get_user now", True), ("get_user", "get_users", False), ("getUser", "use getUser.", True),
        ("math.add", "math.add it", True), ("search", "search for it", False), ("search", "use `search`", True),
        ("search", "search(x)", True), ("kq3v9bxt", "the kq3v9bxt way", True), ("GetUser", "getuser", False),
    ],
)  # fmt: skip
def test_functions_that_are_named(name: str, text: str, expected: bool) -> None:
    assert bool(named([name], text)) is expected


@pytest.mark.parametrize(
    ("answer", "question", "expected"),
    [
        ("  Hello there \n", "Hi", "Hello there"),
        ('"Hello there"', "Hi", "Hello there"),
        ("“Hello there”", "Hi", "Hello there"),
        ('"A" and "B"', "Hi", '"A" and "B"'),
        ('"Hello"', '"Hi"', '"Hello"'),
        ("<think>hm, hm</think>\nHello", "Hi", "Hello"),
        ("", "Hi", ""),
        ('"', "Hi", '"'),
    ],
)
def test_reading_an_answer(answer: str, question: str, expected: str) -> None:
    assert prompt.rewording(answer, question) == expected


def test_the_user_message_is_the_question_alone() -> None:
    system, user = prompt.messages("How {is} it?")
    assert (system["role"], user) == ("system", {"role": "user", "content": "How {is} it?"})


class Known:
    """An embedding by a table; unknown texts are half similar to the question."""

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
        ("On 3 May, what is the temperature in Paris?", Accepted("On 3 May, what is the temperature in Paris?", "0.5000")),
        ("", Rejected.EMPTY),
        ("Paris 3 " * 60, Rejected.TOO_LONG),
        ("Paris\x00 on 3 May?", Rejected.CONTROL_CHARACTERS),
        ("Paris \u202eon 3 May?", Rejected.CONTROL_CHARACTERS),
        ("Paris,\n\ton 3 May?", Accepted("Paris,\n\ton 3 May?", "0.5000")),
        ("Do get_weather in Paris on 3 May.", Rejected.NAMES_FUNCTION),
        ("And on 3 May?", Rejected.VALUE_LOST),
        ("In Paris on 4 May?", Rejected.NUMBER_CHANGED),
        ("Paris? 3 May? far", Rejected.TOO_DIFFERENT),
        ("Paris? 3 May? edge", Accepted("Paris? 3 May? edge", "0.2000")),
        ("Paris? 3 May? near", Rejected.TOO_SIMILAR),
        ("HOW warm is it in Paris -- on 3 May", Rejected.TOO_SIMILAR),
        (QUESTION, Rejected.TOO_SIMILAR),
    ],
)  # fmt: skip
def test_judging(text: str, expected: Accepted | Rejected) -> None:
    known = {"Paris? 3 May? far": 0.1, "Paris? 3 May? edge": 0.2, "Paris? 3 May? near": 0.999, QUESTION: 1.0}
    question = Question(QUESTION, ["Paris"], ["get_weather"], Known(**known))
    assert question.judge(text, BOUNDS) == expected


def test_what_the_question_has_already_may_stay() -> None:
    question = Question("Ask get_user for\x07 me", [], ["get_user"], Known(**{"Ask get_user for\x07 me": 1.0}))
    assert isinstance(question.judge("get_user\x07 is what I want", BOUNDS), Accepted)


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
def test_whatever_is_taken_keeps_every_value(before: str, after: str, values: list[Any], functions: list[str]) -> None:
    text = prompt.rewording(after, before)
    verdict = Question(before, values, functions, Known()).judge(text, BOUNDS)
    if isinstance(verdict, Accepted):
        assert verdict.text == text != before
        assert all(keeps(value, before, text) for value in values)
        assert same_numbers(before, text)
        assert named(functions, text) <= named(functions, before)


@given(TEXTS, WORDS | st.integers(-10, 2000) | st.floats(0, 10, allow_nan=False))
def test_a_text_keeps_what_it_has(text: str, value: Any) -> None:
    assert keeps(value, text, text)
    assert same_numbers(text, text)
