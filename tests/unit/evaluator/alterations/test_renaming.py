"""Names in prose: which of them a rename follows."""

from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bitagent_crds.task_set import Task
from bitagent_evaluator.alterations.renaming import MentionReplacer, WordsInUse, is_code_like

NAMES = st.lists(st.text("aB_.1-'ß ", min_size=0, max_size=4), max_size=6, unique=True)
TEXTS = st.text("aB_.1-'`\"ß \n", max_size=40)


def by_pattern(names: list[str], text: str) -> str:
    """Return the text with names in angle brackets, by the rule written as regular expressions."""
    for form, chosen in (
        (r"(?<![\w.])(?:{})(?!\w|\.\w)", [name for name in names if is_code_like(name)]),
        (r"(?<=['\"`])(?:{})(?=['\"`])", [name for name in names if not is_code_like(name)]),
    ):
        longest_first = sorted(chosen, key=lambda name: (-len(name), name))
        if chosen:
            text = re.sub(form.format("|".join(map(re.escape, longest_first))), lambda found: f"<{found[0]}>", text)
    return text


@given(NAMES, TEXTS)
@settings(max_examples=60)
def test_looked_up_words_are_those_of_the_rule(names: list[str], text: str) -> None:
    replacer = MentionReplacer({name: f"<{name}>" for name in names}, values=())
    assert replacer.in_description(text) == by_pattern(names, text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("call math.add. Then", "call X. Then", id="full stop"),
        pytest.param("math.add.x and my.math.add", "math.add.x and my.math.add", id="part of a longer name"),
        pytest.param("math.add... or user_id!", "X... or Y!", id="dots"),
        pytest.param("the location, 'location' or `location`", "the location, 'Z' or `Z`", id="an ordinary word"),
        pytest.param("'location'location'", "'Z'Z'", id="quotes shared"),
    ],
)
def test_mentions(text: str, expected: str) -> None:
    replacer = MentionReplacer({"math.add": "X", "user_id": "Y", "location": "Z"}, values=())
    assert replacer.in_description(text) == expected


def test_words_in_use_are_those_of_the_task() -> None:
    function = {"name": "Bcd2fgh3", "description": "", "parameters": {"type": "dict", "properties": {}}}
    message = {"role": "user", "content": "The word xcvbn_bcd2fgh4 and Kelvin's \u212abc2fgh5"}
    used = WordsInUse(Task(id="a", source="x", category="c", messages=[message], functions=[function], ground_truth=[]))
    assert "bcd2fgh3" in used
    assert "kbc2fgh5" in used
    assert "bcd2fgh4" not in used
    used.add("bcd2fgh4")
    assert "bcd2fgh4" in used
