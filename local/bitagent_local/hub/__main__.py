"""``python -m bitagent_local.hub``: build the hub's folders and serve them."""

from __future__ import annotations

import argparse
import logging
import os
import signal
import sys
import threading
from pathlib import Path

from bitagent_local.hub import pack, repository
from bitagent_local.hub.answers import Hub
from bitagent_local.hub.server import HubServer

log = logging.getLogger("bitagent_local.hub")

TOKENS_VARIABLE, GRANTED_VARIABLE = "HUB_TOKENS", "HUB_GRANTED_TOKENS"
"""Variables with comma-separated tokens: all valid ones, and those with access to gated repositories."""


def arguments() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    parser = argparse.ArgumentParser(prog="python -m bitagent_local.hub", description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    serve = commands.add_parser("serve", help="serve a folder of repositories until SIGTERM")
    serve.set_defaults(run=_serve)
    serve.add_argument("--host", default="0.0.0.0")
    serve.add_argument("--port", type=int, default=8080, help="default %(default)s; 0 for a free one")
    serve.add_argument("--root", type=Path, required=True, help="folder of repositories, as made by pack")
    serve.add_argument(
        "--pack", type=Path, action="append", default=[], metavar="LIST", help="pack this list into the root first"
    )

    packing = commands.add_parser("pack", help="build a folder of repositories from a list")
    packing.set_defaults(run=_pack)
    packing.add_argument("--root", type=Path, required=True, help="folder to build in")
    packing.add_argument(
        "lists", type=Path, nargs="+", metavar="LIST", help="YAML, such as local/models/repositories.yaml"
    )
    return parser


def _pack(options: argparse.Namespace) -> int:
    for listed in options.lists:
        for repo, commit in _packed(listed, options.root).items():
            print(f"{repo} {commit}")
    return 0


def _packed(listed: Path, root: Path) -> dict[str, str]:
    return pack.pack(pack.load(listed), folders=listed.parent, root=root)


def _serve(options: argparse.Namespace) -> int:
    for listed in options.pack:
        _packed(listed, options.root)
    names = [found.name for kind in repository.KINDS for found in repository.every(options.root, kind=kind)]
    if not names:
        raise ValueError(f"{options.root} holds no repositories; make some with `python -m bitagent_local.hub pack`")
    tokens, granted = (
        frozenset(token for token in os.environ.get(name, "").split(",") if token)
        for name in (TOKENS_VARIABLE, GRANTED_VARIABLE)
    )
    server = HubServer(Hub(options.root, tokens, granted), host=options.host, port=options.port)
    for name in (signal.SIGTERM, signal.SIGINT):
        # shutdown() waits for the loop that this handler interrupts, so it must not run here.
        signal.signal(name, lambda *_: threading.Thread(target=server.shutdown).start())
    log.info("%d repositories on http port %d: %s", len(names), server.port, ", ".join(names))
    with server:
        server.serve_forever(poll_interval=0.1)
    log.info("stopped")
    return 0


def main() -> int:
    """Run one command; mistakes of the caller end in one line, not in a traceback."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s", stream=sys.stderr)
    options = arguments().parse_args()
    try:
        return int(options.run(options))
    except (ValueError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
