"""PackJob: each model has its own outcome, whatever happens to the engine's process in the turn of another one."""

from __future__ import annotations

import math
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from bitagent_crds.conditions import Reason
from bitagent_crds.jobs import (
    EXIT_INFRASTRUCTURE,
    EXIT_LATER,
    EXIT_MODEL_FAULT,
    EXIT_OK,
    EXIT_STOPPED,
    STALL_SECONDS_KEY,
    EvaluateSummary,
    PackJob,
    document,
)
from bitagent_crds.progress import ProgressDocument
from bitagent_evaluator.jobs import pack as module
from bitagent_evaluator.jobs.pack_outcomes import Outcome, OutcomeWriter, wait_for_outcome

ENGINE = """
import argparse, json, os, pathlib, signal, subprocess, sys, time
parser = argparse.ArgumentParser()
parser.add_argument("--first", type=int)
parser.add_argument("--reports", type=int)
options = parser.parse_args()
job = json.load(sys.stdin)
pipe = os.fdopen(options.reports, "w", buffering=1)
with open(job["outcomesDir"] + "/engines", "a") as log:
    log.write(f"{options.first}\\n")
signal.signal(signal.SIGTERM, lambda *_: sys.exit("stopped in order"))
for number in range(options.first, len(job["members"])):
    how = job["members"][number]["job"]["repo"].partition("/")[2]
    if how == "never-begins":
        sys.exit("no engine")
    print(json.dumps({"begin": number}), file=pipe)
    if how == "dies":
        sys.stderr.write("a stack trace\\n")
        os.kill(os.getpid(), signal.SIGSEGV)
    if how == "leaves-a-sandbox":
        child = subprocess.Popen(["sleep", "600"], process_group=0)
        pathlib.Path(job["outcomesDir"] + "/sandbox").write_text(str(child.pid))
        os.kill(os.getpid(), signal.SIGKILL)
    if how == "exits":
        sys.exit(3)
    if how == "babbles":
        print('{"summary": {"reas' + json.dumps({"progress": {}}), file=pipe)
        time.sleep(600)
    if how in ("hangs", "is-stopped"):
        time.sleep(600)
    if how in ("stalls", "falls-silent"):
        idle, said = 0.0, {"phase": "Loading", "done": 3, "total": 9}
        while how == "stalls" or idle == 0.0:
            print(json.dumps({"progress": said | {"idleSeconds": idle}}), file=pipe)
            time.sleep(0.1)
            idle += 0.1
        time.sleep(600)
    reasons = {"scores": "Evaluated", "faulty": "NonFiniteWeights", "lacks-files": "ModelFilesMissing"}
    reason = reasons.get(how.removesuffix("-and-hangs"), "Crashed")
    summary = {"reason": reason, "message": how}
    if reason == "Evaluated":
        summary["score"] = f"0.{number + 1}00000"
    print(json.dumps({"end": number, "summary": summary}), file=pipe)
    if how == "blamed":
        break
    if how == "scores-and-hangs":
        time.sleep(600)
"""


def pack(folder: Path, *models: str, seconds: int = 60) -> PackJob:
    """A pack of models that end as their names say."""
    digest = "sha256:" + "1" * 64
    run = {"commit": "a" * 40, "weightsDigest": digest, "taskSetDigest": digest, "maxTokens": 8}
    places = {"modelDir": "/model", "taskSetDir": "/tasks", "outDir": "/results"}
    members = [{"key": f"k{i}", "job": places | run | {"repo": f"org/{how}"}} for i, how in enumerate(models)]
    return PackJob.model_validate({"members": members, "outcomesDir": str(folder), "memberSeconds": seconds})


def outcome(folder: Path, number: int) -> Outcome:
    return wait_for_outcome(folder, f"k{number}", lost=70, not_begun=71)


def ended(folder: Path, number: int) -> tuple[int, str]:
    found = outcome(folder, number)
    return found.exit_code, EvaluateSummary.model_validate_json(found.message).reason


def engines(folder: Path) -> list[int]:
    """The first model of each process."""
    return [int(line) for line in (folder / "engines").read_text().split()]


COMMAND = (sys.executable, "-c", ENGINE)
GOOD = (EXIT_OK, Reason.EVALUATED)


