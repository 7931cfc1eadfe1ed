"""Where answers are cut, by their tokens alone."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bitagent_evaluator.evaluation.thoughts import OPENING_TOKENS, Extent, ThoughtFinder, ThoughtLimits, extent
from bitagent_evaluator.parsing.thinking import ENDS_OF_THINKING

LIMITS = ThoughtLimits(thought=100, answer=10)


@pytest.mark.parametrize(
    ("thinks", "generated", "end", "expected"),
    [
        pytest.param(False, 0, None, Extent(10, 10, 10), id="does not think"),
        pytest.param(None, 3, None, Extent(None, 10, OPENING_TOKENS), id="may still begin to think"),
        pytest.param(True, 0, None, Extent(None, 10, 10), id="begins to think"),
        pytest.param(True, 50, None, Extent(None, 60, 60), id="thinks"),
        pytest.param(True, 95, None, Extent(None, 100, 100), id="thinks, near the limit"),
        pytest.param(True, 100, None, Extent(100, 100, 100), id="has thought too long"),
        pytest.param(True, 300, 101, Extent(100, 100, 100), id="thought one token too long"),
        pytest.param(True, 300, 100, Extent(110, 110, 110), id="thought as long as allowed"),
        pytest.param(True, 9, 8, Extent(18, 18, 18), id="thought little"),
    ],
)
def test_what_is_known_of_an_answer(thinks: bool | None, generated: int, end: int | None, expected: Extent) -> None:
    assert extent(LIMITS, thinks=thinks, generated=generated, end=end) == expected


def letters(sequences: Sequence[Sequence[int]]) -> list[str]:
    return ["".join(map(chr, ids)) for ids in sequences]


def ids(text: str) -> list[int]:
    return [ord(letter) for letter in text]


PROMPTS = {
    "opened": ("<assistant><think>", True),
    "opened, with blanks": ("x" * 40 + "<think>\n", True),
    "closed": ("<think>\n\n</think>\n\n", False),
    "not opened": ("<assistant>", False),
    "opened by a question": ("What is <think>?", False),
    "empty": ("", False),
    "opened by Magistral's mark": ("[/INST][THINK]", True),
}


@pytest.mark.parametrize(("prompt", "opened"), PROMPTS.values(), ids=PROMPTS)
def test_whether_a_prompt_opens_a_thought(prompt: str, opened: bool) -> None:
    assert ThoughtFinder(letters, None).opened_by([ids(prompt)]) == [opened]


ANSWERS = {
    "at once": ("<think>x", True),
    "after blanks": (" \n<think>", True),
    "later": ("I <think>", False),
    "half": ("<thin", False),
    "in another family's mark": ("<seed:think>x", True),
    "not within the first tokens": (" " * OPENING_TOKENS + "<think>", False),
}


@pytest.mark.parametrize(("answer", "opened"), ANSWERS.values(), ids=ANSWERS)
def test_whether_an_answer_opens_a_thought(answer: str, opened: bool) -> None:
    assert ThoughtFinder(letters, None).opened_in([ids(answer)]) == [opened]


@settings(max_examples=40)
@given(
    before=st.integers(0, 200),
    after=st.integers(0, 80),
    marks=st.integers(0, 2),
    looks=st.lists(st.integers(0, 300), max_size=5),
    of_one_token=st.booleans(),
)
def test_the_end_of_a_thought_is_the_same_in_however_many_looks(
    before: int, after: int, marks: int, looks: list[int], of_one_token: bool
) -> None:
    mark = [999] if of_one_token else ids("</think>")
    answer = [120] * before + (mark + [120] * after) * marks
    finder = ThoughtFinder(letters, 999 if of_one_token else None)
    searched, found = 0, None
    for length in [*sorted(looks), len(answer)]:
        (found,) = finder.ends([answer[:length]], [searched])
        if found is not None:
            break
        searched = min(length, len(answer))
    assert found == (before + len(mark) if marks else None)


@pytest.mark.parametrize("end", ENDS_OF_THINKING)
@pytest.mark.parametrize("before", [0, 30, 31, 32, 47, 48, 63, 64])
def test_a_thought_ends_with_any_mark_wherever_the_pieces_of_text_meet(end: str, before: int) -> None:
    assert ThoughtFinder(letters, None).ends([ids("x" * before + end + "y")], [0]) == [before + len(end)]


def test_other_marks_are_text_to_a_tokenizer_with_a_token_for_the_end_of_a_thought() -> None:
    """Their ends would not be found, so that their thoughts would have no answer."""
    finder = ThoughtFinder(letters, 999)
    assert finder.opened_in([ids("<reasoning>x"), ids("<think>x")]) == [False, True]


def test_the_ends_of_several_thoughts_are_found_at_once() -> None:
    finder = ThoughtFinder(letters, None)
    assert finder.ends([ids("a</think>"), ids(""), ids("x" * 70), ids("</think>")], [0, 0, 64, 0]) == [9, None, None, 8]
    assert finder.ends([], []) == []
