"""The process that applies the policy of an installed package: `python -m bitagent_validator.running.policy_process`.

It reads a request on standard input and prints an answer. Its parent, `policies`, ends it at its time limit; if the
parent is gone, an alarm does.
"""

from __future__ import annotations

import contextlib
import os
import resource
import signal
import sys
from collections.abc import Mapping
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from bitagent_validator.chain.facts import Neuron
from bitagent_validator.policy.interface import PolicyError, PolicyInput
from bitagent_validator.policy.registry import apply_policy, find_policy

MEMORY_BYTES = 2 * 1024**3
"""Most memory of the process, and half of what the container may use if that is less."""
MEMORY_MAX = Path("/sys/fs/cgroup/memory.max")
SPARE_SECONDS = 5.0
"""Time after the parent's limit at which the alarm ends the process."""


class _Message(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class PolicyRequest(_Message):
    """A policy and what it is given."""

    policy: str
    seconds: float
    """The parent's time limit."""
    given: PolicyInput | None = None
    """None: the policy is only looked up."""
    neurons: Mapping[str, Neuron] = {}


class PolicyAnswer(_Message):
    """What the policy gives."""

    shares: dict[str, float] = {}
    """By hotkey: a distribution over registered hotkeys, or empty."""
    problem: str = ""
    """Why there are no shares: the words of a PolicyError."""


def answer_to(request: PolicyRequest) -> PolicyAnswer:
    """Apply the policy, or look it up."""
    try:
        if request.given is None:
            find_policy(request.policy)
            return PolicyAnswer()
        return PolicyAnswer(shares=dict(apply_policy(request.policy, request.given, request.neurons)))
    except PolicyError as error:
        return PolicyAnswer(problem=str(error))


def limit_memory(*, maximum: Path = MEMORY_MAX) -> int:
    """Limit this process's memory, so that a policy without bounds does not end the container; return the limit."""
    limit = MEMORY_BYTES
    # No limit is known if the file is missing, or says `max`.
    with contextlib.suppress(OSError, ValueError):
        limit = min(limit, int(maximum.read_text()) // 2)
    resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))
    return limit


def main() -> int:
    """Run as the process."""
    request = PolicyRequest.model_validate_json(sys.stdin.buffer.read())
    signal.setitimer(signal.ITIMER_REAL, request.seconds + SPARE_SECONDS)
    limit_memory()
    # What a package prints must not get between the parent and the answer.
    with os.fdopen(os.dup(1), "wb") as output:
        os.dup2(2, 1)
        output.write(answer_to(request).model_dump_json().encode())
    return 0


if __name__ == "__main__":
    sys.exit(main())
