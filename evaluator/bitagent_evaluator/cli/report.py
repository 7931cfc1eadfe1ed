"""`bitagent-eval report`: write results as one HTML page."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from bitagent_crds.jobs import EXIT_INFRASTRUCTURE, EXIT_OK, EXIT_USAGE
from bitagent_crds.plugins import PluginError
from bitagent_crds.task_set import Task
from bitagent_evaluator.cli.console import show, untrusted
from bitagent_evaluator.cli.process import fail
from bitagent_evaluator.evaluation.prompt_preview import preview_prompts
from bitagent_evaluator.models.digests import weights_digest
from bitagent_evaluator.reports.page import build_page, render
from bitagent_evaluator.reports.results import FaultResult, Results, ResultsError, read_outcome, read_tasks_of
from bitagent_evaluator.reports.task_list import IN_FULL, worst_first
from bitagent_evaluator.sandbox.process import SandboxUnavailable
from bitagent_evaluator.sandbox.protocol import Refused
from bitagent_evaluator.scoring.metric import metric_of
from bitagent_evaluator.support.faults import ModelFault
from bitagent_evaluator.support.files import write_atomically
from bitagent_evaluator.tasks.files import TaskSetError

_DESCRIPTION = "Write results as one HTML page that needs no network."
_EPILOG = "exit codes: 0 written, 2 unusable results or tasks, 1 the page cannot be written"


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="bitagent-eval report", description=_DESCRIPTION, epilog=_EPILOG)
    parser.add_argument(
        "results", type=Path, nargs="+", metavar="DIR", help="results directories; several make a leaderboard"
    )
    parser.add_argument(
        "--tasks", type=Path, metavar="DIR", help="their task set, to show prompts and expected answers"
    )
    parser.add_argument(
        "--model", type=Path, metavar="DIR",
        help=f"the model of the one results directory, to show the prompts of the {IN_FULL} worst tasks as it got them",
    )  # fmt: skip
    parser.add_argument("--out", type=Path, required=True, metavar="FILE", help="the page, such as report.html")
    parser.add_argument(
        "--failures",
        type=int,
        metavar="N",
        help="failed tasks to show per model (default: all; of losses the 50 highest)",
    )
    return parser


def main(argv: list[str]) -> int:
    """Write the page. Returns the exit code."""
    options = _parser().parse_args(argv)
    try:
        outcomes = [read_outcome(directory) for directory in options.results]
        several = [outcome for outcome in outcomes if isinstance(outcome, Results)]
        faults = [outcome for outcome in outcomes if isinstance(outcome, FaultResult)]
        known = [(one, read_tasks_of(options.tasks, one) if options.tasks else None) for one in several]
        if options.model is not None:
            known = [_with_prompts(known, options.model)]
        html = render(build_page(known, faults, failures=options.failures and max(0, options.failures)))
    except (ResultsError, TaskSetError, PluginError) as error:
        return fail("report", str(error), EXIT_USAGE)
    except ModelFault as fault:
        return fail("report", f"--model: {fault.reason}: {fault.message}", EXIT_USAGE)
    except SandboxUnavailable as error:
        return fail("report", str(error), EXIT_INFRASTRUCTURE)
    try:
        write_atomically(options.out, html.encode())
    except OSError as error:
        return fail("report", f"cannot write {options.out}: {error.strerror}", EXIT_INFRASTRUCTURE)
    show(untrusted(f"{options.out}: {len(outcomes)} results, {len(html.encode()):,} bytes"))
    return EXIT_OK


def _with_prompts(
    known: Sequence[tuple[Results, Mapping[str, Task] | None]], model: Path
) -> tuple[Results, Mapping[str, Task]]:
    """Return the one results with the prompts of the worst tasks. Raises ResultsError, ModelFault and PluginError."""
    results, tasks = known[0] if len(known) == 1 else (None, None)
    if results is None or tasks is None:
        raise ResultsError("--model needs --tasks and the results of one model, whose prompts are shown")
    manifest = results.manifest
    try:
        is_same = manifest.weights_digest == weights_digest(model)
    except (OSError, Refused) as error:
        raise ResultsError(f"--model {model} cannot be read: {error}") from error
    if not is_same:
        raise ResultsError(f"--model {model} has other weights than the model of {results.directory}")
    chosen = worst_first(results, metric_of(manifest.scorer, manifest.loss_parameters))[:IN_FULL]
    thinking = None if manifest.thinking is None else manifest.thinking.switch
    previews = preview_prompts(
        model, [tasks[verdict.id] for verdict in chosen], manifest.prompt_format, thinking=thinking
    )
    prompts = {verdict.id: preview.text or preview.refused for verdict, preview in zip(chosen, previews, strict=True)}
    return replace(results, prompts=prompts), tasks
