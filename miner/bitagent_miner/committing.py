"""The verbs `commit` and `show`: the model on the chain."""

from __future__ import annotations

import asyncio
import shutil
import sys
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from bitagent_crds.printable import escape_unprintable
from bitagent_miner.chain import Chain, ChainUnavailable
from bitagent_miner.hub import resolve
from bitagent_miner.submissions import BadSubmission, Form, Named, read, write

CHECKER = "bitagent-eval"


class Check(StrEnum):
    """Whether the model is checked before it is committed."""

    ASK = "ask"
    """A person decides; without a terminal it is checked."""
    YES = "yes"
    NO = "no"


class NotCommitted(Exception):
    """Nothing was committed; the message says why."""


@dataclass(frozen=True)
class CommitRequest:
    """What to commit."""

    model: Named
    form: Form
    netuid: int
    hub: str
    token: str | None = None
    competition: str | None = None
    check: Check = Check.ASK
    again: bool = False
    """Commit also what the chain has already."""


async def commit(
    request: CommitRequest,
    chain: Chain,
    key: Any,
    *,
    say: Callable[[str], None] = print,
    check: Callable[[Named], Awaitable[int]] | None = None,
) -> None:
    """Resolve, check, commit, and read it back.

    Raises HubError, BadSubmission, NotCommitted, ChainRefused and ChainUnavailable.
    """
    model = await resolve(request.model, hub=request.hub, token=request.token)
    if model != request.model:
        say(f"{request.model.shown} is commit {model.revision}")
    content = write(model, request.form, competition=request.competition)
    subnet = await chain.subnet(request.netuid)
    if subnet is None or key.ss58_address not in subnet.neurons:
        raise NotCommitted(f"hotkey {key.ss58_address} is not registered on subnet {request.netuid}: register it first")
    before = await chain.commitment(request.netuid, key.ss58_address)
    if before is not None and before.content == content and not request.again:
        say(f"the chain has it already, since block {before.block}")
        return
    await _checked(model, request.check, say, check or run_check)
    await chain.commit(key, request.netuid, content)
    after = await chain.commitment(request.netuid, key.ss58_address)
    if after is None or after.content != content:
        raise ChainUnavailable("the chain took the commitment, and does not show it: look again with `show`")
    say(f"committed at block {after.block}: {content.decode()}")


async def show(chain: Chain, netuid: int, hotkey: str, *, say: Callable[[str], None] = print) -> None:
    """Print what the chain holds for a hotkey. Raises ChainUnavailable."""
    subnet = await chain.subnet(netuid)
    if subnet is None:
        raise ChainUnavailable(f"{chain.endpoint} has no subnet {netuid}")
    say(f"hotkey      {hotkey}")
    me = subnet.neurons.get(hotkey)
    if me is None:
        say(f"subnet {netuid}   not registered at block {subnet.block}")
    else:
        permit = ", validator permit" if me.permit else ""
        say(f"subnet {netuid}   uid {me.uid}, stake {me.stake:g}, incentive {me.incentive:.4f}{permit}")
        say(f"serves at   {me.axon or 'no address: --announce'}")
    found = await chain.commitment(netuid, hotkey)
    if found is None:
        say("commitment  none")
    elif found.content is None:
        say(f"commitment  sealed, or of another form, since block {found.block}")
    else:
        say(f"commitment  {escape_unprintable(found.content.decode(errors='replace'))}, since block {found.block}")
        say(f"read as     {_reading(found.content)}")


def _reading(content: bytes) -> str:
    try:
        model = read(content)
    except BadSubmission as error:
        return f"no model: {error}"
    return model.shown if model.pinned else f"{model.shown}, not a commit: many competitions ignore it"


async def _checked(
    model: Named, check: Check, say: Callable[[str], None], run: Callable[[Named], Awaitable[int]]
) -> None:
    if check is Check.NO:
        return
    if shutil.which(CHECKER) is None:
        if check is Check.YES:
            raise NotCommitted(
                f"{CHECKER} is not installed, so the model cannot be checked: `--check no` commits it all the same"
            )
        say(f"not checked: {CHECKER} is not installed (docs/mining.md)")
        return
    if check is Check.ASK and sys.stdin.isatty():
        answer = await asyncio.to_thread(input, f"run `{CHECKER} check {model.shown}` first? [Y/n] ")
        if answer.strip().lower() in ("n", "no"):
            return
    if status := await run(model):
        raise NotCommitted(f"a round would not take {model.shown} ({CHECKER} check ended with {status})")


async def run_check(model: Named) -> int:
    """Run `bitagent-eval check` and return its exit code."""
    process = await asyncio.create_subprocess_exec(CHECKER, "check", model.shown)
    try:
        return await process.wait()
    finally:
        if process.returncode is None:
            process.terminate()
            await process.wait()
