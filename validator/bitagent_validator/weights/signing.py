"""The process that signs and sends one row of weights: `python -m bitagent_validator.weights.signing PARENT_PID`.

It is killed with its parent, so that a pod that lost its Lease, or was killed, cannot set weights any more.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import json
import logging
import os
import signal
import sys
import time
from typing import Any

import bittensor as bt

from bitagent_validator.chain.connection import unavailable
from bitagent_validator.chain.decoding import commit_digest
from bitagent_validator.wallet import load_hotkey
from bitagent_validator.weights.reasons import meaning, skewed
from bitagent_validator.weights.submit import MESSAGE_MAX, SubmissionOutcome, SubmissionRequest, SubmissionResult
from bitagent_wire.hotkey_file import HotkeyFileError
from bitagent_wire.redaction import redact, shown

PR_SET_PDEATHSIG = 1
"""From linux/prctl.h."""

ATTEMPTS = 4
"""How often a row is signed: again at once if another transaction took its nonce, or the chain its drand round."""
SKEW_SECONDS = 15.0
"""By how much the clock may differ from the chain's for a row to be sealed, beside two block times."""


def terminate_with_parent(parent: int) -> None:
    """Have the kernel kill this process when its parent ends. Raises OSError if the kernel refuses."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "cannot tie this process to its parent")
    if os.getppid() != parent:
        sys.exit("the parent has ended already")


class Announcing:
    """The hotkey as a signer that prints a line before it signs."""

    def __init__(self, key: Any) -> None:
        self._key = key
        self.ss58_address = key.ss58_address
        self.public_key = key.public_key
        self.crypto_type = key.crypto_type
        self.head = 0
        """The node's best block."""
        self.commit = ""
        self.signed = False

    def sign(self, payload: bytes) -> bytes:
        """Announce the signature, and sign."""
        print(json.dumps({"signed": self.head, "commit": self.commit}), file=sys.__stdout__, flush=True)
        self.signed = True
        return bytes(self._key.sign(payload))

    def facts(self) -> dict[str, Any]:
        """Return what a result says about the signing."""
        return {"signed": self.head, "commit": self.commit} if self.signed else {}


class _Rules:
    """The chain as the SDK reads it before it signs, with the smallest row as the chain reckons it.

    The SDK compares with MinAllowedWeights alone, and so refuses each row on a subnet that has fewer hotkeys than that.
    """

    def __init__(self, substrate: Any) -> None:
        self._substrate = substrate

    def __getattr__(self, name: str) -> Any:
        return getattr(self._substrate, name)

    async def query(self, pallet: str, item: str, params: Any = None, **options: Any) -> Any:
        """Query storage."""
        found = await self._substrate.query(pallet, item, params, **options)
        if item != "MinAllowedWeights":
            return found
        hotkeys = await self._substrate.query(pallet, "SubnetworkN", params, **options)
        return found if hotkeys is None else min(int(found or 0), int(hotkeys))


class _Weights(bt.SetWeights):  # type: ignore[misc]
    """The SDK's intent, which also says to the signer what it is about to sign."""

    async def build(self, substrate: Any, wallet: Any) -> Any:
        """Build the call."""
        built = await super().build(_Rules(substrate), wallet)
        call = getattr(built, "call", built)
        if isinstance(wallet, Announcing):
            # The SDK returns the bare call for rows that are not sealed.
            wallet.commit = sealed_digest(bytes(call.data)) if call is not built else ""
        return built


def sealed_digest(call: bytes) -> str:
    """Return the hash of the sealed row in an encoded commit call.

    The call is: pallet and call, netuid (u16), mechanism (u8), the row with its compact length, the drand round (u64)
    and the version (u16).
    """
    mode = call[5] & 0b11
    start = 5 + (1 if mode == 0 else 2 if mode == 1 else 4)
    return commit_digest(call[start:-10])


async def sign_and_send(request: SubmissionRequest) -> SubmissionResult:
    """Sign the weights, send them and wait for their finalisation; report only what is certain."""
    try:
        key = load_hotkey(request.hotkey_file)
    except HotkeyFileError as error:
        return _refused(str(error))
    if key.ss58_address != request.hotkey:
        changed = f"{request.hotkey_file} now holds {key.ss58_address}, not {request.hotkey}: restart the validator"
        return _refused(changed, code="hotkey_changed")
    result = _refused("the row was not sent")
    for _ in range(ATTEMPTS):
        result = await _attempt(request, Announcing(key))
        if not (result.certain and meaning(name=result.error, code=result.code).again):
            break
    return result


