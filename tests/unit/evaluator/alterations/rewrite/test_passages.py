"""The prompt of a rewording, and how a response is read."""

from __future__ import annotations

import pytest

from bitagent_evaluator.alterations.rewrite.passages import extract_rewording, rewrite_prompt


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
def test_extract_rewording(answer: str, question: str, expected: str) -> None:
    assert extract_rewording(answer, question) == expected


def test_the_user_message_is_the_question_alone() -> None:
    system, user = rewrite_prompt("How {is} it?")
    assert (system["role"], user) == ("system", {"role": "user", "content": "How {is} it?"})
