"""`bitagent-eval job`: do what a Job document says, as in the operator's pods."""

from __future__ import annotations

import argparse
import os
from pathlib import Path

from bitagent_crds.jobs import EXIT_USAGE, JOB_FILE, TERMINATION_LOG, exit_code
from bitagent_evaluator.cli.process import configure_logging, fail, leave
from bitagent_evaluator.jobs import runner

_DESCRIPTION = "Do what a Job document says, as in the operator's pods."
_EPILOG = (
    "exit codes: 0 done, 78 final (the model or the document is at fault), 2 wrong usage, anything else: try again"
)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="bitagent-eval job", description=_DESCRIPTION, epilog=_EPILOG)
    parser.add_argument("--file", type=Path, default=Path(JOB_FILE), help="the Job document (default: %(default)s)")
    parser.add_argument(
        "--termination-log",
        type=Path,
        default=Path(TERMINATION_LOG) if os.path.exists(TERMINATION_LOG) else None,
        help=f"file for the summary (default: {TERMINATION_LOG} if it exists); it is always printed too",
    )
    return parser


def main(argv: list[str]) -> int:
    """Run one Job. Returns the exit code, by which the operator knows whose fault a failure is."""
    options = _parser().parse_args(argv)
    configure_logging()
    try:
        document = options.file.read_bytes()
    except OSError as error:
        return fail("job", f"{options.file} cannot be read: {error.strerror}", EXIT_USAGE)
    summary = runner.run(document)
    runner.report(summary, options.termination_log)
    return leave(exit_code(summary.reason))
