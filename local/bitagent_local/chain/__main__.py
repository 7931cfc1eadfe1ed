"""``python -m bitagent_local.chain``: serve the simulated chain, write a development hotkey, read weights back."""

from __future__ import annotations

import argparse
import asyncio
import dataclasses
import json
import logging
import os
import signal
import sys
import time
from pathlib import Path

from bitagent_local.chain import keys, seed
from bitagent_local.chain.admin import Admin
from bitagent_local.chain.node import ChainNode
from bitagent_local.chain.server import Server

log = logging.getLogger("bitagent_local.chain")


def arguments() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    parser = argparse.ArgumentParser(prog="python -m bitagent_local.chain", description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    serve = commands.add_parser("serve", help="run the chain until SIGTERM")
    serve.set_defaults(run=_serve)
    serve.add_argument("--host", default="0.0.0.0")
    serve.add_argument("--port", type=int, default=9944, help="websocket (default %(default)s; 0 for a free one)")
    serve.add_argument("--admin-port", type=int, default=9945, help="HTTP for tests (default %(default)s)")
    serve.add_argument(
        "--seconds-per-block", type=float, default=12.0, help="default %(default)s, as on the real chain"
    )
    serve.add_argument("--seed-file", type=Path, help="YAML or JSON; by default an empty subnet")
    serve.add_argument("--endpoints", type=int, default=1, help="nodes, on this port and those after it")
    serve.add_argument("--netuid", type=int, help="replaces the seed file's")
    serve.add_argument("--tempo", type=int, help="replaces the seed file's; in blocks")

    wallet = commands.add_parser("wallet", help="write a development hotkey as a keyfile")
    wallet.set_defaults(run=_wallet)
    wallet.add_argument("--uri", required=True, help="such as //Validator")
    wallet.add_argument("--out", required=True, type=Path, help="file to write, mode 0600")

    address = commands.add_parser("address", help="print the ss58 address of a development URI")
    address.set_defaults(run=_address)
    address.add_argument("uri", help="such as //Validator")

    weights = commands.add_parser("show-weights", help="read weights back with the bittensor SDK")
    weights.set_defaults(run=_show_weights)
    weights.add_argument("--endpoint", default="ws://127.0.0.1:9944")
    weights.add_argument("--netuid", type=int, default=20)
    weights.add_argument("--json", action="store_true", help="one JSON list instead of a table")
    return parser


def _serve(options: argparse.Namespace) -> int:
    if not 0.01 <= options.seconds_per_block <= 3600:
        raise ValueError("--seconds-per-block must be between 0.01 and 3600")
    world = seed.load(options.seed_file) if options.seed_file else seed.Seed()
    changes = {name: getattr(options, name) for name in ("netuid", "tempo") if getattr(options, name) is not None}
    world = seed.Seed.model_validate({**world.model_dump(), **changes})
    node = ChainNode(world, milliseconds_per_block=round(options.seconds_per_block * 1000), clock=time.time)
    if not 1 <= options.endpoints <= 64:
        raise ValueError("--endpoints must be between 1 and 64")
    asyncio.run(_serve_node(node, options))
    return 0


async def _serve_node(node: ChainNode, options: argparse.Namespace) -> None:
    server = Server(node, endpoints=options.endpoints)
    loop = asyncio.get_running_loop()
    for name in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(name, server.stopping.set)
    admin = Admin(server, host=options.host, port=options.admin_port)
    started: asyncio.Future[int] = loop.create_future()
    started.add_done_callback(
        lambda bound: log.info(
            "subnet %d with %d neurons on ws port %d, admin on http port %d, a block every %g s",
            node.seed.netuid,
            node.subnet.size,
            bound.result(),
            admin.port,
            options.seconds_per_block,
        )
    )
    admin.start()
    try:
        await server.run(options.host, options.port, started=started)
    finally:
        admin.stop()
    log.info("stopped at block %d", node.blocks.head.number)


def _wallet(options: argparse.Namespace) -> int:
    content = keys.keyfile(options.uri)
    options.out.parent.mkdir(parents=True, exist_ok=True)
    with open(options.out, "wb", opener=lambda path, flags: os.open(path, flags, 0o600)) as file:
        file.write(content)
    print(keys.address(options.uri))
    return 0


def _address(options: argparse.Namespace) -> int:
    print(keys.address(options.uri))
    return 0


def _show_weights(options: argparse.Namespace) -> int:
    # Imported here: the SDK takes a third of a second to import, and the other commands do not need it.
    from bitagent_local.chain import readback

    rows = asyncio.run(readback.read_weights(options.endpoint, options.netuid))
    print(json.dumps([dataclasses.asdict(row) for row in rows]) if options.json else readback.table(rows))
    return 0


def main() -> int:
    """Run one command; mistakes of the caller end in one line, not in a traceback."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s", stream=sys.stderr)
    logging.getLogger("websockets").setLevel(logging.WARNING)
    options = arguments().parse_args()
    try:
        return int(options.run(options))
    except (ValueError, LookupError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
