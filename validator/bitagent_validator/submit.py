"""`python -m bitagent_validator.submit PARENT_PID`: submit one row of weights and end.

Reads a Request on standard input and prints a Result. It dies with its parent, so that a pod that lost its lease, or
was killed, cannot set weights any more.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import os
import signal
import sys

import bittensor as bt
from websockets.exceptions import WebSocketException

from bitagent_validator.wallet import WalletError, load_hotkey
from bitagent_validator.weights.messages import Outcome, Request, Result

PR_SET_PDEATHSIG = 1

CERTAIN = frozenset(
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
"""Error codes that the chain, or the check before signing, gives for a row that it does not take."""
UNDECIDED = frozenset({"Usurped", "Retracted", "FinalityTimeout", "Dropped", "Invalid"})
"""What a node may say of a transaction that another node can still include."""


def die_with(parent: int) -> None:
    """Have the kernel kill this process when its parent ends.

    Raises:
        OSError: The kernel refuses.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "cannot tie this process to its parent")
    if os.getppid() != parent:
        sys.exit("the parent has ended already")


async def submit(request: Request) -> Result:
    """Submit the row and say what is certain about it."""
    try:
        key = load_hotkey(request.hotkey_file)
    except WalletError as error:
        return Result(outcome=Outcome.REFUSED, message=str(error))
    if key.ss58_address != request.hotkey:
        message = f"{request.hotkey_file} now holds {key.ss58_address}, not {request.hotkey}: restart the validator"
        return Result(outcome=Outcome.REFUSED, message=message)
    subtensor = bt.Subtensor(request.endpoint, fallback_endpoints=[], archive_endpoints=[])
    try:
        client = await subtensor
    except (bt.BittensorError, WebSocketException, OSError, ValueError) as error:
        return Result(outcome=Outcome.REFUSED, message=f"cannot connect to {request.endpoint}: {error}")
    try:
        intent = bt.SetWeights(netuid=request.netuid, weights=dict(request.weights), version_key=request.version_key)
        outcome = await client.execute(intent, key, period=request.era_blocks)
    except bt.ChainError as error:
        return _failed(error)
    except (bt.BittensorError, WebSocketException, OSError, ValueError) as error:
        return Result(outcome=Outcome.UNKNOWN, message=f"{type(error).__name__}: {error}")
    finally:
        with contextlib.suppress(bt.BittensorError, WebSocketException, OSError):
            await client.close()
    if outcome.success:
        return Result(outcome=Outcome.INCLUDED, message=outcome.message, extrinsic=outcome.extrinsic_id or "")
    if outcome.error is None:
        return Result(outcome=Outcome.UNKNOWN, message=outcome.message)
    return _failed(outcome.error, included=outcome.block_hash is not None)


def _failed(error: bt.ChainError, *, included: bool = False) -> Result:
    certain = included or (error.code in CERTAIN and error.name not in UNDECIDED)
    return Result(
        outcome=Outcome.REFUSED if certain else Outcome.UNKNOWN,
        code=error.code.value,
        message=error.message,
    )


def main() -> int:
    """Run as a process."""
    die_with(int(sys.argv[1]))
    request = Request.model_validate_json(sys.stdin.buffer.read())
    # What libraries print must not get between the parent and the result.
    with contextlib.redirect_stdout(sys.stderr):
        result = asyncio.run(submit(request))
    print(result.model_dump_json(), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
