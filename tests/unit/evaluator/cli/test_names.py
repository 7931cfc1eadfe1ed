"""Mistyped names: the nearest one is proposed."""

from __future__ import annotations

from argparse import ArgumentTypeError
from pathlib import Path

import pytest

from bitagent_evaluator.cli import app
from bitagent_evaluator.cli.names import did_you_mean, one_of

NAMES = ("Bfcl", "ChatML", "Llama2")


@pytest.mark.parametrize(("text", "near"), [("bfcl", "Bfcl"), ("chatml", "ChatML"), ("Lama2", "Llama2"), ("xyz", None)])
def test_the_nearest_name_in_any_case(text: str, near: str | None) -> None:
    assert did_you_mean(text, NAMES) == (f"; did you mean {near!r}?" if near else "")


def test_a_type_for_options() -> None:
    assert one_of(NAMES)("Bfcl") == "Bfcl"
    with pytest.raises(ArgumentTypeError, match="there are: Bfcl, ChatML, Llama2; did you mean 'ChatML'"):
        one_of(NAMES)("chatml")


WRONG = {
    "category": (["tasks", "build", "--bfcl", "simple_pyton", "--out", "x"], "simple_python"),
    "alteration": (["tasks", "build", "--bfcl", "multiple", "--alter", "functon-mask", "--out", "x"], "function-mask"),
    "scorer": (["run", "m", "--tasks", "x", "--scorer", "bfclstrict"], "BfclStrict"),
    "dtype": (["run", "m", "--tasks", "x", "--dtype", "float32"], "Float32"),
    "thinking": (["run", "m", "--tasks", "x", "--thinking", "on"], "On"),
    "aggregate": (["run", "m", "--tasks", "x", "--aggregate", "mean"], "Mean"),
    "tool choice": (
        ["run", "--endpoint", "http://x/v1", "--model-name", "m", "--tasks", "x", "--tool-choice", "Auto"],
        "auto",
    ),
    "format": (["run", "m", "--tasks", "x", "--prompt-format", "chattemplate"], "ChatTemplate"),
}


@pytest.mark.parametrize(("words", "near"), WRONG.values(), ids=WRONG)
def test_where_names_are_given(words: list[str], near: str, capsys: pytest.CaptureFixture[str]) -> None:
    try:
        code: object = app.main(words)
    except SystemExit as ended:
        code = ended.code
    assert (code, f"did you mean {near!r}" in capsys.readouterr().err) == (2, True)


def test_an_id_of_a_task(built: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert app.main(["tasks", "show", str(built), "--id", "sum_1"]) == 2
    assert "did you mean 'sum-" in capsys.readouterr().err
