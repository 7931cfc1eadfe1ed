"""One submission: the parent's side of the process.

The process itself is tested against a simulated chain in tests/integration/validator.
"""

from __future__ import annotations

import asyncio
import sys
import time
from pathlib import Path

import pytest

from bitagent_validator.weights import submit as module
from bitagent_validator.weights.submit import SubmissionOutcome, SubmissionRequest, submit

REQUEST = SubmissionRequest(
    endpoint="ws://127.0.0.1:9",
    hotkey_file=Path("/there/is/no/hotkey"),
    hotkey="me",
    netuid=20,
    weights={1: 65535},
    version_key=0,
    era_blocks=32,
)


def child(code: str, *, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Use this code as the submitting process."""
    (folder / "fake_submission.py").write_text(code)
    monkeypatch.setenv("PYTHONPATH", str(folder))
    monkeypatch.setattr(module, "MODULE", "fake_submission")


SAYS = "import pathlib, time; print({!r}, flush=True); pathlib.Path({!r}).touch(); time.sleep(3600)"


def held_limits(monkeypatch: pytest.MonkeyPatch) -> list[asyncio.Timeout]:
    """Return the time limits that have begun; the first one, of the process, ends when the test says so."""
    begun, timeout = list[asyncio.Timeout](), asyncio.timeout

    def hold(seconds: float) -> asyncio.Timeout:
        begun.append(timeout(seconds if begun else None))
        return begun[-1]

    monkeypatch.setattr(module.asyncio, "timeout", hold)
    return begun


async def test_the_process_without_a_hotkey_sends_nothing() -> None:
    result = await submit(REQUEST, timeout_seconds=60)
    assert result.outcome is SubmissionOutcome.REFUSED
    assert "/there/is/no/hotkey" in result.message


async def test_a_process_without_a_result_is_unclear(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    child("raise SystemExit(3)", folder=tmp_path, monkeypatch=monkeypatch)
    result = await submit(REQUEST, timeout_seconds=60)
    assert result.outcome is SubmissionOutcome.UNKNOWN
    assert "status 3" in result.message


@pytest.mark.parametrize("size", [100_000, 2 * 1024 * 1024], ids=["long", "too long"])
async def test_a_long_line_ends_no_submission_in_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, size: int
) -> None:
    """Whatever was signed before counts."""
    result = '{"outcome": "Refused", "message": "%s"}'
    code = f"print('{{\"signed\": 7}}', flush=True); print({result!r} % ('x' * {size}), flush=True)"
    child(code, folder=tmp_path, monkeypatch=monkeypatch)
    found = await submit(REQUEST, timeout_seconds=60)
    if size < module.LINE_BYTES:
        assert found.outcome is SubmissionOutcome.REFUSED
    else:
        assert (found.outcome, found.signed, found.certain) == (SubmissionOutcome.UNKNOWN, 7, False)


async def test_a_process_is_killed_at_its_time_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    child("import time; time.sleep(3600)", folder=tmp_path, monkeypatch=monkeypatch)
    result = await submit(REQUEST, timeout_seconds=0.5)
    assert result.outcome is SubmissionOutcome.TIMED_OUT


async def test_a_process_that_cannot_be_started_has_sent_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", "/there/is/no/python")
    assert (await submit(REQUEST, timeout_seconds=60)).outcome is SubmissionOutcome.REFUSED


@pytest.mark.parametrize(
    ("lines", "signed", "commit", "certain"),
    [
        pytest.param("", None, "", True, id="nothing was signed"),
        pytest.param('{"signed": 7, "commit": "0x1"}', 7, "0x1", False, id="signed at block 7"),
    ],
)
async def test_what_a_killed_process_said_counts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, lines: str, signed: int | None, commit: str, certain: bool
) -> None:
    said = tmp_path / "said"
    child(SAYS.format(lines, str(said)), folder=tmp_path, monkeypatch=monkeypatch)
    limits = held_limits(monkeypatch)
    submitting = asyncio.create_task(submit(REQUEST, timeout_seconds=0.5))
    while not said.exists():  # noqa: ASYNC110 - of another process
        await asyncio.sleep(0.01)
    limits[0].reschedule(asyncio.get_running_loop().time())
    result = await submitting
    assert result.outcome is SubmissionOutcome.TIMED_OUT
    assert (result.signed, result.commit, result.certain) == (signed, commit, certain)


async def test_what_a_killed_process_said_last_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Read after the time limit, because the event loop was busy when it came."""
    said = tmp_path / "said"
    child(SAYS.format('{"signed": 7}', str(said)), folder=tmp_path, monkeypatch=monkeypatch)
    limits = held_limits(monkeypatch)
    submitting = asyncio.create_task(submit(REQUEST, timeout_seconds=0.5))
    while not limits:  # noqa: ASYNC110 - it begins when the process has been started
        await asyncio.sleep(0)
    while not said.exists():
        time.sleep(0.01)  # noqa: ASYNC251 - the loop is busy
    limits[0].reschedule(asyncio.get_running_loop().time())
    result = await submitting
    assert (result.outcome, result.signed, result.certain) == (SubmissionOutcome.TIMED_OUT, 7, False)
