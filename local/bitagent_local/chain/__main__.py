"""``python -m bitagent_local.chain``: serve the simulated chain, make a subnet, change a running one, read weights."""

from __future__ import annotations

import argparse
import asyncio
import dataclasses
import json
import logging
import signal
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

from bitagent_local.chain import keys, seed, subnets
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
    _serving(serve)
    serve.add_argument("--seed-file", type=Path, help="YAML or JSON; by default an empty subnet")

    subnet = commands.add_parser("subnet", help="write wallets and seed of a subnet, and run its chain until SIGTERM")
    subnet.set_defaults(run=_subnet)
    _serving(subnet)
    subnet.add_argument("--validators", type=int, default=1, help="default %(default)s")
    subnet.add_argument("--miners", type=int, default=3, help="default %(default)s")
    subnet.add_argument("--folder", type=Path, required=True, help="for wallets and seed.json")
    subnet.add_argument(
        "--stake", type=Decimal, default=Decimal(10_000), help="of each validator (default %(default)s)"
    )
    subnet.add_argument(
        "--balance", type=Decimal, default=Decimal(100), help="TAO of each coldkey (default %(default)s)"
    )
    subnet.add_argument("--axons", help="address and first port of the miners' axons, such as 10.0.0.1:9100")
    subnet.add_argument("--sealed", action="store_true", help="weights are sealed commits")
    subnet.add_argument("--set", action="append", default=[], metavar="RULE=VALUE", help="a hyperparameter of the seed")
    subnet.add_argument("--write-only", action="store_true", help="do not run the chain")

    admin = commands.add_parser("admin", help="change a running chain: faults, neurons, reorg, ... (see admin.py)")
    admin.set_defaults(run=_admin)
    admin.add_argument("verb", help="such as faults, hyperparameters, replace, state")
    admin.add_argument("fields", nargs="*", metavar="FIELD=VALUE", help="values are JSON, or text")
    admin.add_argument("--admin-url", default="http://127.0.0.1:9945", help="default %(default)s")

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


def _serving(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--host", default="0.0.0.0")
    parser.add_argument("--port", type=int, default=9944, help="websocket (default %(default)s; 0 for a free one)")
    parser.add_argument("--admin-port", type=int, default=9945, help="HTTP for tests (default %(default)s)")
    parser.add_argument("--endpoints", type=int, default=1, help="nodes, on this port and those after it")
    parser.add_argument(
        "--seconds-per-block", type=float, default=12.0, help="default %(default)s, as on the real chain"
    )
    parser.add_argument("--netuid", type=int, help="replaces the seed file's")
    parser.add_argument("--tempo", type=int, help="replaces the seed file's; in blocks")


def _serve(options: argparse.Namespace) -> int:
    return _run(seed.load(options.seed_file) if options.seed_file else seed.Seed(), options)


def _subnet(options: argparse.Namespace) -> int:
    rules = _fields(options.set) | ({"commit_reveal_weights_enabled": True} if options.sealed else {})
    world = _changed(
        subnets.seed(
            options.validators,
            options.miners,
            stake=options.stake,
            balance=options.balance,
            axons=options.axons,
            hyperparameters=rules,
        ),
        options,
    )
    crew = subnets.members(options.validators, options.miners)
    subnets.write(options.folder, world, crew)
    print(subnets.table(crew, options.folder))
    return 0 if options.write_only else _run(world, options)


def _admin(options: argparse.Namespace) -> int:
    body = json.dumps(_fields(options.fields)).encode()
    reading = options.verb in ("state", "healthz")
    url = f"{options.admin_url.rstrip('/')}/{options.verb}"
    request = urllib.request.Request(url, data=None if reading else body, method="GET" if reading else "POST")
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            print(json.dumps(json.load(answer), indent=2))
    except urllib.error.HTTPError as error:
        raise ValueError(json.load(error).get("error", str(error))) from error
    return 0


def _fields(assignments: list[str]) -> dict[str, Any]:
    """Return FIELD=VALUE arguments as a dictionary. Raises ValueError if one has no equals sign."""
    found: dict[str, Any] = {}
    for assignment in assignments:
        name, equals, value = assignment.partition("=")
        if not equals:
            raise ValueError(f"{assignment!r} is not of the form FIELD=VALUE")
        try:
            found[name] = json.loads(value)
        except ValueError:
            found[name] = value
    return found


def _changed(world: seed.Seed, options: argparse.Namespace) -> seed.Seed:
    changes = {name: getattr(options, name) for name in ("netuid", "tempo") if getattr(options, name) is not None}
    return seed.Seed.model_validate({**world.model_dump(), **changes})


def _run(world: seed.Seed, options: argparse.Namespace) -> int:
    if not 0.01 <= options.seconds_per_block <= 3600:
        raise ValueError("--seconds-per-block must be between 0.01 and 3600")
    if not 1 <= options.endpoints <= 64:
        raise ValueError("--endpoints must be between 1 and 64")
    node = ChainNode(
        _changed(world, options), milliseconds_per_block=round(options.seconds_per_block * 1000), clock=time.time
    )
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
    keys.write_private(options.out, content)
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


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command, by default the process's own; mistakes of the caller end in one line, not in a traceback."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s", stream=sys.stderr)
    logging.getLogger("websockets").setLevel(logging.WARNING)
    options = arguments().parse_args(argv)
    try:
        return int(options.run(options))
    except (ValueError, LookupError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
