"""Faults that a test switches on: of the whole chain, of one endpoint, and of single calls.

All end by themselves, after a time or so many calls, or are switched off again.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from fnmatch import fnmatchcase
from typing import Any

from pydantic import Field

from bitagent_local.chain.seed import SeedModel

TOO_MANY_REQUESTS = -32005
INTERNAL_ERROR = -32603
ENDLESS = 10**9


class CallFaultKind(StrEnum):
    """What becomes of the answer to a call."""

    DROP = "drop"
    """The connection is closed instead."""
    HALF_OPEN = "half_open"
    """The connection stays open and nothing comes over it any more."""
    SILENT = "silent"
    """This one call is never answered."""
    SLOW = "slow"
    """The answer comes late."""
    LIMITED = "limited"
    """An error that there are too many requests, with the seconds after which to ask again."""
    UNAVAILABLE = "unavailable"
    """An internal error of the node."""
    NULL = "null"
    """The result is null."""
    ERROR_NULL = "error_null"
    """``"error": null`` beside the result, as gateways of an older JSON-RPC do."""
    NO_RESULT = "no_result"
    """Neither result nor error."""
    WRONG_TYPE = "wrong_type"
    """A list instead of an object or text, a number instead of a list."""
    NOT_HEX = "not_hex"
    """Text that is not hexadecimal."""
    CUT = "cut"
    """The second half of the text or list is missing."""
    NOT_JSON = "not_json"
    """A message that is not JSON."""


class CallFault(SeedModel):
    """A fault of the next calls of some methods."""

    kind: CallFaultKind
    method: str = Field(
        default="*", max_length=100, description="pattern; of state_call also the runtime's method, such as *_metagraph"
    )
    skip: int = Field(default=0, ge=0, le=ENDLESS, description="calls that are answered properly first")
    times: int = Field(default=1, ge=1, le=ENDLESS, description="calls that fail then")
    seconds: float = Field(default=1, ge=0, le=3600, description="how late, or after which time to ask again")


class HandshakeFault(SeedModel):
    """A refusal of new connections."""

    status: int = Field(default=503, ge=400, le=599, description="HTTP status, such as 429 or 503")
    retry_after: int | None = Field(default=None, ge=0, le=3600, description="seconds in the header Retry-After")
    seconds: float = Field(default=60, ge=0, le=3600, description="how long; 0 ends it")


class ChainFaultRequest(SeedModel):
    """The body of the admin's ``POST /faults``; absent fields change nothing."""

    clear: bool = Field(default=False, description="end all faults of the endpoint and the chain first")
    stall_finality: bool | None = Field(default=None, description="new blocks, but none becomes final")
    stall_blocks: bool | None = Field(default=None, description="no new blocks; extrinsics stay in the pool")
    finality_lag: int | None = Field(default=None, ge=0, le=1000, description="blocks that finality trails the head by")
    clock_offset: float | None = Field(
        default=None, ge=-1e9, le=1e9, description="seconds by which the timestamps of new blocks are wrong"
    )
    missing_rounds: tuple[int, ...] | None = Field(
        default=None, max_length=10_000, description="drand rounds that the chain never gets"
    )
    endpoint: int = Field(default=0, ge=0, le=64, description="the endpoint that the fields below are about")
    lag: int | None = Field(default=None, ge=0, le=100_000, description="blocks that the endpoint's node is behind")
    stuck: bool | None = Field(
        default=None, description="the endpoint's node gets no more blocks, and keeps its branch"
    )
    isolated: bool | None = Field(
        default=None, description="the extrinsics that the endpoint's node takes reach no other node"
    )
    mute: float | None = Field(
        default=None, ge=0, le=3600, description="seconds in which connections stay open without answers"
    )
    refuse: float | None = Field(default=None, ge=0, le=3600, description="seconds in which no connection is accepted")
    handshake: HandshakeFault | None = Field(default=None, description="the same with a status of your choice")
    drop_connections: int | None = Field(
        default=None, ge=1, le=10_000, description="close so many open connections now, oldest first"
    )
    calls: tuple[CallFault, ...] = Field(default=(), max_length=100, description="faults of single calls, first match")


