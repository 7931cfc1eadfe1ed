"""The queue and the process of tracking: whatever the process does, nothing waits and nothing grows."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from bitagent_validator.tracking import tracker as module
from bitagent_validator.tracking.process import RunSettings
from bitagent_validator.tracking.tracker import Tracker, next_pause

SETTINGS = RunSettings(project="p", offline=True, directory="/nowhere", name="7")
Process = Callable[[str], Path]
COPY = "import sys\nout = open({!r}, 'a')\nfor line in sys.stdin:\n    out.write(line)\n    out.flush()\n"


@pytest.fixture
def process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Process:
    """Have another program run in place of the process; return the file that it may write to."""

    def make(code: str) -> Path:
        (tmp_path / "tracking_double.py").write_text(code)
        return tmp_path / "out"

    monkeypatch.setattr(module, "MODULE", "tracking_double")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    return make


async def until(probe: Callable[[], bool]) -> None:
    async def look() -> None:
        while not probe():  # noqa: ASYNC110 - another process writes a file
            await asyncio.sleep(0.02)

    await asyncio.wait_for(look(), 60)


def lines(path: Path) -> list[Any]:
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


async def test_rows_arrive_after_the_settings_and_before_the_end(process: Process, tmp_path: Path) -> None:
    out = process(COPY.format(str(tmp_path / "out")))
    tracker = Tracker(dropped=lambda _: None)
    tracker.put([{"lost": True}])
    await tracker.configure(SETTINGS)
    tracker.put([{"n": 1}, {"n": 2}])
    await until(lambda: len(lines(out)) == 3)
    await tracker.configure(SETTINGS)
    tracker.put([{"n": 3}])
    await until(lambda: len(lines(out)) == 4)
    await tracker.close()
    assert lines(out) == [SETTINGS.model_dump(), {"n": 1}, {"n": 2}, {"n": 3}]


async def test_other_settings_are_another_process(process: Process, tmp_path: Path) -> None:
    out = process(COPY.format(str(tmp_path / "out")))
    tracker = Tracker(dropped=lambda _: None)
    await tracker.configure(SETTINGS)
    tracker.put([{"n": 1}])
    await until(lambda: len(lines(out)) == 2)
    await tracker.configure(None)
    tracker.put([{"lost": True}])
    other = SETTINGS.model_copy(update={"project": "q"})
    await tracker.configure(other)
    tracker.put([{"n": 2}])
    await until(lambda: len(lines(out)) == 4)
    await tracker.close()
    assert lines(out)[2:] == [other.model_dump(), {"n": 2}]


async def test_a_process_that_ends_is_started_again(process: Process, tmp_path: Path) -> None:
    out = process(f"import sys\nopen({str(tmp_path / 'out')!r}, 'a').write(sys.stdin.readline())\nsys.exit(1)\n")
    dropped: list[float] = []
    tracker = Tracker(dropped=dropped.append, pause_seconds=(0.01, 0.01))
    await tracker.configure(SETTINGS)
    for n in range(3):
        tracker.put([{"n": n}])
        await until(lambda n=n: len(lines(out)) > n)  # type: ignore[misc]
        await until(lambda n=n: len(dropped) > n)  # type: ignore[misc]
    await tracker.close()
    assert lines(out) == [SETTINGS.model_dump()] * 3


@pytest.mark.parametrize(
    ("pause", "lasted", "expected"),
    [
        pytest.param(0.0, 1.0, 10.0, id="the first failure"),
        pytest.param(10.0, 1.0, 20.0, id="the next"),
        pytest.param(3000.0, 1.0, 3600.0, id="the longest"),
        pytest.param(3600.0, 3601.0, 10.0, id="it worked for long meanwhile"),
    ],
)
def test_pauses_grow_while_it_fails(pause: float, lasted: float, expected: float) -> None:
    assert next_pause(pause, lasted=lasted, limits=(10.0, 3600.0)) == expected


async def test_a_process_that_takes_nothing_is_killed(process: Process, monkeypatch: pytest.MonkeyPatch) -> None:
    process("import time\ntime.sleep(600)\n")
    monkeypatch.setattr(module, "WRITE_SECONDS", 0.2)
    dropped: list[float] = []
    tracker = Tracker(dropped=dropped.append, pause_seconds=(60, 60))
    await tracker.configure(SETTINGS)
    tracker.put([{"pad": "x" * 500_000} for _ in range(4)])
    await until(lambda: bool(dropped))
    await tracker.close()


async def test_the_queue_is_bounded(process: Process, monkeypatch: pytest.MonkeyPatch) -> None:
    process("import sys\nsys.exit(1)\n")
    monkeypatch.setattr(module, "ROWS_MAX", 5)
    dropped: list[float] = []
    tracker = Tracker(dropped=dropped.append, pause_seconds=(60, 60))
    await tracker.configure(SETTINGS)
    tracker.put([{"n": n} for n in range(12)])
    assert dropped == [7]
    await tracker.close()


@pytest.mark.parametrize("ends", ["close", "configure"])
async def test_a_process_that_never_ends_is_killed(
    process: Process, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ends: str
) -> None:
    out = process(COPY.format(str(tmp_path / "out")) + "import time\ntime.sleep(600)\n")
    monkeypatch.setattr(module, "CLOSE_SECONDS", 0.2)
    tracker = Tracker(dropped=lambda _: None)
    await tracker.configure(SETTINGS)
    tracker.put([{"n": 1}])
    await until(lambda: len(lines(out)) == 2)
    stop: Awaitable[None] = tracker.close() if ends == "close" else tracker.configure(None)
    await asyncio.wait_for(stop, 30)
