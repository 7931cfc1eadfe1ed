"""`bitagent-operator explain`, as a process."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.integration.operator.conftest import Exit, Obj, Outcomes, World

pytestmark = pytest.mark.integration


def explained(world: World, *words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "bitagent_operator", "explain", *words]
    return subprocess.run(command, env=world.environment, capture_output=True, text=True, check=False, timeout=60)


def test_it_says_what_a_round_waits_for_and_writes_nothing(operator: World, outcomes: Outcomes) -> None:
    def script(pod: Obj, document: Obj) -> Exit | None:
        return None if document["kind"] == "Evaluate" else outcomes.usual(pod, document)

    operator.kubelet.script = script
    operator.model("m-500")
    operator.round("r")
    operator.until("it runs", lambda: operator.results("r")["m-500"]["state"] == "Running")
    before = operator.get("evalrounds", "r")["metadata"]["resourceVersion"]
    done = explained(operator, "er", "r")
    assert (done.returncode, done.stderr) == (0, "")
    assert "m-500" in done.stdout
    assert "pod r-" in done.stdout
    assert "change nothing" in done.stdout
    assert "Fetched" in explained(operator, "mm", "m-500").stdout
    assert operator.get("evalrounds", "r")["metadata"]["resourceVersion"] == before
    missing = explained(operator, "er", "not-there")
    assert (missing.returncode, "there is no EvalRound not-there" in missing.stderr) == (1, True)


def test_it_says_what_an_operator_would_begin(world: World) -> None:
    world.model("m-500")
    world.round("r")
    done = explained(world, "er", "r", "-n", world.namespace)
    assert "create Job r-tasks" in done.stdout or "write status" in done.stdout
    assert "status" not in world.get("evalrounds", "r")
    assert world.all("jobs") == []
