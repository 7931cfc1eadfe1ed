"""`bitagent-validator run`: the process in the validator's pod."""

from __future__ import annotations

import argparse
import asyncio
import logging
import os
import socket
import sys
from collections.abc import Sequence
from pathlib import Path

from bitagent_validator import logs
from bitagent_validator.kube import ApiError
from bitagent_validator.lease import LeaseLost
from bitagent_validator.loop import SpecChanged
from bitagent_validator.run import Settings, run
from bitagent_validator.wallet import DEFAULT_FILE, WalletError

log = logging.getLogger("bitagent_validator")


def arguments() -> argparse.ArgumentParser:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="bitagent-validator", description="The pod of a Validator: rounds and weights."
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND", dest="command")
    run_ = commands.add_parser("run", help="run the validator until SIGTERM")
    run_.add_argument("--name", required=True, help="the Validator object")
    run_.add_argument("--namespace", required=True, help="its namespace")
    run_.add_argument(
        "--hotkey-file",
        type=Path,
        default=Path(os.environ.get("BITAGENT_HOTKEY_FILE", DEFAULT_FILE)),
        help="the hotkey file, unencrypted (default %(default)s, or BITAGENT_HOTKEY_FILE)",
    )
    run_.add_argument(
        "--identity", default=socket.gethostname(), help="this process in the Lease (default: the pod's name)"
    )
    run_.add_argument("--health-port", type=int, default=8080, help="/healthz and /readyz (default %(default)s)")
    run_.add_argument("--metrics-port", type=int, default=9090, help="/metrics (default %(default)s)")
    run_.add_argument(
        "--stall-seconds",
        type=float,
        help="take a chain that finalises nothing for so long for dead (default: 15 blocks)",
    )
    run_.add_argument(
        "--log-format",
        choices=("json", "text"),
        default="text" if sys.stderr.isatty() else "json",
        help="of standard error",
    )
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit status."""
    options = arguments().parse_args(argv)
    logs.configure(json_lines=options.log_format == "json")
    settings = Settings(
        name=options.name,
        namespace=options.namespace,
        hotkey_file=options.hotkey_file,
        identity=options.identity,
        health_port=options.health_port,
        metrics_port=options.metrics_port,
        stall_seconds=options.stall_seconds,
    )
    status = 0
    try:
        asyncio.run(run(settings))
    except* (WalletError, ApiError, LeaseLost) as group:
        status = 1
        for error in group.exceptions:
            log.error("%s", error)
    except* SpecChanged as group:
        log.info("%s: ending, to be started anew", group.exceptions[0])
    return status


if __name__ == "__main__":
    sys.exit(main())
