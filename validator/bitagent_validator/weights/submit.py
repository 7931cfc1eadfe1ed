"""One submission of weights, in a short-lived process with a hard time limit.

The SDK waits without limit for a chain that stalls, and a cancelled submission leaves its client with a nonce that no
node accepts; a process that is killed leaves nothing behind. `submit` is the parent's side; `python -m` of this module
is the process: it reads a request on standard input and prints a result. It is killed with its parent, so that a pod
that lost its Lease, or was killed, cannot set weights any more.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import os
import signal
import sys
from enum import StrEnum
from pathlib import Path

import bittensor as bt
from pydantic import BaseModel, ConfigDict, ValidationError
from websockets.exceptions import WebSocketException

from bitagent_validator.wallet import WalletError, load_hotkey

MODULE = "bitagent_validator.weights.submit"
PR_SET_PDEATHSIG = 1
"""From linux/prctl.h."""

DEFINITE_REJECTIONS = frozenset(
    {
        bt.ErrorCode.RATE_LIMITED,
        bt.ErrorCode.NOT_REGISTERED,
        bt.ErrorCode.NOT_AUTHORIZED,
        bt.ErrorCode.INVALID_ARGUMENT,
        bt.ErrorCode.INSUFFICIENT_BALANCE,
        bt.ErrorCode.SUBNET_NOT_EXISTS,
        bt.ErrorCode.DISABLED,
        bt.ErrorCode.LIMIT_EXCEEDED,
    }
)
"""Error codes with which the chain, or the SDK's check before signing, rejects a row for certain."""
RETRYABLE_POOL_ERRORS = frozenset({"Usurped", "Retracted", "FinalityTimeout", "Dropped", "Invalid"})
"""Errors of one node's transaction pool after which another node may still include the transaction."""


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
        )
    except OSError as error:
        return _refused(f"the submitting process cannot be started: {error}")
    try:
        async with asyncio.timeout(timeout_seconds):
            output, _ = await process.communicate(request.model_dump_json().encode())
    except TimeoutError:
        return SubmissionResult(
            outcome=SubmissionOutcome.TIMED_OUT, message=f"the submission was killed after {timeout_seconds:g} s"
        )
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    lines = output.splitlines()
    try:
        return SubmissionResult.model_validate_json(lines[-1] if lines else b"")
    except ValidationError:
        return _unknown(f"the submitting process ended with status {process.returncode} and without a result")


def terminate_with_parent(parent: int) -> None:
    """Have the kernel kill this process when its parent ends. Raises OSError if the kernel refuses."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "cannot tie this process to its parent")
    if os.getppid() != parent:
        sys.exit("the parent has ended already")


async def sign_and_send(request: SubmissionRequest) -> SubmissionResult:
    """Sign the weights, send them and wait for their finalisation; report only what is certain."""
    try:
        key = load_hotkey(request.hotkey_file)
    except WalletError as error:
        return _refused(str(error))
    if key.ss58_address != request.hotkey:
        return _refused(
            f"{request.hotkey_file} now holds {key.ss58_address}, not {request.hotkey}: restart the validator"
        )
    subtensor = bt.Subtensor(request.endpoint, fallback_endpoints=[], archive_endpoints=[])
    try:
        client = await subtensor
    except (bt.BittensorError, WebSocketException, OSError, ValueError) as error:
        return _refused(f"cannot connect to {request.endpoint}: {error}")
    try:
        intent = bt.SetWeights(netuid=request.netuid, weights=dict(request.weights), version_key=request.version_key)
        outcome = await client.execute(intent, key, period=request.era_blocks)
    except bt.ChainError as error:
        return _failed(error)
    except (bt.BittensorError, WebSocketException, OSError, ValueError) as error:
        return _unknown(f"{type(error).__name__}: {error}")
    finally:
        with contextlib.suppress(bt.BittensorError, WebSocketException, OSError):
            await client.close()
    if outcome.success:
        return SubmissionResult(
            outcome=SubmissionOutcome.INCLUDED, message=outcome.message, extrinsic=outcome.extrinsic_id or ""
        )
    if outcome.error is None:
        return _unknown(outcome.message)
    return _failed(outcome.error, included=outcome.block_hash is not None)


def _failed(error: bt.ChainError, *, included: bool = False) -> SubmissionResult:
    definite = included or (error.code in DEFINITE_REJECTIONS and error.name not in RETRYABLE_POOL_ERRORS)
    return SubmissionResult(
        outcome=SubmissionOutcome.REFUSED if definite else SubmissionOutcome.UNKNOWN,
        code=error.code.value,
        message=error.message,
    )


def _refused(message: str) -> SubmissionResult:
    return SubmissionResult(outcome=SubmissionOutcome.REFUSED, message=message)


def _unknown(message: str) -> SubmissionResult:
    return SubmissionResult(outcome=SubmissionOutcome.UNKNOWN, message=message)


def main() -> int:
    """Run as the submitting process: `python -m bitagent_validator.weights.submit PARENT_PID`."""
    terminate_with_parent(int(sys.argv[1]))
    request = SubmissionRequest.model_validate_json(sys.stdin.buffer.read())
    # Output of libraries must not get between the parent and the result.
    with contextlib.redirect_stdout(sys.stderr):
        result = asyncio.run(sign_and_send(request))
    print(result.model_dump_json(), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
