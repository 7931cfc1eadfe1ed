"""The terminal: progress and log lines, `--quiet` and untrusted text."""

from __future__ import annotations

import argparse
import io
import logging

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console
from rich.text import Text

from bitagent_evaluator.cli import run_arguments, run_endpoint, tasks
from bitagent_evaluator.cli.console import PrintableConsole, add_quiet, progress_console, progress_on, untrusted
from bitagent_evaluator.cli.tasks import main

BUILD = ["build", "--bfcl", "multiple", "--count", "3", "--json", "--out"]


@pytest.mark.parametrize(("flags", "said"), [([], "building the task set"), (["--quiet"], ""), (["-q"], "")])
def test_building(tmp_path: object, capsys: pytest.CaptureFixture[str], flags: list[str], said: str) -> None:
    assert main([*BUILD, str(tmp_path), *flags]) == 0
    printed = capsys.readouterr()
    assert (said in printed.err) if said else printed.err == ""
    assert '"count": 3' in printed.out


@pytest.mark.parametrize("quiet", [False, True])
def test_warnings_are_printed_either_way_and_steps_unless_quiet(
    capsys: pytest.CaptureFixture[str], quiet: bool
) -> None:
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
    with progress_on(Console(file=shown, force_terminal=True, quiet=quiet)) as progress:
        progress.start_phase("loading")
        progress.update(1, 2)
    assert bool(shown.getvalue()) is not quiet


@pytest.mark.parametrize("parser", [run_arguments.run_parser(), run_endpoint._parser()], ids=["run", "run --endpoint"])
def test_runs_have_the_flag(parser: argparse.ArgumentParser) -> None:
    assert "--quiet" in parser.format_help()


def test_quiet_is_off_by_default() -> None:
    parser = argparse.ArgumentParser()
    add_quiet(parser)
    assert not parser.parse_args([]).quiet
    assert parser.parse_args(["-q"]).quiet
    assert tasks.tasks_parser().parse_args([*BUILD, "x", "-q"]).quiet


def test_untrusted_text_is_neither_markup_nor_control() -> None:
    text = untrusted("[bold]a\x1b[2J\u202e\tb", "red")
    assert text.plain == r"[bold]a\x1b[2J\u202e" + "\tb"
    assert not text.spans


@given(st.text(st.characters(codec=None)))
def test_a_console_writes_printable_characters_only(text: str) -> None:
    written = io.StringIO()
    PrintableConsole(file=written, width=4000).print(Text(text), end="")
    assert "".join(written.getvalue().split()).isprintable()
