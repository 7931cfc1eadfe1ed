from __future__ import annotations

import pytest

from bitagent_miner.feedback import CHARACTERS_MAX, LINES_MAX, readable


@pytest.mark.parametrize(
    ("markup", "text"),
    [
        pytest.param("[bold]Total[/bold]: 2 of [red]3[/red]\n", "Total: 2 of 3", id="markup"),
        pytest.param("[link=https://evil.example]score[/link]", "score", id="links"),
        pytest.param("a[/b]c", "a[/b]c", id="no valid markup"),
        pytest.param("a\r\nb  \n\tc", "a\nb\n\tc", id="lines"),
        pytest.param("\x1b]8;;https://evil\x07x\u202e", "\\x1b]8;;https://evilx\\u202e", id="control characters"),
        pytest.param(r"\[bold] stays", "[bold] stays", id="escaped"),
        pytest.param(":smile:", ":smile:", id="emoji"),
    ],
)
def test_feedback_is_plain_text(markup: str, text: str) -> None:
    assert readable(markup) == text


def test_feedback_is_bounded() -> None:
    assert len(readable("x" * CHARACTERS_MAX * 3)) < CHARACTERS_MAX + 10
    lines = readable("x\n" * 5000).split("\n")
    assert (len(lines), lines[-1]) == (LINES_MAX + 1, "(cut)")
