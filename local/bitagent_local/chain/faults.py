"""What can go wrong on purpose, and for how long. All faults end by themselves or are switched off again."""

from __future__ import annotations

from collections.abc import Callable

from pydantic import Field

from bitagent_local.chain.seed import Strict


class FaultRequest(Strict):
    """The body of the admin's ``POST /faults``; what is absent stays as it is."""

    stall_finality: bool | None = Field(default=None, description="blocks go on, none becomes final")
    stall_blocks: bool | None = Field(default=None, description="no new blocks; extrinsics stay in the pool")
    mute: float | None = Field(
        default=None, ge=0, le=3600, description="seconds in which connections stay open and nothing is answered"
    )
    refuse: float | None = Field(default=None, ge=0, le=3600, description="seconds in which no connection is accepted")
    drop_connections: int | None = Field(
        default=None, ge=1, le=10_000, description="cut as many open connections now, oldest first"
    )


class Faults:
    """The faults in force."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._mute_until = 0.0
        self._refuse_until = 0.0
        self.stall_finality = False
        self.stall_blocks = False

    @property
    def mute(self) -> bool:
        """Whether answers and notifications are swallowed."""
        return self._clock() < self._mute_until

    @property
    def refuse(self) -> bool:
        """Whether new connections are turned away."""
        return self._clock() < self._refuse_until

    def apply(self, request: FaultRequest) -> None:
        """Put a request's lasting faults in force. Connections are dropped by whoever holds them."""
        if request.stall_finality is not None:
            self.stall_finality = request.stall_finality
        if request.stall_blocks is not None:
            self.stall_blocks = request.stall_blocks
        if request.mute is not None:
            self._mute_until = self._clock() + request.mute
        if request.refuse is not None:
            self._refuse_until = self._clock() + request.refuse

    def describe(self) -> dict[str, object]:
        """The faults in force, as JSON."""
        now = self._clock()
        return {
            "stall_finality": self.stall_finality,
            "stall_blocks": self.stall_blocks,
            "mute": max(0.0, self._mute_until - now),
            "refuse": max(0.0, self._refuse_until - now),
        }
