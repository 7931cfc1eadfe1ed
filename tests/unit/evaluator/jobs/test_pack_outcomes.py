"""Outcomes of a pack: waiting containers end when theirs is there, and when the engine's container dies."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from bitagent_crds.conditions import Reason
from bitagent_crds.jobs import EXIT_NOT_BEGUN, EXIT_PACK_LOST, EvaluateSummary
from bitagent_evaluator.cli import outcome as verb
from bitagent_evaluator.jobs.pack_outcomes import Outcome, OutcomeWriter, wait_for_outcome

DIES = """
import os, sys
from pathlib import Path
from bitagent_evaluator.jobs.pack_outcomes import Outcome, OutcomeWriter
writer = OutcomeWriter(Path(sys.argv[1]), ["a", "b", "c"])
writer.begin("a")
writer.end("a", Outcome(0, "done"))
writer.begin("b")
print("ready", flush=True)
sys.stdin.read()
os.kill(os.getpid(), 9)
"""


def waiting(folder: Path, key: str) -> Callable[[], Outcome]:
    """Begin to wait; the result waits for the outcome."""
    found: list[Outcome] = []

    def wait() -> None:
        found.append(wait_for_outcome(folder, key, lost=EXIT_PACK_LOST, not_begun=EXIT_NOT_BEGUN))

    thread = threading.Thread(target=wait, daemon=True)
    thread.start()

    def result() -> Outcome:
        thread.join(60)
        return found[0]

    return result


@pytest.mark.parametrize("early", [True, False], ids=["who waits from the start", "who comes after the end"])
def test_an_outcome_arrives(tmp_path: Path, early: bool) -> None:
    first = waiting(tmp_path, "a") if early else None
    with OutcomeWriter(tmp_path, ["a", "b"]) as writer:
        writer.begin("a")
        writer.end("a", Outcome(78, '{"reason": "x"}\nmore'))
        assert (first or waiting(tmp_path, "a"))() == Outcome(78, '{"reason": "x"}\nmore')


@pytest.mark.parametrize("early", [True, False], ids=["who waits from the start", "who comes after the end"])
def test_those_without_an_outcome_end_with_the_engines_container(tmp_path: Path, early: bool) -> None:
    keys = ("a", "b", "c")
    before = {key: waiting(tmp_path, key) for key in keys} if early else {}
    engine = subprocess.Popen(
        [sys.executable, "-c", DIES, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert engine.stdout is not None and engine.stdin is not None
    assert engine.stdout.readline() == b"ready\n"
    engine.stdin.close()
    engine.wait()
    engine.stdout.close()
    found = {key: (before.get(key) or waiting(tmp_path, key))() for key in keys}
    assert found["a"] == Outcome(0, "done")
    assert found["b"] == Outcome(EXIT_PACK_LOST, "")
    assert found["c"].exit_code == EXIT_NOT_BEGUN
    assert EvaluateSummary.model_validate_json(found["c"].message).reason is Reason.PACK_ENDED


def test_the_verb_ends_as_the_model_did(tmp_path: Path) -> None:
    log = tmp_path / "log"
    with OutcomeWriter(tmp_path, ["a"]) as writer:
        writer.end("a", Outcome(1, json.dumps({"reason": "Crashed"})))
    command = [sys.executable, "-m", "bitagent_evaluator.cli.app", "outcome"]
    options = ["--key=a", f"--dir={tmp_path}", f"--termination-log={log}"]
    ended = subprocess.run([*command, *options], capture_output=True, text=True, check=False)
    assert (ended.returncode, log.read_text()) == (1, '{"reason": "Crashed"}')


def test_waiting_imports_nothing_large() -> None:
    code = "import sys, bitagent_evaluator.cli.app, bitagent_evaluator.cli.outcome; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert not {"pydantic", "bitagent_crds", "numpy"} & set(loaded)


def test_the_verbs_codes_are_those_of_the_interface() -> None:
    assert (verb._LOST, verb._NOT_BEGUN) == (EXIT_PACK_LOST, EXIT_NOT_BEGUN)
