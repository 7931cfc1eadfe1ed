"""The entry point: verbs, their names, and terminals that cannot show every character."""

from __future__ import annotations

import io
import sys

import pytest

from bitagent_evaluator.cli import app


def test_the_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert app.main(["--version"]) == 0
    assert capsys.readouterr().out.startswith("bitagent-eval 0.")


@pytest.mark.parametrize(("given", "near"), [("chek", "'check'"), ("scores", "'score'"), ("xyz", None)])
def test_a_misspelt_verb_gets_the_nearest(capsys: pytest.CaptureFixture[str], given: str, near: str | None) -> None:
    assert app.main([given]) == 2
    first = capsys.readouterr().err.splitlines()[0]
    assert ("did you mean" in first) is (near is not None)
    assert near is None or near in first


def test_a_terminal_of_ascii_shows_what_it_can(monkeypatch: pytest.MonkeyPatch) -> None:
    raw = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(raw, encoding="ascii"))
    assert app.main(["--help"]) == 0
    sys.stdout.write("a\u2026b")
    sys.stdout.flush()
    assert raw.getvalue().endswith(b"a?b")
