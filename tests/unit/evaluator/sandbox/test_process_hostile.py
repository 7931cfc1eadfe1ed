"""Hostile behaviour in every kind of sandbox that the evaluator starts: bounded, and blamed on the right side."""

from __future__ import annotations

import os
import signal
import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest

from bitagent_evaluator.sandbox.process import FaultKind, InputFault, Sandbox, SandboxUnavailable
from bitagent_evaluator.sandbox.protocol import Limits

WALL_SECONDS = 60.0
"""Only ends what hangs: the machine may be busy with other tests."""


SURVIVED = {
    "fail": "KeyError",
    "panic": "PanicException: index out of bounds",
    "nest": "nested too deeply",
    "unspeakable": "TypeError",
    "long_number": "ValueError",
    "nested_answer": "nested too deeply",
}


def test_what_raises_is_the_inputs_fault_and_the_child_survives(probe: str, kind: Limits) -> None:
    with Sandbox(probe, kind) as sandbox:
        pid = sandbox.call({"do": "pid"})
        for action, words in SURVIVED.items():
            with pytest.raises(InputFault, match=words) as fault:
                sandbox.call({"do": action})
            assert fault.value.kind is FaultKind.FAILED, action
        assert sandbox.call({"do": "pid"}) == pid


@pytest.mark.parametrize(
    ("action", "kind_of_fault", "words"),
    [
        ("hoard", FaultKind.MEMORY, "more memory"),
        ("huge_frame", FaultKind.ANSWER, "bytes, allowed"),
        ("huge_blob", FaultKind.ANSWER, "bytes, allowed"),
        ("endless_frames", FaultKind.ANSWER, "bytes, allowed"),
    ],
)
def test_what_exceeds_a_limit_is_the_inputs_fault(
    probe: str, kind: Limits, action: str, kind_of_fault: FaultKind, words: str
) -> None:
    check_fault(probe, kind, action, kind_of_fault, words)


@pytest.mark.parametrize(
    ("action", "kind_of_fault", "words"),
    [
        ("crash", FaultKind.MEMORY, "crashes"),
        ("abort", FaultKind.MEMORY, "crashes"),
        ("leave", FaultKind.MEMORY, "crashes"),
        ("negative_blob", FaultKind.ANSWER, "expected form"),
        ("no_body", FaultKind.ANSWER, "expected form"),
        ("no_json", FaultKind.ANSWER, "expected form"),
        ("nested_json", FaultKind.ANSWER, "expected form"),
        ("two_frames", FaultKind.ANSWER, "more than one"),
    ],
)
def test_what_ends_the_child_or_breaks_its_frames_is_the_inputs_fault(
    probe: str, widths: Limits, action: str, kind_of_fault: FaultKind, words: str
) -> None:
    check_fault(probe, widths, action, kind_of_fault, words)


def check_fault(probe: str, limits: Limits, action: str, kind_of_fault: FaultKind, words: str) -> None:
    began = time.monotonic()
    with Sandbox(probe, limits) as sandbox, pytest.raises(InputFault, match=words) as fault:
        sandbox.call({"do": action})
    assert fault.value.kind is kind_of_fault
    assert time.monotonic() - began < WALL_SECONDS


@pytest.mark.parametrize("action", ["power", "endless_prints"])
def test_processor_time_ends(probe: str, widths: Limits, action: str) -> None:
    shortest = replace(widths, cpu_seconds=0.1)  # The kernel counts whole seconds.
    with Sandbox(probe, shortest) as sandbox, pytest.raises(InputFault, match="processor time") as fault:
        sandbox.call({"do": action})
    assert fault.value.kind is FaultKind.TIME


def test_an_answer_is_bounded(probe: str, kind: Limits) -> None:
    limits = replace(kind, answer_bytes=1 << 20)
    with Sandbox(probe, limits) as sandbox, pytest.raises(InputFault, match="allowed 1048576") as fault:
        sandbox.call({"do": "shout", "size": 2 << 20})
    assert fault.value.kind is FaultKind.ANSWER


def test_no_file_is_written(probe: str, kind: Limits, tmp_path: Path) -> None:
    with Sandbox(probe, kind) as sandbox:
        assert sandbox.call({"do": "write", "path": str(tmp_path / "out")}) == {"error": "File too large"}
    assert (tmp_path / "out").stat().st_size == 0


@pytest.mark.parametrize(
    ("action", "error"), [("fork", "Resource temporarily unavailable"), ("thread", "can't start new thread")]
)
def test_no_process_is_started(probe: str, kind: Limits, action: str, error: str) -> None:
    """Except by the pool, whose scorers start sandboxes."""
    with Sandbox(probe, kind) as sandbox:
        assert sandbox.call({"do": action}) == ({} if kind.processes else {"error": error})


@pytest.mark.parametrize("action", ["sleep", "drip"])
def test_a_child_that_does_not_get_to_run_is_infrastructure(probe: str, widths: Limits, action: str) -> None:
    limits = replace(widths, cpu_seconds=0.1, wall_factor=5.0)
    with Sandbox(probe, limits) as sandbox, pytest.raises(SandboxUnavailable, match="overloaded"):
        sandbox.call({"do": action})


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_a_child_that_is_killed_is_infrastructure(probe: str, widths: Limits, number: signal.Signals) -> None:
    with Sandbox(probe, widths) as sandbox:
        sandbox.call({"do": "pid"})
        threading.Timer(0.1, os.kill, (sandbox.pid, number)).start()
        with pytest.raises(SandboxUnavailable, match=f"ended with -{number}"):
            sandbox.call({"do": "sleep"})


@pytest.mark.parametrize(
    ("worker", "words"),
    [
        ("probe_worker:Broken", "did not start: RuntimeError: cannot start"),
        ("probe_worker:NoSuchWorker", "did not start: AttributeError"),
        ("no_such_module:Worker", "did not start: ModuleNotFoundError"),
        ("probe_worker:Slow", "overloaded"),
        ("probe_worker:Spinning", "while it started|overloaded"),
    ],
)
def test_a_worker_that_does_not_start_is_infrastructure(probe: str, widths: Limits, worker: str, words: str) -> None:
    limits = replace(widths, start_seconds=0.5 if words.endswith("overloaded") else 60.0)
    with Sandbox(worker, limits) as sandbox, pytest.raises(SandboxUnavailable, match=words):
        sandbox.call({"do": "pid"})


def test_a_worker_that_has_too_little_memory_to_start_is_infrastructure(probe: str, kind: Limits) -> None:
    limits = replace(kind, start_seconds=60.0)
    with (
        Sandbox("hoarding_worker:Worker", limits) as sandbox,
        pytest.raises(SandboxUnavailable, match="did not start: MemoryError"),
    ):
        sandbox.call({"do": "pid"})
