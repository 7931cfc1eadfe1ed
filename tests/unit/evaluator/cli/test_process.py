"""JSON on stdout, failures and log lines on stderr."""

from __future__ import annotations

import json
import logging
import math

import pytest

from bitagent_evaluator.cli.process import configure_logging, fail, print_json


def test_json_has_no_infinity(capsys: pytest.CaptureFixture[str]) -> None:
    print_json({"a": [1.5, math.inf, {"b": (-math.inf, math.nan)}]})
    assert json.loads(capsys.readouterr().out) == {"a": [1.5, "inf", {"b": ["-inf", "nan"]}]}


def test_a_failure_goes_to_stderr_with_its_exit_code(capsys: pytest.CaptureFixture[str]) -> None:
    assert fail("run", "no such model", 2) == 2
    assert capsys.readouterr() == ("", "bitagent-eval run: no such model\n")


@pytest.mark.parametrize(
    "text", ["a\x1b[2Jb.zip is packed", "a\rb", "\u202eb", "\x9b31m"], ids=["escape", "return", "direction", "C1"]
)
def test_a_failure_cannot_move_the_cursor(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Names of files in repositories, and words of servers, are others'."""
    fail("run", f"{text}\nsecond line", 2)
    first, second, _ = capsys.readouterr().err.split("\n")
    assert first.isprintable() and second == "second line"


@pytest.mark.parametrize(("json_lines", "is_json"), [(None, True), (True, True), (False, False)])
def test_log_lines_are_json_by_default(
    capsys: pytest.CaptureFixture[str], json_lines: bool | None, is_json: bool
) -> None:
    """Captured output is not a terminal."""
    configure_logging(json_lines=json_lines)
    logging.getLogger("bitagent_evaluator.test").info("a step")
    logging.getLogger("another.library").info("noise")
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("{") is is_json and "a step" in line