class ChainFaults:
    """The active faults of the whole chain."""

    def __init__(self) -> None:
        self.stall_finality = False
        self.stall_blocks = False

    def apply(self, request: ChainFaultRequest) -> None:
        """Switch a request's faults of the chain on or off."""
        if request.clear:
            self.stall_finality = self.stall_blocks = False
        if request.stall_finality is not None:
            self.stall_finality = request.stall_finality
        if request.stall_blocks is not None:
            self.stall_blocks = request.stall_blocks


@dataclass
class Counted:
    """A fault of calls, and how many calls are left of it."""

    fault: CallFault
    skip: int
    times: int


class EndpointFaults:
    """The active faults of one endpoint."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._mute_until = self._handshake_until = 0.0
        self._handshake = HandshakeFault()
        self._calls: list[Counted] = []

    @property
    def mute(self) -> bool:
        """Whether answers and notifications are dropped."""
        return self._clock() < self._mute_until

    @property
    def handshake(self) -> HandshakeFault | None:
        """How new connections are refused, if they are."""
        return self._handshake if self._clock() < self._handshake_until else None

    def apply(self, request: ChainFaultRequest) -> None:
        """Switch a request's faults of the endpoint on or off. The endpoint closes connections itself."""
        now = self._clock()
        if request.clear:
            self._clear()
        if request.mute is not None:
            self._mute_until = now + request.mute
        refusal = request.handshake
        if request.refuse is not None:
            refusal = HandshakeFault(seconds=request.refuse)
        if refusal is not None:
            self._handshake, self._handshake_until = refusal, now + refusal.seconds
        self._calls += [Counted(fault, fault.skip, fault.times) for fault in request.calls]

    def of_call(self, method: str, params: list[Any]) -> CallFault | None:
        """Return the fault of a call, if it has one, and count it."""
        names = [method]
        if method == "state_call" and params:
            names.append(str(params[0]))
        for counted in self._calls:
            if not any(fnmatchcase(name, counted.fault.method) for name in names):
                continue
            if counted.skip:
                counted.skip -= 1
                continue
            counted.times -= 1
            self._calls = [kept for kept in self._calls if kept.times]
            return counted.fault
        return None

    def describe(self) -> dict[str, object]:
        """Return the active faults as JSON."""
        now = self._clock()
        return {
            "mute": max(0.0, self._mute_until - now),
            "refuse": max(0.0, self._handshake_until - now),
            "calls": [{**one.fault.model_dump(), "skip": one.skip, "times": one.times} for one in self._calls],
        }

    def _clear(self) -> None:
        self._mute_until = self._handshake_until = 0.0
        self._handshake = HandshakeFault()
        self._calls = []


def spoilt(answer: dict[str, Any], fault: CallFault) -> dict[str, Any]:
    """Return an answer with a fault's wrong content."""
    head = {key: value for key, value in answer.items() if key in ("jsonrpc", "id")}
    result = answer.get("result")
    match fault.kind:
        case CallFaultKind.LIMITED:
            error = {"code": TOO_MANY_REQUESTS, "message": "Too many requests", "data": {"retry_after": fault.seconds}}
            return {**head, "error": error}
        case CallFaultKind.UNAVAILABLE:
            return {**head, "error": {"code": INTERNAL_ERROR, "message": "Internal error"}}
        case CallFaultKind.NULL:
            return {**head, "result": None}
        case CallFaultKind.ERROR_NULL:
            return {**answer, "error": None}
        case CallFaultKind.NO_RESULT:
            return head
        case CallFaultKind.WRONG_TYPE:
            return {**head, "result": 7 if isinstance(result, list) else [result]}
        case CallFaultKind.NOT_HEX:
            return {**head, "result": "0xnot-hexadecimal"}
        case CallFaultKind.CUT:
            cut = result[: len(result) // 4 * 2] if isinstance(result, str | list) else None
            return {**head, "result": cut}
    return answer
