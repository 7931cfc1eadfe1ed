"""What fails in a window, and at which step of the setting."""

from __future__ import annotations

import asyncio
import random
import urllib.error
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from benchmarks.weight_windows.world import ENDPOINTS, ME, NETUID, PACE, Run

from bitagent_validator.weights.submit import SubmissionRequest, submit


class Step(StrEnum):
    """A step of a setting."""

    COMPLETE = "round complete"
    PENDING = "row recorded"
    POOL = "in the pool"
    BLOCK = "in a block"
    FINAL = "final"


@dataclass(frozen=True)
class Fault:
    """What fails in a window, and at which step."""

    name: str
    steps: tuple[Step, ...]
    happen: Callable[[Run], None]


def calls(kind: str, times: int = 3, **more: Any) -> Callable[[Run], None]:
    """Return a fault of the next calls of the nodes, whatever they are asked."""

    def happen(run: Run) -> None:
        run.chain.everywhere(calls=[{"kind": kind, "times": times, "skip": run.random.randrange(12), **more}])

    return happen


def refused(status: int, **more: Any) -> Callable[[Run], None]:
    """Return a fault in which connections are closed, and others refused, for two seconds."""

    def happen(run: Run) -> None:
        handshake = {"status": status, "seconds": 2, **more}
        run.chain.everywhere(handshake=handshake, drop_connections=10)

    return happen


def reorg(*, lose: bool) -> Callable[[Run], None]:
    """Return a fault in which the last two blocks are left."""

    def happen(run: Run) -> None:
        try:
            run.chain.post("reorg", depth=2, lose=lose)
        except urllib.error.HTTPError:
            run.chain.post("reorg", depth=1, lose=lose)

    return happen


def behind(run: Run) -> None:
    """Have one node fall 40 blocks behind for three seconds, so that it contradicts what was read before."""
    endpoint = run.random.randrange(ENDPOINTS)
    run.chain.post("faults", endpoint=endpoint, lag=40)
    PACE.wait(3)
    run.chain.post("faults", endpoint=endpoint, lag=0)


def other_subnet(run: Run) -> None:
    """Sign rows of another mechanism with the same hotkey, as validators of other subnets do: nonces collide."""

    async def send() -> None:
        request = SubmissionRequest(
            endpoint=f"ws://127.0.0.1:{run.chain.port}",
            hotkey_file=run.folder / "hotkey",
            hotkey=ME,
            netuid=NETUID,
            weights={1: 65535, 2: 1 + run.random.randrange(60000)},
            version_key=0,
            mechanism=1,
            era_blocks=32,
        )
        await asyncio.gather(*(submit(request, timeout_seconds=15) for _ in range(2)))

    run.lent.submit(asyncio.run, send())


START, SENDING, LANDED = (Step.COMPLETE,), (Step.COMPLETE, Step.PENDING, Step.BLOCK), (Step.BLOCK,)
FAULTS = (
    Fault("connections dropped", SENDING, lambda run: run.chain.everywhere(drop_connections=10)),
    Fault("half-open connection", SENDING, calls("half_open", 1)),
    Fault("503 at the handshake", SENDING, refused(503)),
    Fault("429 at the handshake", SENDING, refused(429, retry_after=2)),
    Fault("429 to calls", SENDING, calls("limited", 4, seconds=1)),
    Fault("slow answers", SENDING, calls("slow", 10, seconds=1.5)),
    Fault("no answers", SENDING, lambda run: run.chain.everywhere(mute=2)),
    *(Fault(f"garbage: {kind}", SENDING, calls(kind)) for kind in ("null", "error_null", "no_result", "wrong_type")),
    *(Fault(f"garbage: {kind}", SENDING, calls(kind)) for kind in ("not_hex", "cut", "unavailable")),
    Fault("reorg", LANDED, reorg(lose=False)),
    Fault("reorg, transaction lost", LANDED, reorg(lose=True)),
    Fault("stale nonce", (Step.COMPLETE, Step.PENDING), other_subnet),
    Fault("a node is behind", SENDING, behind),
    *(Fault("killed", (step,), Run.kill) for step in Step),
)


def schedule(windows: int, chance: random.Random, *, only: Sequence[str] = ()) -> list[tuple[Fault, Step]]:
    """Return the fault of each window: all of them, in an order of chance, and again."""
    chosen = [fault for fault in FAULTS if not only or any(text in fault.name for text in only)]
    found: list[tuple[Fault, Step]] = []
    while len(found) < windows:
        found += [(fault, chance.choice(fault.steps)) for fault in chance.sample(chosen, len(chosen))]
    return found[:windows]
