"""The entry point: verbs, their names, and terminals that cannot show every character."""

from __future__ import annotations

import io
import sys
import tomllib
from pathlib import Path

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


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "cp437"])
def test_a_terminal_of_few_characters_shows_what_it_can(monkeypatch: pytest.MonkeyPatch, encoding: str) -> None:
    raw = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(raw, encoding=encoding))
    assert app.main(["--help"]) == 0
    sys.stdout.write("a\u2026b")
    sys.stdout.flush()
    assert raw.getvalue().endswith(b"a?b")


@pytest.mark.parametrize("module", sorted(app.FILES_ONLY))
@pytest.mark.parametrize("verb", ["check", "run", "job", "tasks"])
def test_a_package_that_pip_leaves_out_is_named_before_a_model_is_judged(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, verb: str, module: str
) -> None:
    """An environment of `bitagent[evaluator]` has neither: with what they require they have 6 GB."""
    found = app.importlib.util.find_spec
    monkeypatch.setattr(app.importlib.util, "find_spec", lambda name: None if name == module else found(name))
    assert app.main([verb, "x"]) == 1
    said = capsys.readouterr().err
    assert module in said
    assert f"pip install --no-deps {' '.join(app.FILES_ONLY.values())}" in said


def test_a_verb_whose_modules_need_it_names_it_too(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def missing(name: str) -> None:
        raise ModuleNotFoundError("No module named 'bfcl_eval'", name="bfcl_eval.constants")

    monkeypatch.setattr(app.importlib, "import_module", missing)
    assert app.main(["compare", "x"]) == 1
    assert "pip install --no-deps" in capsys.readouterr().err


def test_another_missing_module_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> None:
        raise ModuleNotFoundError("No module named 'other'", name="other")

    monkeypatch.setattr(app.importlib, "import_module", missing)
    with pytest.raises(ModuleNotFoundError):
        app.main(["compare", "x"])


def test_the_packages_have_the_versions_of_the_project() -> None:
    project = tomllib.loads((Path(__file__).parents[4] / "pyproject.toml").read_text())["project"]
    listed = {each for extra in project["optional-dependencies"].values() for each in extra}
    assert set(app.FILES_ONLY.values()) <= listed
