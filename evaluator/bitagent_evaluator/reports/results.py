"""Results directories in memory: complete, unchanged, and of a version that this program can read.

`read_outcome` returns Results, or a FaultResult for a model that is at fault itself and has no results: a summary with
score 0 and the reason is all that it leaves. `results_of_fault` turns the latter into results in which every task
failed, so that it can be compared with another model task by task.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TypeVar

from pydantic import ValidationError

from bitagent_crds.evaluation import Aggregation
from bitagent_crds.jobs import EvaluateSummary
from bitagent_crds.model_result import PhaseSeconds
from bitagent_crds.ranking import MODEL_FAULT_SCORE
from bitagent_crds.results import CategoryScore, Response, ResultsManifest, Verdict
from bitagent_crds.schema import SCHEMA_VERSION, FileModel
from bitagent_crds.task_set import Task
from bitagent_crds.texts import digest_of, loss_text
from bitagent_evaluator.evaluation.journal import RESPONSES
from bitagent_evaluator.evaluation.results import MANIFEST, SUMMARY, VERDICTS, count_unanswered, is_fault
from bitagent_evaluator.evaluation.timeline import Timeline, read_timeline
from bitagent_evaluator.reports.names import model_name, without_folders
from bitagent_evaluator.scoring.metric import metric_of
from bitagent_evaluator.scoring.scorers import aggregate
from bitagent_evaluator.support.faults import first_error
from bitagent_evaluator.tasks.files import encode_tasks, read_tasks

_Line = TypeVar("_Line", bound=FileModel)


class ResultsError(Exception):
    """Results cannot be used; the message says which and why."""


@dataclass(frozen=True)
class Results:
    """One model's results."""

    directory: Path
    manifest: ResultsManifest
    verdicts: Sequence[Verdict]
    """In the order of the tasks, each with a score."""
    responses: Mapping[str, Response]
    """Responses by the task's id; a task that was not asked has none."""
    summary: EvaluateSummary | None
    """How the last attempt ended; None if the directory has no summary."""
    timeline: Timeline | None = None
    """Number of responses over time, in the last attempt; None if it was not written."""
    prompts: Mapping[str, str] = field(default_factory=dict)
    """Prompts of some tasks as the model got them, by the task's id; results have none, they are rendered again."""

    @property
    def name(self) -> str:
        """Name of the model, short enough for a table, and without the folder of a local one."""
        return model_name(self.manifest, self.directory)

    @property
    def seconds(self) -> PhaseSeconds | None:
        """Seconds per phase of the attempts that generated the answers; None if they are unknown.

        Summaries of earlier versions are about the last attempt, also if it generated nothing: then the timeline knows.
        """
        found = self.summary.seconds if self.summary else None
        if found is None or float(found.generate) or not self.responses:
            return found
        if self.timeline is None or len(self.timeline.seconds) < 2:
            return None
        first, last = self.timeline.seconds[0], self.timeline.seconds[-1]
        return found.model_copy(update={"load": f"{first:.3f}", "generate": f"{last - first:.3f}"})


@dataclass(frozen=True)
class FaultResult:
    """The result of a model that is at fault itself: score 0, and no answer to any task."""

    directory: Path
    summary: EvaluateSummary

    @property
    def name(self) -> str:
        """Name of the model, which is that of its results directory."""
        return self.directory.resolve().name

    @property
    def fault(self) -> str:
        """Reason for which the model was not asked, as text."""
        return f"{self.summary.reason}: {without_folders(self.summary.message)}"


def read_outcome(directory: Path) -> Results | FaultResult:
    """Read a results directory, or what a model at fault left there. Raises ResultsError as `read_results`."""
    summary = _read_summary(directory)
    return FaultResult(directory, summary) if summary is not None and is_fault(summary) else read_results(directory)


def read_results(directory: Path) -> Results:
    """Read a results directory. Raises ResultsError if it is incomplete, contradicts itself or is too new."""
    content = _read(directory, MANIFEST)
    try:
        manifest = ResultsManifest.model_validate_json(content)
    except ValidationError as error:
        raise ResultsError(f"{directory / MANIFEST} is not a results manifest: {first_error(error)}") from error
    if manifest.schema_version > SCHEMA_VERSION:
        raise ResultsError(
            f"{directory} was written by a newer version (schema {manifest.schema_version}, this one reads "
            f"{SCHEMA_VERSION}): upgrade"
        )
    verdicts = [_with_score(verdict) for verdict in _read_lines(directory, VERDICTS, Verdict, manifest.verdicts_digest)]
    _check_sums(directory, manifest, verdicts)
    responses = _read_lines(directory, RESPONSES, Response, manifest.responses_digest)
    by_id = {response.id: response for response in responses}
    return Results(directory, manifest, verdicts, by_id, _read_summary(directory), read_timeline(directory))


def _with_score(verdict: Verdict) -> Verdict:
    """Return the verdict with a score: those that were written before scores existed are 1 if passed, else 0."""
    if "score" in verdict.model_fields_set:
        return verdict
    return verdict.model_copy(update={"score": float(verdict.passed)})