async def _attempt(request: SubmissionRequest, signer: Announcing) -> SubmissionResult:
    # A client for each attempt: one that was refused keeps a nonce that no node accepts.
    subtensor = bt.Subtensor(request.endpoint, fallback_endpoints=[], archive_endpoints=[])
    try:
        client = await subtensor
    except Exception as error:  # noqa: BLE001 - a node may answer anything; nothing was signed
        failure = unavailable(f"cannot connect to {shown(request.endpoint)}", error)
        return _refused(str(failure), code="limited_by_node" if failure.retry_after is not None else "")
    try:
        signer.head = int(await client.block())
        if request.sealed and (skew := await _skew(client, signer.head)):
            return _refused(skew, code="clock_skew")
        intent = _Weights(
            netuid=request.netuid,
            weights=dict(request.weights),
            mechid=request.mechanism,
            version_key=request.version_key,
        )
        outcome = await client.execute(
            intent, signer, period=request.era_blocks, wait_for_finalization=request.finalized
        )
    except bt.ChainError as error:
        return _failed(error, signer)
    except bt.RpcPolicyError as error:
        if not signer.signed or refused_at_submission(error):
            return _refused(redact(str(error)), code="limited_by_node")
        return _unknown(redact(str(error)), signer)
    except Exception as error:  # noqa: BLE001 - a node may answer anything
        return _unknown(f"{type(error).__name__}: {redact(str(error))}", signer)
    finally:
        with contextlib.suppress(Exception):
            await client.close()
    if outcome.success:
        return SubmissionResult(
            outcome=SubmissionOutcome.INCLUDED,
            message=outcome.message,
            extrinsic=outcome.extrinsic_id or "",
            **signer.facts(),
        )
    if outcome.error is None:
        return _unknown(redact(outcome.message), signer)
    return _failed(outcome.error, signer, included=outcome.block_hash is not None)


def refused_at_submission(error: BaseException) -> bool:
    """Whether a gateway answered the very request that submits with a refusal, so that no node has the transaction.

    The SDK gives no such fact: it follows from where the refusal was raised. A later one leaves it open.
    """
    cause: BaseException | None = error
    while cause is not None:
        frames, trace = set(), cause.__traceback__
        while trace is not None:
            frames.add(trace.tb_frame.f_code.co_name)
            trace = trace.tb_next
        if getattr(cause, "payload", None) is not None and {"submit_extrinsic", "subscribe"} <= frames:
            return True
        cause = cause.__cause__
    return False


async def _skew(client: Any, head: int) -> str:
    """Return why the clock does not fit the chain's; empty if it does, or if the chain has no block."""
    if head == 0:
        return ""
    age = time.time() - (await client.timestamp(head)).timestamp()
    late = age - 2 * float(await client.block_time())
    if age >= -SKEW_SECONDS and late <= SKEW_SECONDS:
        return ""
    return f"{skewed(age if age < 0 else late)}: a sealed row would open at another time"


def _failed(error: bt.ChainError, signer: Announcing, *, included: bool = False) -> SubmissionResult:
    name = error.name or ""
    definite = included or not signer.signed or meaning(name=name, code=error.code.value).certain
    return SubmissionResult(
        outcome=SubmissionOutcome.REFUSED if definite else SubmissionOutcome.UNKNOWN,
        code=error.code.value,
        error=name,
        message=redact(error.message),
        **signer.facts(),
    )


def _refused(message: str, *, code: str = "") -> SubmissionResult:
    return SubmissionResult(outcome=SubmissionOutcome.REFUSED, message=message, code=code)


def _unknown(message: str, signer: Announcing) -> SubmissionResult:
    # Without a signature there is nothing that could land.
    outcome = SubmissionOutcome.UNKNOWN if signer.signed else SubmissionOutcome.REFUSED
    return SubmissionResult(outcome=outcome, message=message, **signer.facts())


def as_line(result: SubmissionResult) -> str:
    """Return a result as the line that the parent reads; a message of any length and form fits into it."""
    message = result.message[:MESSAGE_MAX].encode(errors="replace").decode()
    return result.model_copy(update={"message": message}).model_dump_json()


def main() -> int:
    """Run as the submitting process."""
    terminate_with_parent(int(sys.argv[1]))
    logging.disable(logging.CRITICAL)  # Messages of libraries may quote the endpoint.
    request = SubmissionRequest.model_validate_json(sys.stdin.buffer.read())
    # Output of libraries must not get between the parent and the result.
    with contextlib.redirect_stdout(sys.stderr):
        result = asyncio.run(sign_and_send(request))
    print(as_line(result), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
