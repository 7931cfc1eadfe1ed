"""`bitagent-eval job`: do what a Job document says, as the operator's pods do."""

from __future__ import annotations

import argparse
import logging
import os
import sys
from pathlib import Path

from bitagent_crds.jobs import EXIT_USAGE, JOB_FILE, TERMINATION_LOG
from bitagent_evaluator.jobs import logs, runner

_EPILOG = "exit codes: 0 done, 78 final (the model's or the document's fault), 2 wrong usage, anything else: try again"


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="bitagent-eval job", description=__doc__, epilog=_EPILOG)
    parser.add_argument("--file", type=Path, default=Path(JOB_FILE), help="the Job document (default: %(default)s)")
    parser.add_argument(
        "--termination-log",
        type=Path,
        default=Path(TERMINATION_LOG) if os.path.exists(TERMINATION_LOG) else None,
        help=f"file for the summary (default: {TERMINATION_LOG} where it exists); it is always printed too",
    )
    return parser


def main(argv: list[str]) -> int:
    """Run one Job; the exit code tells the operator whose fault a failure is."""
    options = _parser().parse_args(argv)
    logs.configure()
    try:
        document = options.file.read_bytes()
    except OSError as error:
        sys.stderr.write(f"bitagent-eval job: {options.file} cannot be read: {error.strerror}\n")
        return EXIT_USAGE
    outcome = runner.run(document)
    runner.report(outcome, options.termination_log)
    return leave(outcome.exit_code)


def leave(code: int) -> int:
    """End the process at once if an engine was loaded: its libraries take seconds to tear down and sometimes crash over it."""
    if "torch" not in sys.modules:
        return code
    logging.shutdown()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)
