"""The websocket server of the node: sessions, subscriptions, and the clock that makes blocks.

Everything runs on one event loop, and messages are written without waiting for slow readers: the order on a connection
is the order of events, and no client can delay a block.
"""

from __future__ import annotations

import asyncio
import json
import logging
import time
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any

from websockets.asyncio.server import ServerConnection, broadcast, serve
from websockets.http11 import Request, Response

from bitagent_local.chain import rpc
from bitagent_local.chain.blocks import Block
from bitagent_local.chain.faults import ChainFaultRequest, ChainFaults
from bitagent_local.chain.node import ChainNode, Included, describe
from bitagent_local.chain.scale import from_hex, to_hex

log = logging.getLogger(__name__)

PARSE_ERROR, INVALID_REQUEST, INTERNAL_ERROR = -32700, -32600, -32603
HEALTH_PATH = "/healthz"
HEAD_SUBSCRIPTIONS = {
    "chain_subscribeNewHeads": "chain_newHead",
    "chain_subscribeNewHead": "chain_newHead",
    "chain_subscribeAllHeads": "chain_allHead",
    "chain_subscribeFinalizedHeads": "chain_finalizedHead",
}
"""Block subscriptions and the name of their notifications."""


@dataclass(eq=False)
class Watch:
    """A client's subscription to the outcome of its extrinsic."""

    session: Session
    subscription: str
    included_in: Block | None = None


@dataclass(eq=False)
class Session:
    """One connection and its head subscriptions, notification names by subscription id."""

    socket: ServerConnection
    heads: dict[str, str] = field(default_factory=dict)


