"""The policies of installed packages, each applied in a process of its own with a time limit.

A package's function may never return, and neither a task nor a thread that does not can be ended; a process can. The
built-in policies are applied in the pass itself.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import BinaryIO

from pydantic import ValidationError

from bitagent_crds.validator import Competition
from bitagent_validator.chain.facts import Neuron
from bitagent_validator.policy.eligibility import Standings
from bitagent_validator.policy.interface import PolicyError
from bitagent_validator.policy.registry import BUILT_IN, Answer, prepared
from bitagent_validator.running.policy_process import PolicyAnswer, PolicyRequest

log = logging.getLogger(__name__)

MODULE = "bitagent_validator.running.policy_process"
POLICY_SECONDS = 30.0
"""Time limit of one policy; most of it is for the imports of its package."""
REST_SECONDS = (300.0, 3600.0)
"""How long a policy that did not end in time is not tried again: at first, and at most. Each trial delays a pass."""
ANSWER_BYTES = 1024 * 1024
"""Largest answer; a share for each hotkey of a subnet takes a tenth of it."""


@dataclass(frozen=True)
class _Late:
    """A policy that did not end in time."""

    policy: str
    until: float
    rest: float


class PackagePolicies:
    """Applies the policies of packages, those of several competitions at the same time."""

    def __init__(self, *, seconds: float = POLICY_SECONDS, clock: Callable[[], float] = time.monotonic) -> None:
        self._seconds, self._clock = seconds, clock
        self._late: dict[str, _Late] = {}
        """By competition."""
        self._last: dict[str, tuple[PolicyRequest, Answer]] = {}
        """By competition: the last request that was answered with shares, and these."""

    async def answers(
        self, competitions: Sequence[Competition], standings: Mapping[str, Standings], neurons: Mapping[str, Neuron]
    ) -> dict[str, Answer]:
        """Return what the policies of packages say, by competition; those with a built-in policy are left out."""
        asked = [each for each in competitions if each.policy not in BUILT_IN]
        given = [self._answer(each, standings.get(each.id, Standings(None)), neurons) for each in asked]
        return dict(zip((each.id for each in asked), await asyncio.gather(*given), strict=True))

    async def _answer(self, competition: Competition, standing: Standings, neurons: Mapping[str, Neuron]) -> Answer:
        policy = competition.policy
        late = self._late.get(competition.id)
        text = f"policy {policy} did not return within {self._seconds:g} s"
        if late and late.policy == policy and self._clock() < late.until:
            return PolicyError(text)
        _, given = prepared(competition, standing, neurons)
        request = PolicyRequest(
            policy=policy, seconds=self._seconds, given=given, neurons=dict(neurons) if given is not None else {}
        )
        before, answer = self._last.get(competition.id, (None, None))
        if answer is not None and before == request:
            # A policy depends on nothing else.
            return answer
        try:
            async with asyncio.timeout(self._seconds):
                found = await _run(request)
        except TimeoutError:
            first, longest = REST_SECONDS
            rest = min(longest, 2 * late.rest) if late and late.policy == policy else first
            self._late[competition.id] = _Late(policy, self._clock() + rest, rest)
            log.error("competition %s: %s; it is tried again in %g s", competition.id, text, rest)
            return PolicyError(text)
        except OSError as error:
            return PolicyError(f"policy {policy} failed: its process cannot be started: {error}")
        self._late.pop(competition.id, None)
        if isinstance(found, PolicyError):
            return found
        self._last[competition.id] = (request, found)
        return found


async def _run(request: PolicyRequest) -> Answer:
    """Apply a policy in a process; when this ends, the process and its children have ended. Raises OSError."""
    # Files in memory, not pipes: what a package has started may keep a pipe open, and its end would never be read.
    with _file("request") as given, _file("answer") as taken:
        given.write(request.model_dump_json(by_alias=True).encode())
        given.seek(0)
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", MODULE, stdin=given, stdout=taken, start_new_session=True
        )
        try:
            status = await process.wait()
        finally:
            # Also what the package has started, which is of the same session.
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            await process.wait()
        taken.seek(0)
        content = taken.read(ANSWER_BYTES + 1)
    if len(content) > ANSWER_BYTES:
        return PolicyError(f"policy {request.policy} failed: its answer has more than {ANSWER_BYTES} bytes")
    try:
        answer = PolicyAnswer.model_validate_json(content)
    except ValidationError:
        return PolicyError(f"policy {request.policy} failed: its process ended with status {status} and no answer")
    return PolicyError(answer.problem) if answer.problem else answer.shares


def _file(name: str) -> BinaryIO:
    return os.fdopen(os.memfd_create(f"policy-{name}"), "w+b", buffering=0)
