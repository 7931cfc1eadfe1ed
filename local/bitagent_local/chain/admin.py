"""An HTTP interface for tests: inspect the chain, switch faults on, change what owners and newcomers change.

    GET  /state             block, finality, neurons with the last epoch's numbers, weights, extrinsics, active faults
    GET  /healthz           number of the head: the event loop runs
    POST /faults            see ``faults.ChainFaultRequest``
    POST /neurons           see ``seed.Neuron``; registers a hotkey, or changes a registered one
    POST /replace           {hotkey, by: a neuron}: the slot changes hands
    POST /swap              {hotkey, by}: the hotkey changes, its slot and stake stay
    POST /trim              {size}: those that earn least lose their slots, the others' are numbered again
    POST /hyperparameters   see ``seed.Hyperparameters``; changes those that are given
    POST /balances          {account, tao}
    POST /epoch             {after, tempo}: the next epoch runs in so many blocks; the subnet's tempo changes
    POST /blocks            {count}: makes blocks at once
    POST /reorg             {depth, lose}: the last blocks are left for another branch
    POST /upgrade           {}: another runtime from the next block on
    POST /escrow            see ``EscrowRequest``: the row of a sealed commit, or the data of a sealed commitment

Requests are received in threads and executed on the chain's event loop, the only place where the chain is accessed.
"""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Callable
from decimal import Decimal
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Annotated, Any, Self

from pydantic import Field, model_validator

from bitagent_local.chain.endpoint import HEALTH_PATH
from bitagent_local.chain.faults import ChainFaultRequest
from bitagent_local.chain.pallets.escrow import OpenRow
from bitagent_local.chain.scale import from_hex
from bitagent_local.chain.seed import U16, U64, Hyperparameters, Key, Neuron, SeedModel, Tokens, rao
from bitagent_local.chain.server import Server

Route = Callable[[Server, bytes], Any]
Hexadecimal = Annotated[str, Field(max_length=12_000, pattern="^(0x)?([0-9a-fA-F]{2})*$")]
Row = Annotated[tuple[U16, ...], Field(max_length=5000)]

ANSWER_SECONDS = 30


class ReplaceRequest(SeedModel):
    """A slot that changes hands."""

    hotkey: Key
    by: Neuron


class SwapRequest(SeedModel):
    """A hotkey that changes."""

    hotkey: Key
    by: Key


class TrimRequest(SeedModel):
    """How many slots are left."""

    size: U16


class BalanceRequest(SeedModel):
    """What an account owns from now on."""

    account: Key
    tao: Tokens = Decimal(0)


class EpochRequest(SeedModel):
    """When the next epoch runs, and how long epochs are from now on; what is absent stays, if the other is given."""

    after: int | None = Field(default=None, ge=1, le=65535)
    tempo: int | None = Field(default=None, ge=1, le=65535)


class BlocksRequest(SeedModel):
    """How many blocks to make."""

    count: int = Field(default=1, ge=1, le=10_000)


class ReorgRequest(SeedModel):
    """A change of the best branch."""

    depth: int = Field(default=1, ge=1, le=256)
    lose: bool = False


class EscrowRequest(SeedModel):
    """The content of sealed bytes: a row of weights, or the data of a commitment."""

    commit: Hexadecimal
    hotkey: Key | None = None
    uids: Row = ()
    weights: Row = ()
    version_key: U64 = 0
    data: Hexadecimal | None = None

    @model_validator(mode="after")
    def _one(self) -> Self:
        if (self.hotkey is None) == (self.data is None):
            raise ValueError("give the hotkey, uids and weights of a row, or the data of a commitment")
        return self

    def content(self) -> OpenRow | bytes:
        """Return what is sealed."""
        if self.data is not None:
            return from_hex(self.data)
        return OpenRow(str(self.hotkey), self.uids, self.weights, self.version_key)


def _state(server: Server, body: bytes) -> Any:
    return server.describe()


def _health(server: Server, body: bytes) -> Any:
    return {"block": server.node.blocks.head.number}


def _faults(server: Server, body: bytes) -> Any:
    server.apply_faults(ChainFaultRequest.model_validate_json(body))
    return server.describe_faults()


def _neurons(server: Server, body: bytes) -> Any:
    neuron = Neuron.model_validate_json(body)
    return {"uid": server.node.register(neuron), "hotkey": neuron.hotkey}


