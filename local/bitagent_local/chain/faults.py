"""Faults of the chain that a test switches on. All end by themselves or are switched off again."""

from __future__ import annotations

from collections.abc import Callable

from pydantic import Field

from bitagent_local.chain.seed import SeedModel


class ChainFaultRequest(SeedModel):
    """The body of the admin's ``POST /faults``; absent fields change nothing."""

    stall_finality: bool | None = Field(default=None, description="new blocks, but none becomes final")
    stall_blocks: bool | None = Field(default=None, description="no new blocks; extrinsics stay in the pool")
    mute: float | None = Field(
        default=None, ge=0, le=3600, description="seconds in which connections stay open without answers"
    )
    refuse: float | None = Field(default=None, ge=0, le=3600, description="seconds in which no connection is accepted")
    drop_connections: int | None = Field(
        default=None, ge=1, le=10_000, description="close so many open connections now, oldest first"
    )


class ChainFaults:
    """The active faults."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._mute_until = 0.0
        self._refuse_until = 0.0
        self.stall_finality = False
        self.stall_blocks = False

    @property
    def mute(self) -> bool:
        """Whether answers and notifications are dropped."""
        return self._clock() < self._mute_until

    @property
    def refuse(self) -> bool:
        """Whether new connections are refused."""
        return self._clock() < self._refuse_until

    def apply(self, request: ChainFaultRequest) -> None:
        """Switch a request's lasting faults on or off. The server closes connections itself."""
        if request.stall_finality is not None:
            self.stall_finality = request.stall_finality
        if request.stall_blocks is not None:
            self.stall_blocks = request.stall_blocks
        if request.mute is not None:
            self._mute_until = self._clock() + request.mute
        if request.refuse is not None:
            self._refuse_until = self._clock() + request.refuse

    def describe(self) -> dict[str, object]:
        """Return the active faults as JSON."""
        now = self._clock()
        return {
            "stall_finality": self.stall_finality,
            "stall_blocks": self.stall_blocks,
            "mute": max(0.0, self._mute_until - now),
            "refuse": max(0.0, self._refuse_until - now),
        }
