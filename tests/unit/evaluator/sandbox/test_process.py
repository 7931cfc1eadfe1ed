"""A sandbox: answers, refusals, the environment, and whose fault each end is."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Iterator
from dataclasses import replace

import pytest

from bitagent_evaluator.sandbox.process import FaultKind, InputFault, ResidentSandbox, Sandbox, SandboxUnavailable
from bitagent_evaluator.sandbox.protocol import Limits

LIMITS = Limits(memory_bytes=512 << 20, cpu_seconds=1.0, answer_bytes=1 << 20, wall_factor=100)
SMALL = Limits(memory_bytes=256 << 20)


@pytest.fixture
def sandbox(probe: str) -> Iterator[Sandbox]:
    with Sandbox(probe, LIMITS) as made:
        yield made


def test_answers_again_and_again_with_large_blobs(sandbox: Sandbox) -> None:
    blobs = {"a": b"x" * (8 << 20), "b": b""}
    for number in range(3):
        answer = sandbox.call({"do": "echo", "value": number}, blobs)
        assert answer == {"value": number, "sizes": {"a": 8 << 20, "b": 0}}


def test_a_worker_is_created_with_arguments(probe: str) -> None:
    with Sandbox("probe_worker:Configured", arguments=["a b", "--c"]) as made:
        assert made.call({}) == {"arguments": ["a b", "--c"]}


def test_a_refusal_carries_reason_and_message(sandbox: Sandbox) -> None:
    with pytest.raises(InputFault, match="no good") as fault:
        sandbox.call({"do": "refuse"})
    assert (fault.value.reason, fault.value.kind) == ("BadConfig", FaultKind.REFUSED)
    assert sandbox.call({"do": "echo", "value": 1})["value"] == 1


@pytest.mark.parametrize("request_", [{"do": "shout", "size": 100 << 20}, {"do": "echo", "value": "x" * (100 << 20)}])
def test_messages_that_do_not_fit_into_the_memory(probe: str, request_: dict[str, object]) -> None:
    with Sandbox(probe, SMALL) as made, pytest.raises(InputFault, match="more memory") as fault:
        made.call(request_)
    assert fault.value.kind is FaultKind.MEMORY


def test_each_request_has_its_own_time(sandbox: Sandbox) -> None:
    for _ in range(4):
        sandbox.call({"do": "burn", "seconds": 0.4})


def test_a_large_request_may_be_given_more_time(sandbox: Sandbox) -> None:
    sandbox.call({"do": "burn", "seconds": 2.2}, extra_cpu_seconds=2.0)


def test_the_child_sees_no_secret(probe: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    with Sandbox(probe) as made:
        assert "HF_TOKEN" not in made.call({"do": "environment"})["names"]


def test_ctrl_c_does_not_reach_the_child(sandbox: Sandbox) -> None:
    assert os.getpgid(sandbox.pid) != os.getpgid(0)


def test_a_dead_child_answers_no_more(sandbox: Sandbox) -> None:
    with pytest.raises(InputFault):
        sandbox.call({"do": "crash"})
    with pytest.raises(SandboxUnavailable, match="ended already"):
        sandbox.call({"do": "echo", "value": 1})


def test_no_process_is_left(probe: str) -> None:
    with Sandbox(probe) as made:
        pid = made.call({"do": "pid"})["pid"]
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_a_call_ends_when_another_thread_kills_the_child(sandbox: Sandbox) -> None:
    sandbox.call({"do": "echo", "value": 1})
    threading.Timer(0.2, sandbox.kill).start()
    with pytest.raises(SandboxUnavailable, match="-9"):
        sandbox.call({"do": "sleep"})


def test_a_program_that_is_no_interpreter_is_unavailable(probe: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", "/bin/false")
    with Sandbox(probe) as made, pytest.raises(SandboxUnavailable, match="while it started"):
        made.call({"do": "pid"})


@pytest.fixture
def resident(probe: str) -> Iterator[ResidentSandbox]:
    with ResidentSandbox(probe, LIMITS) as made:
        yield made


def test_a_resident_sandbox_starts_with_the_first_request(resident: ResidentSandbox) -> None:
    assert resident.pid is None
    assert resident.call({"do": "pid"}) == {"pid": resident.pid} == resident.call({"do": "pid"})


@pytest.mark.parametrize(("action", "survives"), [("refuse", True), ("fail", True), ("crash", False), ("hoard", False)])
def test_a_request_that_ends_the_child_leaves_another_to_the_next(
    resident: ResidentSandbox, action: str, survives: bool
) -> None:
    before = resident.call({"do": "pid"})
    with pytest.raises(InputFault):
        resident.call({"do": action})
    assert (resident.call({"do": "pid"}) == before) is survives


def test_a_child_that_was_killed_is_replaced_unnoticed(resident: ResidentSandbox) -> None:
    pid = resident.call({"do": "pid"})["pid"]
    os.kill(pid, signal.SIGKILL)
    assert resident.call({"do": "pid"})["pid"] != pid


def test_a_resident_sandbox_tries_twice(probe: str, monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[str] = []
    create = Sandbox.__init__

    def count(self: Sandbox, worker: str, *rest: object, **options: object) -> None:
        started.append(worker)
        create(self, worker, *rest, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(Sandbox, "__init__", count)
    limits = replace(LIMITS, cpu_seconds=0.1, wall_factor=5.0)
    with ResidentSandbox(probe, limits) as made, pytest.raises(SandboxUnavailable, match="overloaded"):
        made.call({"do": "sleep"})
    assert started == [probe, probe]
