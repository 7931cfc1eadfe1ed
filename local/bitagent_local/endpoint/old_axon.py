"""`python -m bitagent_local.endpoint.old_axon`: a miner that knows the old wire only, as an Axon of bittensor 10 does.

It answers QueryTask like the endpoint's models, GetHFModelName, QueryResult and IsAlive to whoever signs as a Dendrite,
and 401 to everybody else. In place of the reference's miner, whose SDK cannot be in one environment with the present
one; tests/integration has that.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from email.message import Message
from functools import partial
from http import HTTPStatus
from http.server import ThreadingHTTPServer
from pathlib import Path
from typing import Any

import bittensor_core

from bitagent_local.chain import keys
from bitagent_local.endpoint.answers import Answers, answer, known_answers
from bitagent_local.endpoint.running import JsonHandler, serve_until_stopped

LARGEST = 1 << 22
WINDOW_NS = 20 * 10**9
DENDRITE, AXON = "bt_header_dendrite_", "bt_header_axon_"
BODY_HASH = hashlib.sha3_256(b"").hexdigest()
"""The hash over no fields: BitAgent's messages declare none."""


@dataclass(frozen=True)
class Miner:
    """Who answers, and what."""

    hotkey: str
    model: str
    """The repository that it submits."""
    known: Answers
    skill: int


def refusal(headers: Message | Mapping[str, str], *, receiver: str, now: int) -> str:
    """Return why a request is not a Dendrite's to this hotkey; empty if it is. `now` is in nanoseconds."""
    sender, nonce, uuid, signature = (
        headers.get(f"{DENDRITE}{n}", "") for n in ("hotkey", "nonce", "uuid", "signature")
    )
    if not (sender and nonce.isdecimal() and uuid):
        return "not a Dendrite's request"
    if abs(now - int(nonce)) > WINDOW_NS:
        return "the nonce is too old"
    signed = f"{nonce}.{sender}.{receiver}.{uuid}.{BODY_HASH}".encode()
    try:
        pair = bittensor_core.Keypair(ss58_address=sender)
        good = bool(pair.verify(signed, bytes.fromhex(signature.removeprefix("0x"))))
    except (ValueError, TypeError):
        good = False
    return "" if good else "the signature does not fit"


def answered(miner: Miner, name: str, fields: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return a message with its answer; None if there is no such message."""
    found = dict(fields)
    match name:
        case "QueryTask":
            asked = [str(turn.get("content")) for turn in found.get("messages") or () if turn.get("role") == "user"]
            found["response"] = answer(miner.known, asked[-1] if asked else "", skill=miner.skill)
            found["hf_run_model_name"] = miner.model
        case "GetHFModelName":
            found["hf_model_name"] = miner.model
        case "IsAlive":
            found["response"] = True
        case "QueryResult":
            pass
        case _:
            return None
    return found


class Handler(JsonHandler):
    """Answers one request."""

    def __init__(self, miner: Miner, *rest: Any) -> None:
        self._miner = miner
        super().__init__(*rest)

    def do_GET(self) -> None:  # noqa: N802 - called by http.server
        """Say that the process lives; anything else is refused as an Axon does."""
        self._reply(HTTPStatus.OK if self.path == "/healthz" else HTTPStatus.UNAUTHORIZED, {})

    def do_POST(self) -> None:  # noqa: N802 - called by http.server
        """Answer a message."""
        size, name = self.headers.get("Content-Length", ""), self.path.strip("/")
        body = self.rfile.read(int(size)) if size.isdecimal() and int(size) <= LARGEST else b""
        if why := refusal(self.headers, receiver=self._miner.hotkey, now=time.time_ns()):
            self._reply(HTTPStatus.UNAUTHORIZED, {"message": why})
            return
        try:
            found = answered(self._miner, name, json.loads(body))
        except (ValueError, TypeError, AttributeError):
            self._reply(HTTPStatus.BAD_REQUEST, {"message": "not a message"})
            return
        self._reply(HTTPStatus.OK if found is not None else HTTPStatus.NOT_FOUND, found or {"message": "unknown"})

    def _reply(self, status: HTTPStatus, body: dict[str, Any]) -> None:
        caller = {
            f"{DENDRITE}{name}": self.headers.get(f"{DENDRITE}{name}", "") for name in ("hotkey", "nonce", "uuid")
        }
        own = {f"{AXON}hotkey": self._miner.hotkey, f"{AXON}status_code": str(int(status))}
        self.reply(status, body, own | {name: value for name, value in caller.items() if value})


def server(miner: Miner, host: str, port: int) -> ThreadingHTTPServer:
    """Return a server that is bound."""
    return ThreadingHTTPServer((host, port), partial(Handler, miner))


def main() -> int:
    """Serve until SIGTERM."""
    parser = argparse.ArgumentParser(prog="python -m bitagent_local.endpoint.old_axon", description=__doc__)
    parser.add_argument("--uri", required=True, help="development URI of the hotkey, such as //ellis")
    parser.add_argument("--model", required=True, help="the repository that it submits")
    parser.add_argument("--tasks", type=Path, required=True, help="file of tasks whose answers it knows")
    parser.add_argument("--skill", type=int, default=50, help="of a hundred questions (default %(default)s)")
    parser.add_argument("--host", default="0.0.0.0")
    parser.add_argument("--port", type=int, default=8091, help="default %(default)s")
    options = parser.parse_args()
    with options.tasks.open(encoding="utf-8") as lines:
        miner = Miner(keys.address(options.uri), options.model, known_answers(lines), options.skill)
    served = server(miner, options.host, options.port)
    serve_until_stopped(served, miner.hotkey)
    return 0


if __name__ == "__main__":
    sys.exit(main())
