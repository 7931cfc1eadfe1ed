"""The `bitagent-validator` command: `run` is the process in the validator's pod, the other verbs change nothing."""

from __future__ import annotations

import argparse
import asyncio
import logging
import os
import socket
import sys
from collections.abc import Sequence
from pathlib import Path

from bitagent_kube import logging as kube_logging
from bitagent_kube.errors import ApiError
from bitagent_kube.lease import LeaseLost
from bitagent_validator.chain.endpoints import ENDPOINTS_FILE
from bitagent_validator.competitions.seed_secrets import SEEDS_DIR
from bitagent_validator.explanation import explain, row
from bitagent_validator.explanation.printing import print_findings, print_history, print_plan, print_row, replay_files
from bitagent_validator.online.examiner import SOCKET
from bitagent_validator.online.transcripts import DIRECTORY
from bitagent_validator.running.checks import MustRestart
from bitagent_validator.running.process import Settings, run
from bitagent_validator.weights.setter import HotkeyChanged
from bitagent_wire.hotkey_file import DEFAULT_FILE, HotkeyFileError
from bitagent_wire.redaction import RedactedLogs

log = logging.getLogger("bitagent_validator")


def arguments() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
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
        "--seeds-dir",
        type=Path,
        default=SEEDS_DIR,
        help="folder of the keys of tasks.secretRef, a file for each competition (default %(default)s)",
    )
    run_.add_argument(
        "--endpoints-file",
        type=Path,
        default=ENDPOINTS_FILE,
        help="file of chain.endpointsSecretRef, one endpoint a line (default %(default)s)",
    )
    run_.add_argument(
        "--transcripts-dir",
        type=Path,
        default=DIRECTORY,
        help="folder of the transcripts of online evaluation (default %(default)s)",
    )
    run_.add_argument(
        "--examiner-socket",
        type=Path,
        default=SOCKET,
        help="socket of the examiner, which gives tasks and scores (default %(default)s)",
    )
    run_.add_argument(
        "--identity", default=socket.gethostname(), help="name of this process in the Lease (default: the pod's name)"
    )
    run_.add_argument(
        "--health-port", type=int, default=8080, help="port of /healthz and /readyz (default %(default)s)"
    )
    run_.add_argument("--metrics-port", type=int, default=9090, help="port of /metrics (default %(default)s)")
    run_.add_argument(
        "--stall-seconds",
        type=float,
        help="time without a finalised block after which the chain counts as stalled (default: 15 block times)",
    )
    run_.add_argument(
        "--log-format",
        choices=("json", "text"),
        default="text" if kube_logging.on_terminal() else "json",
        help="format of standard error (default: text on a terminal, else json)",
    )
    policy_ = commands.add_parser("policy", help="compute recorded cases of a reference implementation again")
    policy_.add_argument(
        "--replay",
        nargs=2,
        type=Path,
        required=True,
        metavar=("IN", "OUT"),
        help="file of cases, one JSON object a line (kind iswin, steps or dup), and file for the results",
    )
    weights = commands.add_parser("weights", help="look at the weights").add_subparsers(required=True, metavar="VERB")
    plan_ = weights.add_parser(
        "plan", help="what each hotkey would earn now: score, rank, share, or why nothing; sets nothing"
    )
    row_ = weights.add_parser(
        "row", help="each weight that would be set now: what it comes from, and what the chain holds; sets nothing"
    )
    history_ = weights.add_parser("history", help="the last settings of weights that the chain accepted")
    doctor_ = commands.add_parser("doctor", help="what keeps a Validator from setting weights; changes nothing")
    for each in (plan_, row_, history_, doctor_):
        each.add_argument("--name", required=True, help="the Validator object")
        each.add_argument("--namespace", required=True, help="its namespace")
    for each in (plan_, row_):
        each.add_argument("--json", action="store_true", help="one JSON object a line")
    doctor_.add_argument("--hotkey-file", type=Path, help="a hotkey file to check as well")
    doctor_.add_argument(
        "--endpoints-file",
        type=Path,
        default=ENDPOINTS_FILE,
        help="file of chain.endpointsSecretRef (default %(default)s)",
    )
    plan_.set_defaults(verb="plan")
    row_.set_defaults(verb="row")
    history_.set_defaults(verb="history")
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; return the exit status."""
    options = arguments().parse_args(argv)
    if options.command == "policy":
        cases, results = options.replay
        return replay_files(cases, results=results)
    if options.command == "doctor":
        return asyncio.run(
            print_findings(
                options.name,
                namespace=options.namespace,
                hotkey_file=options.hotkey_file,
                endpoints_file=options.endpoints_file,
            )
        )
    if options.command == "weights" and options.verb == "history":
        return asyncio.run(print_history(options.name, namespace=options.namespace))
    if options.command == "weights" and options.verb == "row":
        as_rows = row.as_json if options.json else row.as_table
        return asyncio.run(print_row(options.name, namespace=options.namespace, as_lines=as_rows))
    if options.command == "weights":
        as_lines = explain.as_json if options.json else explain.as_table
        return asyncio.run(print_plan(options.name, namespace=options.namespace, as_lines=as_lines))
    # The SDK's transport logs every reconnect in detail; the follower logs it once.
    kube_logging.configure(json_lines=options.log_format == "json", levels={"bittensor": logging.ERROR})
    for handler in logging.getLogger().handlers:
        handler.addFilter(RedactedLogs())
    settings = Settings(
        name=options.name,
        namespace=options.namespace,
        hotkey_file=options.hotkey_file,
        identity=options.identity,
        seeds_dir=options.seeds_dir,
        endpoints_file=options.endpoints_file,
        transcripts_dir=options.transcripts_dir,
        examiner_socket=options.examiner_socket,
        health_port=options.health_port,
        metrics_port=options.metrics_port,
        stall_seconds=options.stall_seconds,
    )
    status = 0
    try:
        asyncio.run(run(settings))
    except* (HotkeyFileError, ApiError, LeaseLost) as group:
        status = 1
        for error in group.exceptions:
            log.error("%s", error)
    except* (MustRestart, HotkeyChanged) as group:
        log.info("%s: ending, to be restarted", group.exceptions[0])
    return status


if __name__ == "__main__":
    sys.exit(main())
