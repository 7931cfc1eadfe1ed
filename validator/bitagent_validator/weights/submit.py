"""One submission of weights, in a short-lived process with a hard time limit.

The SDK waits without limit for a chain that stalls, and a cancelled submission leaves its client with a nonce that no
node accepts; a process that is killed leaves nothing behind. This is the parent's side; `signing` is the process, which
reads a request on standard input and prints a result.

Before it signs, the process prints that it does: a line with the node's best block and the hash of a sealed row.
Without that line nothing was signed, however the process ended.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import sys
from enum import StrEnum
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

MODULE = "bitagent_validator.weights.signing"
"""The process."""
LINE_BYTES = 1024 * 1024
"""Longest line of its output that is read."""
MESSAGE_MAX = 2000
"""Longest message of a result: a node may answer with any text."""
REST_SECONDS = 5.0
"""Time for the end of its output once it was killed."""


class _Message(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class SubmissionRequest(_Message):
    """One row of weights to submit."""

    endpoint: str
    """The websocket address of the node that was read for the decision."""
    hotkey_file: Path
    hotkey: str
    """The account that the file must hold."""
    netuid: int
    weights: dict[int, int]
    """u16 by uid."""
    version_key: int
    mechanism: int = 0
    finalized: bool = True
    """Whether to wait until the block that includes the row is final."""
    sealed: bool = False
    """Whether the subnet takes sealed rows: the clock is compared with the chain's then."""
    era_blocks: int
    """The transaction expires this many blocks after the finalised block at which it was signed."""


class SubmissionOutcome(StrEnum):
    """How a submission ended, as far as the process knows."""

    INCLUDED = "Included"
    """The chain accepted the row."""
    REFUSED = "Refused"
    """The row is certainly not on the chain, and will not be."""
    UNKNOWN = "Unknown"
    """The row may have been sent; only the chain knows."""
    TIMED_OUT = "TimedOut"
    """As Unknown: the process was killed at its time limit."""


class SubmissionResult(_Message):
    """The end of one submission."""

    outcome: SubmissionOutcome
    code: str = ""
    """The SDK's error code, such as rate_limited."""
    message: str = ""
    extrinsic: str = ""
    """`block-index` if included."""
    error: str = ""
    """The SDK's name of the error, such as Stale."""
    signed: int | None = None
    """The node's best block when the transaction was signed; None if none was."""
    commit: str = ""
    """BlakeTwo256 of the sealed row."""

    @property
    def certain(self) -> bool:
        """Whether the row is certainly not on the chain, and will not be."""
        if self.outcome is SubmissionOutcome.INCLUDED:
            return False
        return self.outcome is SubmissionOutcome.REFUSED or self.signed is None


async def submit(request: SubmissionRequest, *, timeout_seconds: float) -> SubmissionResult:
    """Submit weights; return only when the process has ended, so that nothing can be signed afterwards."""
    try:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            MODULE,
            str(os.getpid()),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            limit=LINE_BYTES,
        )
    except OSError as error:
        message = f"the submitting process cannot be started: {error}"
        return SubmissionResult(outcome=SubmissionOutcome.REFUSED, message=message)
    lines: list[bytes] = []
    in_time = False
    try:
        async with asyncio.timeout(timeout_seconds):
            with contextlib.suppress(ValueError):  # A line that is too long is not a result.
                await _talk(process, request.model_dump_json().encode(), lines)
            in_time = True
    except TimeoutError:
        pass
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    if not in_time:
        await _read_rest(process, lines)
        killed = f"the submission was killed after {timeout_seconds:g} s"
        return SubmissionResult(outcome=SubmissionOutcome.TIMED_OUT, message=killed, **_signing(lines))
    try:
        return SubmissionResult.model_validate_json(lines[-1] if lines else b"")
    except ValidationError:
        ended = f"the submitting process ended with status {process.returncode} and without a result"
        return SubmissionResult(outcome=SubmissionOutcome.UNKNOWN, message=ended, **_signing(lines))


async def _talk(process: asyncio.subprocess.Process, request: bytes, lines: list[bytes]) -> None:
    """Send the request, and append the lines of the answer until the process has ended."""
    if process.stdin is None or process.stdout is None:
        raise RuntimeError("the submitting process has no pipes")
    with contextlib.suppress(BrokenPipeError, ConnectionResetError):
        process.stdin.write(request)
        await process.stdin.drain()
    process.stdin.close()
    async for line in process.stdout:
        lines.append(line)  # noqa: PERF401 - what was read counts also if the time limit ends the loop
    await process.wait()


async def _read_rest(process: asyncio.subprocess.Process, lines: list[bytes]) -> None:
    """Append what a killed process had printed and was not read: it may have signed right before its end."""
    if process.stdout is None:
        raise RuntimeError("the submitting process has no pipes")
    with contextlib.suppress(TimeoutError, ValueError):
        async with asyncio.timeout(REST_SECONDS):
            async for line in process.stdout:
                lines.append(line)  # noqa: PERF401 - as above


def _signing(lines: list[bytes]) -> dict[str, Any]:
    """Return what the process printed last about its signing; nothing if it signed nothing."""
    for line in reversed(lines):
        with contextlib.suppress(ValueError):
            found = json.loads(line)
            if isinstance(found, dict) and "signed" in found:
                return {"signed": int(found["signed"] or 0), "commit": str(found.get("commit", ""))}
    return {}
