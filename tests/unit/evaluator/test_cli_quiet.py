"""What verbs say on the way, and that they say nothing when asked to be quiet."""

from __future__ import annotations

import argparse
import io
import logging

import pytest
from rich.console import Console

from bitagent_evaluator.cli import run, run_endpoint, tasks
from bitagent_evaluator.cli.tasks import main
from bitagent_evaluator.cli.watching import add_quiet, progress_console, watched_progress

BUILD = ["build", "--bfcl", "multiple", "--count", "3", "--json", "--out"]


@pytest.mark.parametrize(("flags", "said"), [([], "building the task set"), (["--quiet"], ""), (["-q"], "")])
def test_building(tmp_path: object, capsys: pytest.CaptureFixture[str], flags: list[str], said: str) -> None:
    assert main([*BUILD, str(tmp_path), *flags]) == 0
    told = capsys.readouterr()
    assert (said in told.err) if said else told.err == ""
    assert '"count": 3' in told.out


@pytest.mark.parametrize("quiet", [False, True])
def test_warnings_are_told_either_way_and_steps_only_aloud(capsys: pytest.CaptureFixture[str], quiet: bool) -> None:
    progress_console(quiet=quiet)
    log = logging.getLogger("bitagent_evaluator.test")
    log.info("a step")
    log.warning("mind this")
    err = capsys.readouterr().err
    assert "mind this" in err
    assert ("a step" in err) is not quiet


@pytest.mark.parametrize("quiet", [False, True])
def test_a_bar_on_a_terminal(quiet: bool) -> None:
    shown = io.StringIO()
    with watched_progress(Console(file=shown, force_terminal=True, quiet=quiet)) as progress:
        progress.phase("loading")
        progress.answered(1, 2)
    assert bool(shown.getvalue()) is not quiet


@pytest.mark.parametrize("parser", [run._parser(), run_endpoint._parser()], ids=["run", "run --endpoint"])
def test_runs_have_the_flag(parser: argparse.ArgumentParser) -> None:
    assert "--quiet" in parser.format_help()


def test_off_unless_asked_for() -> None:
    parser = argparse.ArgumentParser()
    add_quiet(parser)
    assert not parser.parse_args([]).quiet
    assert parser.parse_args(["-q"]).quiet
    assert tasks._parser().parse_args([*BUILD, "x", "-q"]).quiet