def _replace(server: Server, body: bytes) -> Any:
    request = ReplaceRequest.model_validate_json(body)
    return {"uid": server.node.replace(request.hotkey, request.by), "hotkey": request.by.hotkey}


def _swap(server: Server, body: bytes) -> Any:
    request = SwapRequest.model_validate_json(body)
    server.node.swap(request.hotkey, request.by)
    return {"hotkey": request.by}


def _trim(server: Server, body: bytes) -> Any:
    return {"gone": server.node.trim(TrimRequest.model_validate_json(body).size)}


def _hyperparameters(server: Server, body: bytes) -> Any:
    rules = Hyperparameters.model_validate_json(body)
    server.node.set_rules(rules)
    return {"changed": sorted(rules.model_fields_set)}


def _balances(server: Server, body: bytes) -> Any:
    request = BalanceRequest.model_validate_json(body)
    server.node.set_balance(request.account, rao(request.tao))
    return {"account": request.account}


def _epoch(server: Server, body: bytes) -> Any:
    request = EpochRequest.model_validate_json(body)
    after = 1 if request.after is None and request.tempo is None else request.after
    return {"block": server.node.plan_epochs(after=after, tempo=request.tempo)}


def _blocks(server: Server, body: bytes) -> Any:
    for _ in range(BlocksRequest.model_validate_json(body).count):
        server.announce(server.node.produce())
    return _health(server, body)


def _reorg(server: Server, body: bytes) -> Any:
    request = ReorgRequest.model_validate_json(body)
    done = server.reorg(request.depth, lose=request.lose)
    return {"left": [block.number for block in done.left], "extrinsics": len(done.extrinsics)}


def _upgrade(server: Server, body: bytes) -> Any:
    return {"spec_version": server.node.upgrade()}


def _escrow(server: Server, body: bytes) -> Any:
    request = EscrowRequest.model_validate_json(body)
    server.node.escrow.put(from_hex(request.commit), request.content())
    return {"kept": len(server.node.escrow)}


ROUTES: dict[tuple[str, str], Route] = {
    ("GET", "/state"): _state,
    ("GET", HEALTH_PATH): _health,
    ("POST", "/faults"): _faults,
    ("POST", "/neurons"): _neurons,
    ("POST", "/replace"): _replace,
    ("POST", "/swap"): _swap,
    ("POST", "/trim"): _trim,
    ("POST", "/hyperparameters"): _hyperparameters,
    ("POST", "/balances"): _balances,
    ("POST", "/epoch"): _epoch,
    ("POST", "/blocks"): _blocks,
    ("POST", "/reorg"): _reorg,
    ("POST", "/upgrade"): _upgrade,
    ("POST", "/escrow"): _escrow,
}


class Admin:
    """The HTTP listener, open between ``start`` and ``stop``."""

    def __init__(self, server: Server, *, host: str, port: int) -> None:
        self._http = ThreadingHTTPServer((host, port), _handler(server, asyncio.get_running_loop()))
        self._http.daemon_threads = True
        self._thread = threading.Thread(
            target=self._http.serve_forever, kwargs={"poll_interval": 0.05}, name="chain-admin", daemon=True
        )

    @property
    def port(self) -> int:
        """The port that was bound."""
        return int(self._http.server_address[1])

    def start(self) -> None:
        """Start to answer requests."""
        self._thread.start()

    def stop(self) -> None:
        """Close the listener."""
        self._http.shutdown()
        self._http.server_close()


def _handler(server: Server, loop: asyncio.AbstractEventLoop) -> type[BaseHTTPRequestHandler]:
    async def run(route: Route, body: bytes) -> Any:
        return route(server, body)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            self._serve()

        def do_POST(self) -> None:
            self._serve()

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the name is the library's
            """Log nothing: probes and polling would hide the chain's own log."""

        def _serve(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            route = ROUTES.get((self.command, self.path))
            if route is None:
                known = ", ".join(f"{method} {path}" for method, path in ROUTES)
                self._reply(HTTPStatus.NOT_FOUND, {"error": f"no {self.command} {self.path} here; there are {known}"})
                return
            try:
                answer = asyncio.run_coroutine_threadsafe(run(route, body), loop).result(ANSWER_SECONDS)
            except ValueError as error:
                self._reply(HTTPStatus.BAD_REQUEST, {"error": str(error)})
                return
            self._reply(HTTPStatus.OK, answer)

        def _reply(self, status: HTTPStatus, content: Any) -> None:
            body = json.dumps(content).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

    return Handler
