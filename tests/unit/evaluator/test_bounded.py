"""The bounded child: answers, refusals, limits, and whose fault each end is."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bitagent_evaluator.bounded.frames import Decoder, Frame, FrameTooLarge, encode
from bitagent_evaluator.bounded.process import BoundedProcess, ChildLost, InputFault, Limits

PROBE = """
import os, time
from bitagent_evaluator.bounded.worker import Refused

class Probe:
    def handle(self, body, blobs):
        return getattr(self, body["do"])(body, blobs)
    def echo(self, body, blobs):
        return {"value": body["value"], "sizes": {name: len(blob) for name, blob in blobs.items()}}
    def refuse(self, body, blobs):
        raise Refused("BadConfig", "no good")
    def fail(self, body, blobs):
        return {}["missing"]
    def spin(self, body, blobs):
        while True: pass
    def power(self, body, blobs):
        return {"value": len(str((9 ** 9) ** (9 ** 9)))}
    def hoard(self, body, blobs):
        return {"value": len(bytearray(8 << 30))}
    def nest(self, body, blobs):
        return self.nest(body, blobs)
    def panic(self, body, blobs):
        class PanicException(BaseException): pass
        raise PanicException("index out of bounds")
    def shout(self, body, blobs):
        return {"value": "x" * body["size"]}
    def write(self, body, blobs):
        handle = os.open(body["path"], os.O_WRONLY | os.O_CREAT)
        try:
            os.write(handle, b"x")
        except OSError as error:
            return {"error": error.strerror}
        return {}
    def burn(self, body, blobs):
        end = time.process_time() + body["seconds"]
        while time.process_time() < end: pass
        return {}
    def environment(self, body, blobs):
        return {"names": sorted(os.environ)}
    def sleep(self, body, blobs):
        time.sleep(600)
    def pid(self, body, blobs):
        return {"pid": os.getpid()}

class Broken:
    def __init__(self):
        raise RuntimeError("cannot start")
"""


@pytest.fixture
def probe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    (tmp_path / "probe_worker.py").write_text(PROBE)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path), prepend=os.pathsep)
    return "probe_worker:Probe"


@pytest.fixture
def child(probe: str) -> Iterator[BoundedProcess]:
    limits = Limits(memory_bytes=512 << 20, cpu_seconds=1.0, answer_bytes=1 << 20, wall_factor=100)  # for busy machines
    with BoundedProcess(probe, limits) as process:
        yield process


def test_answers_again_and_again_with_large_blobs(child: BoundedProcess) -> None:
    blobs = {"a": b"x" * (8 << 20), "b": b""}
    for number in range(3):
        answer = child.call({"do": "echo", "value": number}, blobs)
        assert answer == {"value": number, "sizes": {"a": 8 << 20, "b": 0}}


def test_refusal_carries_reason_and_message(child: BoundedProcess) -> None:
    with pytest.raises(InputFault, match="no good") as fault:
        child.call({"do": "refuse"})
    assert fault.value.reason == "BadConfig"
    assert child.call({"do": "echo", "value": 1})["value"] == 1


@pytest.mark.parametrize(
    ("action", "words"),
    [
        ("fail", "KeyError"),
        ("panic", "PanicException: index out of bounds"),
        ("spin", "processor time"),
        ("power", "processor time"),
        ("hoard", "more memory"),
        ("nest", "nested too deeply"),
    ],
)
def test_fault_of_the_input(child: BoundedProcess, action: str, words: str) -> None:
    started = time.monotonic()
    with pytest.raises(InputFault, match=words):
        child.call({"do": action})
    assert time.monotonic() - started < 60


def test_answer_that_is_too_long(child: BoundedProcess) -> None:
    with pytest.raises(InputFault, match="allowed 1048576"):
        child.call({"do": "shout", "size": 2 << 20})


def test_answer_that_does_not_fit_into_the_memory(probe: str) -> None:
    with (
        BoundedProcess(probe, Limits(memory_bytes=256 << 20)) as process,
        pytest.raises(InputFault, match="more memory"),
    ):
        process.call({"do": "shout", "size": 100 << 20})


def test_request_that_does_not_fit_into_the_memory(probe: str) -> None:
    with (
        BoundedProcess(probe, Limits(memory_bytes=256 << 20)) as process,
        pytest.raises(InputFault, match="more memory"),
    ):
        process.call({"do": "echo", "value": "x" * (100 << 20)})


def test_child_writes_no_file(child: BoundedProcess, tmp_path: Path) -> None:
    assert child.call({"do": "write", "path": str(tmp_path / "out")}) == {"error": "File too large"}
    assert (tmp_path / "out").stat().st_size == 0


def test_child_sees_no_secret(probe: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    with BoundedProcess(probe) as process:
        assert "HF_TOKEN" not in process.call({"do": "environment"})["names"]


def test_each_request_has_its_own_time(child: BoundedProcess) -> None:
    for _ in range(4):
        child.call({"do": "burn", "seconds": 0.4})


def test_dead_child_answers_no_more(child: BoundedProcess) -> None:
    with pytest.raises(InputFault):
        child.call({"do": "spin"})
    with pytest.raises(ChildLost, match="ended already"):
        child.call({"do": "echo", "value": 1})


def test_starved_child_is_nobodys_fault(probe: str) -> None:
    limits = Limits(cpu_seconds=0.1, wall_factor=5.0)
    with BoundedProcess(probe, limits) as process, pytest.raises(ChildLost, match="overloaded"):
        process.call({"do": "sleep"})


def test_killed_child_is_nobodys_fault(probe: str) -> None:
    with BoundedProcess(probe) as process:
        pid = process.call({"do": "pid"})["pid"]
        threading.Timer(0.2, os.kill, (pid, signal.SIGKILL)).start()
        with pytest.raises(ChildLost, match="-9"):
            process.call({"do": "sleep"})


@pytest.mark.parametrize("worker", ["probe_worker:Broken", "no_such_module:Worker"])
def test_child_that_cannot_start_is_nobodys_fault(probe: str, worker: str) -> None:
    with BoundedProcess(worker) as process, pytest.raises(ChildLost, match="started"):
        process.call({"do": "echo", "value": 1})


def test_no_process_is_left(probe: str) -> None:
    with BoundedProcess(probe) as process:
        pid = process.call({"do": "pid"})["pid"]
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


@given(
    st.dictionaries(st.text(max_size=5), st.integers() | st.text(max_size=20), max_size=4),
    st.dictionaries(st.text(max_size=5), st.binary(max_size=50), max_size=4),
    st.integers(1, 40),
)
def test_frame_survives_any_cutting(body: dict[str, int | str], blobs: dict[str, bytes], step: int) -> None:
    data = encode(Frame(body, blobs))
    decoder = Decoder(len(data))
    frames = [decoder.feed(data[start : start + step]) for start in range(0, len(data), step)]
    assert frames[-1] == Frame(body, blobs)
    assert not any(frames[:-1])


def test_halves_of_characters_do_not_get_through() -> None:
    data = encode(Frame({"said": ["a\ud800b", {"\udfff": "ä😀"}]}))
    frame = Decoder(len(data)).feed(data)
    assert frame is not None
    assert frame.body == {"said": ["a?b", {"?": "ä😀"}]}


def test_frame_is_refused_by_its_announced_size() -> None:
    data = encode(Frame({}, {"a": b"x" * 1000}))
    with pytest.raises(FrameTooLarge):
        Decoder(500).feed(data[:100])