@pytest.mark.parametrize(
    ("how", "expected", "processes"),
    [
        pytest.param("faulty", (EXIT_MODEL_FAULT, Reason.NON_FINITE_WEIGHTS), [0], id="model at fault"),
        pytest.param("blamed", (EXIT_INFRASTRUCTURE, Reason.CRASHED), [0, 2], id="failure that leaves the engine"),
        pytest.param("lacks-files", (EXIT_LATER, Reason.MODEL_FILES_MISSING), [0], id="files missing"),
        pytest.param("dies", (EXIT_INFRASTRUCTURE, Reason.CRASHED), [0, 2], id="signal"),
        pytest.param("exits", (EXIT_INFRASTRUCTURE, Reason.CRASHED), [0, 2], id="exit code"),
        pytest.param("babbles", (EXIT_INFRASTRUCTURE, Reason.CRASHED), [0, 2], id="reports that cannot be read"),
        pytest.param("never-begins", (EXIT_INFRASTRUCTURE, Reason.CRASHED), [0, 1, 2], id="no engine for it"),
    ],
)
def test_a_fault_of_one_model_concerns_no_other(
    tmp_path: Path, how: str, expected: tuple[int, Reason], processes: list[int]
) -> None:
    summary = module.handle(pack(tmp_path, "scores", how, "scores"), engine=COMMAND)
    assert [ended(tmp_path, n) for n in range(3)] == [GOOD, expected, GOOD]
    if how == "never-begins":  # The process ends between two models; it is the next one's trouble only if it begins so.
        processes = [0, 1, 2]
    assert engines(tmp_path) == processes
    assert (summary.reason is Reason.EVALUATED) is (how == "faulty")


def test_all_good(tmp_path: Path) -> None:
    summary = module.handle(pack(tmp_path, *["scores"] * 8), engine=COMMAND)
    assert (summary.reason, engines(tmp_path)) == (Reason.EVALUATED, [0])
    scores = [EvaluateSummary.model_validate_json(outcome(tmp_path, n).message).score for n in range(8)]
    assert scores == [f"0.{n + 1}00000" for n in range(8)]


def test_a_model_that_takes_too_long_ends_and_the_next_one_begins(tmp_path: Path) -> None:
    module.handle(pack(tmp_path, "hangs", "scores", seconds=2), engine=COMMAND)
    assert [ended(tmp_path, n) for n in range(2)] == [(EXIT_INFRASTRUCTURE, Reason.DEADLINE_EXCEEDED), GOOD]
    assert engines(tmp_path) == [0, 1]