class Server:
    """Serves one node until `stopping` is set."""

    def __init__(self, node: ChainNode) -> None:
        self.node = node
        self.faults = ChainFaults(time.monotonic)
        self.stopping = asyncio.Event()
        self._sessions: list[Session] = []
        self._watches: dict[bytes, Watch] = {}
        self._subscriptions = 0

    async def run(self, host: str, port: int, *, started: asyncio.Future[int]) -> None:
        """Serve and make blocks until ``stopping`` is set; ``started`` receives the port that was bound."""
        # No client may see the genesis as the head: the start block can be far from it.
        self._announce(self.node.produce())
        async with serve(
            self._session, host, port, process_request=self._handshake, compression=None, max_size=1 << 24
        ) as listening:
            started.set_result(next(iter(listening.sockets)).getsockname()[1])
            await self._make_blocks()

    def apply_faults(self, request: ChainFaultRequest) -> None:
        """Switch faults on or off."""
        self.faults.apply(request)
        for session in self._sessions[: request.drop_connections or 0]:
            session.socket.transport.abort()

    def describe(self) -> dict[str, Any]:
        """Return the state that tests inspect, as JSON."""
        node = self.node
        neurons = [
            {
                "uid": neuron.uid,
                "hotkey": neuron.hotkey,
                "coldkey": neuron.coldkey,
                "stake": neuron.stake / 10**9,
                "permit": neuron.permit,
                "last_update": neuron.last_update,
                "registered_at": neuron.registered_at,
            }
            for neuron in node.subnet.neurons()
        ]
        return {
            "netuid": node.seed.netuid,
            "block": node.blocks.head.number,
            "block_hash": to_hex(node.blocks.head.hash),
            "finalized": node.finalized.number,
            "genesis_hash": to_hex(node.blocks.genesis.hash),
            "next_epoch": node.subnet.next_epoch(),
            "connections": len(self._sessions),
            "faults": self.faults.describe(),
            "neurons": neurons,
            "weights": node.weights(),
            "pool": len(node.pool),
            "extrinsics": [describe(included) for included in node.included],
        }

    async def _make_blocks(self) -> None:
        period = self.node.runtime.milliseconds_per_block / 1000
        due = time.monotonic() + period
        while not self.stopping.is_set():
            with suppress(TimeoutError):
                await asyncio.wait_for(self.stopping.wait(), max(0.0, due - time.monotonic()))
                return
            if not self.faults.stall_blocks:
                self._announce(self.node.produce())
            # After a late block the next ones are not sooner.
            due = max(due + period, time.monotonic())

    def _announce(self, included: Iterable[Included]) -> None:
        head = self.node.blocks.head
        for item in included:
            if watch := self._watches.get(item.extrinsic.hash):
                watch.included_in = head
                self._notify(
                    watch.session, "author_extrinsicUpdate", watch.subscription, {"inBlock": to_hex(head.hash)}
                )
            outcome = item.error or "ok"
            log.info(
                "block %d: %s by %s: %s", head.number, item.extrinsic.call.function, item.extrinsic.signer, outcome
            )
        self._notify_heads([head], final=False)
        if self.faults.stall_finality:
            return
        self._notify_heads(self.node.finalize(), final=True)
        for key, watch in list(self._watches.items()):
            if watch.included_in is not None:
                update = {"finalized": to_hex(watch.included_in.hash)}
                self._notify(watch.session, "author_extrinsicUpdate", watch.subscription, update)
                del self._watches[key]

    def _notify_heads(self, blocks: list[Block], *, final: bool) -> None:
        for session in self._sessions:
            for subscription, name in session.heads.items():
                if (name == "chain_finalizedHead") is final:
                    for block in blocks:
                        self._notify(session, name, subscription, block.header())

    def _notify(self, session: Session, method: str, subscription: str, result: Any) -> None:
        params = {"subscription": subscription, "result": result}
        self._send(session, {"jsonrpc": "2.0", "method": method, "params": params})

    def _send(self, session: Session, message: Any) -> None:
        if not self.faults.mute:
            broadcast([session.socket], json.dumps(message))

    def _handshake(self, socket: ServerConnection, request: Request) -> Response | None:
        if request.path == HEALTH_PATH:
            return socket.respond(HTTPStatus.OK, "ok\n")
        if self.faults.refuse:
            return socket.respond(HTTPStatus.SERVICE_UNAVAILABLE, "this node refuses connections for a test\n")
        return None

    async def _session(self, socket: ServerConnection) -> None:
        session = Session(socket)
        self._sessions.append(session)
        try:
            async for text in socket:
                if not self.faults.mute:
                    self._answer(session, text)
        finally:
            self._sessions.remove(session)
            self._watches = {key: watch for key, watch in self._watches.items() if watch.session is not session}

    def _answer(self, session: Session, text: str | bytes) -> None:
        try:
            message = json.loads(text)
        except ValueError as error:
            self._send(session, _failure(None, rpc.RpcError(PARSE_ERROR, f"Parse error: {error}")))
            return
        if isinstance(message, list):
            self._send(session, [self._one(session, request) for request in message])
        else:
            self._send(session, self._one(session, message))

    def _one(self, session: Session, request: Any) -> dict[str, Any]:
        if not isinstance(request, dict) or not isinstance(request.get("method"), str):
            return _failure(None, rpc.RpcError(INVALID_REQUEST, "Invalid request: no method"))
        identity, params = request.get("id"), request.get("params") or []
        try:
            result = self._call(session, request["method"], params)
        except rpc.RpcError as error:
            return _failure(identity, error)
        except Exception:
            log.exception("%s failed: a fault of the simulated chain", request["method"])
            return _failure(
                identity, rpc.RpcError(INTERNAL_ERROR, "Internal error of the simulated chain: see its log")
            )
        return {"jsonrpc": "2.0", "id": identity, "result": result}

    def _call(self, session: Session, method: str, params: list[Any]) -> Any:
        if method in HEAD_SUBSCRIPTIONS:
            subscription = self._new_subscription()
            session.heads[subscription] = HEAD_SUBSCRIPTIONS[method]
            return subscription
        if method == "author_submitAndWatchExtrinsic":
            # The SDK waits for inclusion and ignores a "ready" update, so none is sent.
            key = from_hex(rpc.call(self.node, "author_submitExtrinsic", params))
            watch = self._watches[key] = Watch(session, self._new_subscription())
            return watch.subscription
        if method.startswith("chain_unsubscribe"):
            return session.heads.pop(str(params[0]), None) is not None if params else False
        if method == "author_unwatchExtrinsic":
            mine = [key for key, watch in self._watches.items() if params and watch.subscription == params[0]]
            for key in mine:
                del self._watches[key]
            return bool(mine)
        return rpc.call(self.node, method, params)

    def _new_subscription(self) -> str:
        self._subscriptions += 1
        return f"s{self._subscriptions}"


def _failure(identity: Any, error: rpc.RpcError) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "id": identity, "error": error.body()}
