"""`bitagent-eval outcome`: end as one model of a pack did, once that is known; used in pods."""

from __future__ import annotations

import argparse
import signal
import sys
from pathlib import Path

from bitagent_evaluator.jobs.pack_outcomes import wait_for_outcome

_LOST, _NOT_BEGUN = 70, 71
"""`EXIT_PACK_LOST` and `EXIT_NOT_BEGUN` of `bitagent_crds.jobs`, whose import takes more memory than the waiting."""


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="bitagent-eval outcome",
        description="Wait for the outcome of one model of a pack; write it as termination message, end with its code.",
    )
    parser.add_argument("--key", required=True, help="key of the evaluation")
    parser.add_argument("--dir", type=Path, required=True, help="directory that the pod's containers share")
    parser.add_argument("--termination-log", type=Path, required=True, help="file for the message")
    return parser


def main(argv: list[str]) -> int:
    """Wait. Returns the exit code of the outcome."""
    options = _parser().parse_args(argv)
    # A pod that is stopped lets the engine's container say how far it is; this one ends after it.
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    outcome = wait_for_outcome(options.dir, options.key, lost=_LOST, not_begun=_NOT_BEGUN)
    options.termination_log.write_text(outcome.message)
    sys.stdout.write(outcome.message + "\n")
    return outcome.exit_code