def read_tasks_of(path: Path, results: Results) -> Mapping[str, Task]:
    """Read the tasks that the results are about, by id; of a run with `--limit`, the first tasks of the set.

    Raises TaskSetError, and ResultsError if the results are about other tasks.
    """
    tasks = read_tasks(path)[: results.manifest.total]
    digest = digest_of(encode_tasks(tasks))
    if digest != results.manifest.task_set_digest:
        raise ResultsError(
            f"{results.directory} is not about the tasks of {path}: it names {results.manifest.task_set_digest}, "
            f"these are {digest}"
        )
    known = {task.id: task for task in tasks}
    if unknown := next((verdict.id for verdict in results.verdicts if verdict.id not in known), None):
        raise ResultsError(f"{results.directory / VERDICTS} has a verdict on {unknown}, which is not a task of {path}")
    return known


def _check_sums(directory: Path, manifest: ResultsManifest, verdicts: Sequence[Verdict]) -> None:
    """Check that the manifest has the score and counts that follow from the verdicts. Raises ResultsError.

    Intervals are left out, because they also depend on the generator of random numbers.
    """
    if len({verdict.id for verdict in verdicts}) < len(verdicts):
        raise ResultsError(f"{directory / VERDICTS} has several verdicts on one task")
    how = manifest.aggregate or Aggregation.MEAN
    found = aggregate(verdicts, scorer=manifest.scorer, loss=manifest.loss_parameters, aggregation=how)
    sums: list[tuple[str, object, object]] = [
        ("score", manifest.score, found.score),
        ("passed", manifest.passed, found.passed),
        ("total", manifest.total, found.total),
        ("loss", manifest.loss, found.loss),
        ("categories", _counts(manifest.categories), _counts(found.categories)),
        ("kinds", _counts(manifest.kinds), _counts(found.kinds)),
    ]
    if manifest.loss_parameters is not None:
        sums.append(("batch_losses", tuple(manifest.batch_losses), found.batch_losses))
    if manifest.unanswered:
        counted = {cause.value: count for cause, count in count_unanswered(verdicts).items()}
        sums.append(("unanswered", dict(manifest.unanswered), counted))
    sums += [(name, value, found.leaderboard.get(name, value)) for name, value in manifest.leaderboard.items()]
    for name, value, computed in sums:
        if value != computed:
            raise ResultsError(
                f"{directory / MANIFEST} was changed: {name} is {value}, the verdicts come to {computed}"
            )


def _counts(categories: Mapping[str, CategoryScore]) -> dict[str, tuple[int, int]]:
    return {name: (entry.passed, entry.total) for name, entry in categories.items()}


def _read(directory: Path, name: str) -> bytes:
    try:
        return (directory / name).read_bytes()
    except OSError as error:
        raise ResultsError(f"{directory} holds no complete results: {error.filename}: {error.strerror}") from error


def _read_lines(directory: Path, name: str, model: type[_Line], digest: str) -> list[_Line]:
    content = _read(directory, name)
    if digest_of(content) != digest:
        raise ResultsError(
            f"{directory / name} was changed: its digest is {digest_of(content)}, the manifest says {digest}"
        )
    try:
        return [model.model_validate_json(line) for line in content.split(b"\n") if line]
    except ValidationError as error:
        raise ResultsError(f"{directory / name}: {first_error(error)}") from error


def _read_summary(directory: Path) -> EvaluateSummary | None:
    try:
        return EvaluateSummary.model_validate_json((directory / SUMMARY).read_bytes())
    except FileNotFoundError:
        return None
    except ValidationError as error:
        raise ResultsError(f"{directory / SUMMARY} cannot be read: {first_error(error)}") from error
    except OSError as error:
        raise ResultsError(f"{directory / SUMMARY} cannot be read: {error.strerror}") from error


def results_of_fault(fault: FaultResult, other: Results) -> Results:
    """Return the results of a model at fault on the tasks of `other`: all failed, with infinite losses for Loss.

    Raises ResultsError if the fault is about another task set.
    """
    digest = fault.summary.task_set_digest
    if digest is not None and digest != other.manifest.task_set_digest:
        raise ResultsError(
            f"{fault.directory} and {other.directory} are about different task sets ({digest}, "
            f"{other.manifest.task_set_digest}); run both models on one"
        )
    has_losses = metric_of(other.manifest.scorer).is_loss
    manifest = other.manifest.model_copy(
        update={
            "repo": fault.name,
            "commit": None,
            "score": MODEL_FAULT_SCORE,
            "passed": 0,
            "loss": loss_text(math.inf) if has_losses else None,
            "batch_losses": [loss_text(math.inf) for _ in other.manifest.batch_losses],
        }
    )
    verdicts = [
        Verdict(
            id=verdict.id,
            category=verdict.category,
            passed=False,
            error=fault.summary.reason,
            kind=verdict.kind,
            detail=fault.summary.message,
            loss=math.inf if has_losses else None,
        )
        for verdict in other.verdicts
    ]
    return replace(
        other, directory=fault.directory, manifest=manifest, verdicts=verdicts, responses={}, summary=fault.summary
    )
