"""The entry point: exit codes, versions, messages."""

from __future__ import annotations

import argparse
import io
import json
import os
import sys
import tomllib
from importlib.metadata import version
from pathlib import Path

import pytest

from bitagent_cli import main as module
from bitagent_cli.connection import Failure
from bitagent_cli.main import main
from bitagent_cli.output.terminal import Terminal
from bitagent_cli.parser import Exit
from bitagent_cli.verbs import lists
from bitagent_kube.errors import ApiError

ROOT = Path(__file__).parents[3]


def test_without_a_verb_it_shows_the_verbs(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == Exit.USAGE
    assert "leaderboard" in capsys.readouterr().out


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == Exit.DONE
    assert capsys.readouterr().out == f"bitagent {version('bitagent')}\n"


def test_both_names_are_entry_points() -> None:
    scripts = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["scripts"]
    assert scripts["bitagent"] == scripts[module.PLUGIN] == "bitagent_cli.main:main"


def test_as_a_plugin_it_says_so(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(sys, "argv", [f"/usr/local/bin/{module.PLUGIN}"])
    main()
    assert "usage: kubectl bitagent" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("error", "said"),
    [
        pytest.param(Failure("there is no EvalRound x"), "there is no EvalRound x", id="failure"),
        pytest.param(
            ApiError(code=500, reason="X", message="broken \x1b[2J"), "broken \\x1b[2J", id="of the API server"
        ),
        pytest.param(KeyboardInterrupt(), "stopped", id="interrupted"),
        pytest.param(OSError(28, "No space left on device"), "No space left", id="nothing can be written"),
    ],
)
def test_errors_are_messages(
    error: BaseException, said: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    async def fails(options: argparse.Namespace, terminal: Terminal) -> int:
        raise error

    monkeypatch.setattr(lists, "run", fails)
    assert main(["rounds"]) == Exit.FAILED
    captured = capsys.readouterr()
    assert said in captured.err
    assert "Traceback" not in captured.err


def test_a_reader_that_has_left_is_no_error_to_talk_about(monkeypatch: pytest.MonkeyPatch) -> None:
    async def writes(options: argparse.Namespace, terminal: Terminal) -> int:
        terminal.line("a line that fits the buffer")
        return Exit.DONE

    read, write = os.pipe()
    os.close(read)
    out, err = open(write, "w"), io.StringIO()  # noqa: SIM115
    monkeypatch.setattr(lists, "run", writes)
    monkeypatch.setattr(sys, "stdout", out)
    monkeypatch.setattr(sys, "stderr", err)
    assert main(["rounds"]) == Exit.FAILED
    out.close()  # as the interpreter does at its end
    assert err.getvalue() == ""


def test_messages_name_the_command_as_it_was_called(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    async def fails(options: argparse.Namespace, terminal: Terminal) -> int:
        raise Failure("x")

    monkeypatch.setattr(lists, "run", fails)
    monkeypatch.setattr(sys, "argv", [f"/usr/local/bin/{module.PLUGIN}", "rounds"])
    main()
    assert capsys.readouterr().err == "kubectl bitagent rounds: x\n"


@pytest.mark.parametrize(
    "words",
    [
        pytest.param(["submit", "no-slash"], id="repository"),
        pytest.param(["logs", "r", "--since", "soon"], id="duration"),
    ],
)
def test_arguments_are_looked_at_before_a_cluster_is(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*words, "--kubeconfig", "/nonexistent"]) == Exit.USAGE
    assert f"bitagent {words[0]}: " in capsys.readouterr().err


def test_completion_prints_candidates_and_a_directive(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([module.COMPLETE, "le"]) == Exit.DONE
    assert capsys.readouterr().out == "leaderboard\n:4\n"


def test_no_cluster(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    config = {
        "current-context": "c",
        "contexts": [{"name": "c", "context": {"cluster": "k", "user": "u"}}],
        "clusters": [{"name": "k", "cluster": {"server": "http://127.0.0.1:9"}}],
        "users": [{"name": "u", "user": {}}],
    }
    path = tmp_path / "config"
    path.write_text(json.dumps(config))
    assert main(["rounds", "--kubeconfig", str(path)]) == Exit.FAILED
    assert "the cluster does not answer (context c, http://127.0.0.1:9)" in capsys.readouterr().err
