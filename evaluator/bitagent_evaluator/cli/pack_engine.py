"""The process of a pack that has the engine, started by the handler of PackJob: the document comes on stdin."""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import sys
import threading
from typing import Any

from bitagent_crds.jobs import PackJob
from bitagent_evaluator.cli.process import configure_logging, leave
from bitagent_evaluator.engines.vllm import VllmBackend
from bitagent_evaluator.jobs.pack_engine import reporting_progress, run
from bitagent_evaluator.jobs.progress_server import serving
from bitagent_evaluator.jobs.runner import Stopped, stopping_on_sigterm
from bitagent_evaluator.support.progress import ProgressBoard


def main(argv: list[str] | None = None) -> int:
    """Evaluate models from `--first` on, and report on a pipe. Returns 0: outcomes are in the reports alone."""
    parser = argparse.ArgumentParser(prog="pack_engine")
    parser.add_argument("--first", type=int, required=True, help="number of the first model")
    parser.add_argument("--reports", type=int, required=True, help="file descriptor for the reports, a line each")
    options = parser.parse_args(argv)
    configure_logging(json_lines=True)
    job = PackJob.model_validate_json(sys.stdin.buffer.read())
    with os.fdopen(options.reports, "w", buffering=1) as pipe, stopping_on_sigterm(), contextlib.suppress(Stopped):
        writing = threading.Lock()

        def report(content: dict[str, Any]) -> None:
            with writing:
                pipe.write(json.dumps(content) + "\n")

        progress = ProgressBoard()
        with serving(progress), reporting_progress(progress, report):
            run(job, options.first, VllmBackend(several=True), report, progress)
    return leave(0)


if __name__ == "__main__":
    sys.exit(main())