@pytest.mark.parametrize("how", ["stalls", "falls-silent"])
def test_a_stall_of_one_model_ends_it_and_a_fresh_engine_continues(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    monkeypatch.setenv(STALL_SECONDS_KEY, "1")
    monkeypatch.setattr(module, "UNSEEN_SECONDS", 0.3)
    module.handle(pack(tmp_path, "scores", how, "scores"), engine=COMMAND)
    assert [ended(tmp_path, n) for n in range(3)] == [GOOD, (EXIT_INFRASTRUCTURE, Reason.ENGINE_STALLED), GOOD]
    assert engines(tmp_path) == [0, 2]
    text = EvaluateSummary.model_validate_json(outcome(tmp_path, 1).message).message
    assert "Loading, after 3 of 9 tasks" in text


def test_what_has_said_nothing_of_its_progress_has_only_its_deadline(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It may take long to start."""
    monkeypatch.setenv(STALL_SECONDS_KEY, "1")
    monkeypatch.setattr(module, "UNSEEN_SECONDS", 0.0)
    module.handle(pack(tmp_path, "hangs", "scores", seconds=2), engine=COMMAND)
    assert [ended(tmp_path, n)[1] for n in range(2)] == [Reason.DEADLINE_EXCEEDED, Reason.EVALUATED]


def test_when_a_model_counts_as_stalled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = 100.0
    monkeypatch.setattr(module.time, "monotonic", lambda: clock)
    with OutcomeWriter(tmp_path, ["k0", "k1"]) as outcomes:
        state = module._Pack(pack(tmp_path, "a", "b"), outcomes, COMMAND, 900.0)
        state._begin(0)
        assert state._stalls_at() == math.inf, "its process has reported nothing"
        state._advance(ProgressDocument(idle_seconds=40))
        assert state._stalls_at() == 60 + 900 + module.UNSEEN_SECONDS
        clock = 200.0
        state._advance(ProgressDocument(idle_seconds=150))
        assert state._stalls_at() == 60 + 900 + module.UNSEEN_SECONDS, "a report that was on its way for long"
        state._advance(ProgressDocument(idle_seconds=10))
        assert state._stalls_at() == 190 + 900 + module.UNSEEN_SECONDS
        state._end(EvaluateSummary(reason=Reason.EVALUATED))
        assert state._stalls_at() == math.inf, "between two models"
        clock = 1500.0
        state._begin(1)
        assert state._stalls_at() == 1500 + 900 + module.UNSEEN_SECONDS, "the next model begins with its own time"


def test_a_process_that_is_killed_leaves_no_sandbox_beside_the_next_model(tmp_path: Path) -> None:
    """Sandboxes have process groups of their own; the memory and cores of one are the next model's."""
    module.handle(pack(tmp_path, "leaves-a-sandbox", "scores"), engine=COMMAND)
    assert [ended(tmp_path, n) for n in range(2)] == [(EXIT_INFRASTRUCTURE, Reason.CRASHED), GOOD]
    stat = Path("/proc") / (tmp_path / "sandbox").read_text() / "stat"
    assert not stat.exists() or stat.read_text().rpartition(")")[2].split()[0] in "ZX"


def test_a_process_that_does_not_continue_is_replaced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "BETWEEN_SECONDS", 1.0)
    summary = module.handle(pack(tmp_path, "scores-and-hangs", "scores"), engine=COMMAND)
    assert (summary.reason, engines(tmp_path)) == (Reason.EVALUATED, [0, 1])


def test_the_end_of_the_log_says_why_a_process_died(tmp_path: Path) -> None:
    module.handle(pack(tmp_path, "dies"), engine=COMMAND)
    text = EvaluateSummary.model_validate_json(outcome(tmp_path, 0).message).message
    assert "SIGSEGV" in text
    assert "a stack trace" in text


@pytest.mark.parametrize(
    ("signalled", "killed", "reason"),
    [
        pytest.param(signal.SIGKILL, True, Reason.OUT_OF_MEMORY, id="by the kernel"),
        pytest.param(signal.SIGKILL, False, Reason.CRASHED, id="by somebody"),
        pytest.param(signal.SIGSEGV, True, Reason.CRASHED, id="another signal"),
    ],
)
def test_a_process_that_the_kernel_killed_lacked_memory(signalled: int, killed: bool, reason: Reason) -> None:
    assert module._death(-signalled, "", out_of_memory=killed).reason is reason


@pytest.mark.parametrize(
    ("file", "text", "kills"),
    [
        pytest.param("memory.events", "oom 3\noom_kill 2\noom_group_kill 0\n", 2, id="control groups 2"),
        pytest.param("memory/memory.oom_control", "under_oom 0\noom_kill 1\n", 1, id="control groups 1"),
        pytest.param("other", "", 0, id="none"),
    ],
)
def test_how_often_the_kernel_killed(tmp_path: Path, file: str, text: str, kills: int) -> None:
    (tmp_path / file).parent.mkdir(exist_ok=True)
    (tmp_path / file).write_text(text)
    assert module.oom_kills(tmp_path) == kills


def test_a_pod_that_is_stopped_leaves_the_rest_to_another_job(tmp_path: Path) -> None:
    job = pack(tmp_path, "scores", "is-stopped", "scores")
    code = (
        "import sys\n"
        "from bitagent_crds.jobs import PackJob, exit_code\n"
        "from bitagent_evaluator.jobs import pack, runner\n"
        "pack.ENGINE = (sys.executable, '-c', open(sys.argv[1]).read())\n"
        "pack.handle.__kwdefaults__['engine'] = pack.ENGINE\n"
        "summary = runner.run(sys.stdin.buffer.read())\n"
        "print(summary.reason)\n"
        "sys.exit(exit_code(summary.reason))\n"
    )
    script = tmp_path / "engine.py"
    script.write_text(ENGINE)
    process = subprocess.Popen(
        [sys.executable, "-c", code, str(script)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdin is not None
    process.stdin.write(document(job))
    process.stdin.close()
    assert ended(tmp_path, 0) == GOOD
    while not (tmp_path / "k1.begun").exists():
        time.sleep(0.02)
    process.terminate()
    assert process.wait(60) == EXIT_STOPPED
    assert process.stdout is not None
    process.stdout.close()
    assert ended(tmp_path, 1) == (EXIT_STOPPED, Reason.STOPPED)
    assert ended(tmp_path, 2) == (71, Reason.PACK_ENDED)


def test_a_summary_that_no_message_holds_is_no_result(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        module, "outcome_message", lambda summary, limit: None if summary.score else '{"reason":"InfrastructureFault"}'
    )
    module.handle(pack(tmp_path, "scores"), engine=COMMAND)
    assert ended(tmp_path, 0) == (EXIT_INFRASTRUCTURE, Reason.INFRASTRUCTURE_FAULT)
