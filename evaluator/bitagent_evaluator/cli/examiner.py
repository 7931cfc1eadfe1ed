"""`bitagent-eval examiner`: give a validator tasks for its miners and verdicts on their answers, as in its pod."""

from __future__ import annotations

import argparse
import asyncio
import logging
import os
import signal
import socket
from pathlib import Path

from bitagent_crds.examiner import EXAMINER_SOCKET
from bitagent_crds.names import ARTIFACTS_MOUNT
from bitagent_evaluator.cli.process import configure_logging, fail
from bitagent_evaluator.examiner.server import Examiner, keep_orphans, listen, serve
from bitagent_evaluator.examiner.verdicts import Scorers

_DESCRIPTION = "Draw tasks of a validator's pools and score answers to them, over a Unix socket (used in pods)."
_EPILOG = "It holds no key and needs no network. Messages are lines of JSON: see bitagent_crds/examiner.py."


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="bitagent-eval examiner", description=_DESCRIPTION, epilog=_EPILOG)
    parser.add_argument(
        "--socket", type=Path, default=Path(EXAMINER_SOCKET), help="path of the socket (default: %(default)s)"
    )
    parser.add_argument(
        "--artifacts",
        type=Path,
        default=Path(ARTIFACTS_MOUNT),
        help="root of the artifact volume, which has rounds/UID/tasks/tasks.jsonl (default: %(default)s)",
    )
    return parser


def main(argv: list[str]) -> int:
    """Serve until stopped, and end the process. Returns an exit code only if the socket cannot be made."""
    options = _parser().parse_args(argv)
    configure_logging()
    keep_orphans()
    try:
        listener = listen(options.socket)
    except OSError as error:
        return fail("examiner", f"{options.socket}: {error.strerror or error}", 1)
    with Scorers() as scorers:
        asyncio.run(_run(listener, Examiner(options.artifacts, scorers)))
    options.socket.unlink(missing_ok=True)
    logging.shutdown()
    os._exit(0)  # threads that wait for a scorer would be waited for


async def _run(listener: socket.socket, examiner: Examiner) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    await serve(listener, examiner, stop)
