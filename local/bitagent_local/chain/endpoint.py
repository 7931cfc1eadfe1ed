"""One websocket endpoint: its connections, their subscriptions, and the answers to their requests.

Messages are written without waiting for slow readers: the order on a connection is the order of events, and no client
can delay a block.
"""

from __future__ import annotations

import asyncio
import json
import logging
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any

from websockets.asyncio.server import ServerConnection, broadcast
from websockets.http11 import Request, Response

from bitagent_local.chain import rpc
from bitagent_local.chain.blocks import Block
from bitagent_local.chain.faults import CallFault, CallFaultKind, ChainFaultRequest, EndpointFaults, spoilt
from bitagent_local.chain.outcomes import Included
from bitagent_local.chain.peer import Peer
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
class Session:
    """One connection and its head subscriptions, notification names by subscription id."""

    socket: ServerConnection
    heads: dict[str, str] = field(default_factory=dict)
    dead: bool = False
    """Whether nothing is sent any more, as over a connection that is open at one end only."""


@dataclass(eq=False)
class Watch:
    """A client's subscription to the outcome of its extrinsic."""

    session: Session
    subscription: str
    included_in: Block | None = None
    announced: bool = False
    """Whether the client knows of the block: a node that is behind does not have it yet."""


class Endpoint:
    """Answers the clients of one node."""

    def __init__(self, peer: Peer, faults: EndpointFaults) -> None:
        self.peer = peer
        self.faults = faults
        self._sessions: list[Session] = []
        self._watches: dict[bytes, Watch] = {}
        self._subscriptions = 0
        self._shown = b""
        self._shown_final = 0

    @property
    def connections(self) -> int:
        """The number of open connections."""
        return len(self._sessions)

    def apply_faults(self, request: ChainFaultRequest) -> None:
        """Switch faults of this endpoint on or off."""
        self.faults.apply(request)
        if request.clear:
            self.peer.lag, self.peer.stuck, self.peer.isolated = 0, False, False
        if request.stuck is not None:
            self.peer.stuck = request.stuck
        if request.isolated is not None:
            self.peer.isolated = request.isolated
        if request.lag is not None:
            self.peer.lag = request.lag
        for session in self._sessions[: request.drop_connections or 0]:
            session.socket.transport.abort()

    def handshake(self, socket: ServerConnection, request: Request) -> Response | None:
        """Answer a plain request for the health, or refuse a connection while a fault says so."""
        if request.path == HEALTH_PATH:
            return socket.respond(HTTPStatus.OK, "ok\n")
        refusal = self.faults.handshake
        if refusal is None:
            return None
        response = socket.respond(HTTPStatus(refusal.status), "this node refuses connections for a test\n")
        if refusal.retry_after is not None:
            response.headers["Retry-After"] = str(refusal.retry_after)
        return response

    async def serve(self, socket: ServerConnection) -> None:
        """Answer one connection until it is closed."""
        session = Session(socket)
        self._sessions.append(session)
        try:
            async for text in socket:
                if not self.faults.mute and not session.dead:
                    self._answer(session, text)
        finally:
            self._sessions.remove(session)
            self._watches = {key: watch for key, watch in self._watches.items() if watch.session is not session}

    def show_heads(self) -> None:
        """Notify of the newest block of this node, of blocks that have become final, and of extrinsics in both."""
        head, final = self.peer.head, self.peer.finalized
        for watch in self._watches.values():
            if watch.included_in is not None and not watch.announced and watch.included_in.number <= head.number:
                watch.announced = True
                self._notify_watch(watch, {"inBlock": to_hex(watch.included_in.hash)})
        if self._shown != head.hash:
            self._notify_heads(head, final=False)
        if self._shown_final == 0:
            self._shown_final = final.number - 1
        for number in range(self._shown_final + 1, final.number + 1):
            if (block := self.peer.numbered(number)) is not None:
                self._notify_heads(block, final=True)
        self._shown, self._shown_final = head.hash, max(self._shown_final, final.number)
        for key, watch in list(self._watches.items()):
            if watch.announced and watch.included_in is not None and watch.included_in.number <= final.number:
                self._notify_watch(watch, {"finalized": to_hex(watch.included_in.hash)})
                del self._watches[key]

    def included(self, item: Included, block: Block) -> None:
        """Note the block of an extrinsic, for who watches it."""
        if watch := self._watches.get(item.extrinsic.hash):
            watch.included_in, watch.announced = block, False

    def show_retracted(self, extrinsic_hash: bytes) -> None:
        """Notify who watches an extrinsic that its block has left the best branch."""
        watch = self._watches.get(extrinsic_hash)
        if watch is None or watch.included_in is None:
            return
        if watch.announced:
            self._notify_watch(watch, {"retracted": to_hex(watch.included_in.hash)})
        watch.included_in, watch.announced = None, False

    def show_dropped(self, extrinsic_hash: bytes) -> None:
        """Notify who watches an extrinsic that it was found invalid."""
        if watch := self._watches.pop(extrinsic_hash, None):
            self._notify_watch(watch, "invalid")

    def _notify_heads(self, block: Block, *, final: bool) -> None:
        for session in self._sessions:
            for subscription, name in session.heads.items():
                if (name == "chain_finalizedHead") is final:
                    self._notify(session, name, subscription, block.header())

    def _notify_watch(self, watch: Watch, status: Any) -> None:
        self._notify(watch.session, "author_extrinsicUpdate", watch.subscription, status)

    def _notify(self, session: Session, method: str, subscription: str, result: Any) -> None:
        params = {"subscription": subscription, "result": result}
        self._send(session, {"jsonrpc": "2.0", "method": method, "params": params})

    def _send(self, session: Session, message: Any) -> None:
        self._send_text(session, json.dumps(message))

    def _send_text(self, session: Session, text: str) -> None:
        if not self.faults.mute and not session.dead:
            broadcast([session.socket], text)

    def _answer(self, session: Session, text: str | bytes) -> None:
        try:
            message = json.loads(text)
        except ValueError as error:
            self._send(session, _failure(None, rpc.RpcError(PARSE_ERROR, f"Parse error: {error}")))
            return
        if isinstance(message, list):
            self._send(session, [self._one(session, request) for request in message])
            return
        fault = None
        if isinstance(message, dict):
            fault = self.faults.of_call(str(message.get("method")), _params(message))
        if fault is None:
            self._send(session, self._one(session, message))
        else:
            self._fail(session, message, fault)

    def _fail(self, session: Session, message: dict[str, Any], fault: CallFault) -> None:
        """Do with a call what a fault says. The call itself takes place unless the node would not have got it."""
        log.info("fault %s of %s", fault.kind, message.get("method"))
        match fault.kind:
            case CallFaultKind.DROP:
                session.socket.transport.abort()
            case CallFaultKind.HALF_OPEN:
                session.dead = True
            case CallFaultKind.SILENT:
                self._one(session, message)
            case CallFaultKind.SLOW:
                text = json.dumps(self._one(session, message))
                asyncio.get_running_loop().call_later(fault.seconds, self._send_text, session, text)
            case CallFaultKind.NOT_JSON:
                self._one(session, message)
                self._send_text(session, "<html>502 Bad Gateway</html>")
            case CallFaultKind.LIMITED | CallFaultKind.UNAVAILABLE:
                self._send(session, spoilt({"jsonrpc": "2.0", "id": message.get("id")}, fault))
            case _:
                self._send(session, spoilt(self._one(session, message), fault))

    def _one(self, session: Session, request: Any) -> dict[str, Any]:
        if not isinstance(request, dict) or not isinstance(request.get("method"), str):
            return _failure(None, rpc.RpcError(INVALID_REQUEST, "Invalid request: no method"))
        identity = request.get("id")
        try:
            result = self._call(session, request["method"], _params(request))
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
            # The SDK waits for inclusion and ignores "ready" and "future" updates, so none are sent.
            key = from_hex(rpc.call(self.peer, "author_submitExtrinsic", params))
            watch = self._watches[key] = Watch(session, self._new_subscription())
            return watch.subscription
        if method.startswith("chain_unsubscribe"):
            return session.heads.pop(str(params[0]), None) is not None if params else False
        if method == "author_unwatchExtrinsic":
            mine = [key for key, watch in self._watches.items() if params and watch.subscription == params[0]]
            for key in mine:
                del self._watches[key]
            return bool(mine)
        return rpc.call(self.peer, method, params)

    def _new_subscription(self) -> str:
        self._subscriptions += 1
        return f"s{self._subscriptions}"


def _params(request: dict[str, Any]) -> list[Any]:
    params = request.get("params") or []
    return params if isinstance(params, list) else []


def _failure(identity: Any, error: rpc.RpcError) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "id": identity, "error": error.body()}
