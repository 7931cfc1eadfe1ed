"""The page of formats: as committed, and every example is what it is shown for."""

from __future__ import annotations

from pathlib import Path

import pytest

from bitagent_crds.tasks import RowFormat
from bitagent_evaluator.formats_page import answers, rows
from bitagent_evaluator.formats_page.__main__ import main
from bitagent_evaluator.formats_page.page import PAGE, code, member_lines, page, table
from bitagent_evaluator.parsing import AnswerSyntax
from bitagent_evaluator.prompts.formats import BUILT_IN, prompt_format
from bitagent_evaluator.tasks.rows.base import RowSkipReason

ROOT = Path(__file__).resolve().parents[4]
WITHOUT_EXAMPLE = {RowSkipReason.GROUND_TRUTH_REJECTED, RowSkipReason.NOT_JSON, RowSkipReason.REPEATED}


def test_committed_page_is_that_of_the_code() -> None:
    assert (ROOT / PAGE).read_text() == page(), "run 'make formats' and commit docs/formats.md"


def test_every_row_format_has_an_example() -> None:
    assert {example.rows for example in rows.EXAMPLES} == set(RowFormat)


@pytest.mark.parametrize("example", [pytest.param(each, id=f"{i}-{each.rows}") for i, each in enumerate(rows.EXAMPLES)])
def test_example_rows_are_tasks_and_no_longer_than_needed(example: rows.RowExample) -> None:
    assert rows.read(example).messages
    assert rows.needed_columns(example) == list(example.row)


@pytest.mark.parametrize("reason", [pytest.param(each, id=each.name) for each in RowSkipReason])
def test_example_of_a_skipped_row_is_skipped_for_its_reason(reason: RowSkipReason) -> None:
    if reason in WITHOUT_EXAMPLE:
        assert reason not in rows.SKIPPED
    else:
        assert rows.reason_of(rows.SKIPPED[reason].example) == reason


def test_every_syntax_of_a_format_has_examples() -> None:
    accepted = {syntax for name in BUILT_IN for syntax in prompt_format(name).syntaxes}
    assert answers.SYNTAX_EXAMPLES.keys() == set(AnswerSyntax) == accepted


@pytest.mark.parametrize("syntax", [pytest.param(each, id=each) for each in AnswerSyntax])
def test_examples_of_a_syntax_are_read_by_it_alone(syntax: AnswerSyntax) -> None:
    for text in answers.SYNTAX_EXAMPLES[syntax]:
        assert answers.read(text, (syntax,)).calls
        if syntax is not AnswerSyntax.PYTHON:
            assert not answers.read(text, (AnswerSyntax.PYTHON,)).calls


def test_common_examples_are_read_and_the_others_are_not() -> None:
    chat = tuple(prompt_format("ChatTemplate").syntaxes)
    assert all(answers.read(text, chat).calls is not None for text in answers.COMMON_EXAMPLES)
    assert all(answers.read(text, chat).unreadable for text in answers.UNREADABLE_EXAMPLES)


def test_failures_differ_and_the_first_two_are_right() -> None:
    errors = [judged.error for judged in answers.judged()]
    assert [bool(error) for error in errors] == [False, False] + [True] * (len(errors) - 2)
    assert len(set(errors)) >= 8


def test_members_have_their_docstrings() -> None:
    docs = member_lines(AnswerSyntax)
    assert docs.keys() == set(AnswerSyntax)
    assert all(docs.values())


@pytest.mark.parametrize(
    ("text", "expected"),
    [("a", "`a`"), ("`a`", "`` `a` ``"), ("```a```", "```` ```a``` ````")],
    ids=["plain", "one", "three"],
)
def test_code_holds_backticks(text: str, expected: str) -> None:
    assert code(text) == expected


def test_cells_hold_pipes_and_line_breaks() -> None:
    assert table(("a", "b"), [("x|y", "1\n2")]) == "| a | b |\n|---|---|\n| x\\|y | 1⏎2 |"


def test_check_compares(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "docs").mkdir()
    assert main([str(tmp_path), "--check"]) == 1
    assert PAGE in capsys.readouterr().err
    assert main([str(tmp_path)]) == 0
    assert main([str(tmp_path), "--check"]) == 0
