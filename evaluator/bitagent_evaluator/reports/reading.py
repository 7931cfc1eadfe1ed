"""A results directory in memory: whole, unchanged, and of a version that this program knows.

A model that was at fault itself leaves only a summary: a score of 0 and the reason.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from pydantic import ValidationError

from bitagent_crds.jobs import EvaluateSummary
from bitagent_crds.results import SCHEMA_VERSION, CategoryScore, FileModel, Response, ResultsManifest, Task, Verdict
from bitagent_evaluator.runs.files import digest_of
from bitagent_evaluator.runs.journal import RESPONSES
from bitagent_evaluator.runs.results import MANIFEST, SUMMARY, VERDICTS, is_fault
from bitagent_evaluator.runs.timeline import Timeline, read_timeline
from bitagent_evaluator.scoring import aggregate
from bitagent_evaluator.tasks import read_tasks
from bitagent_evaluator.tasks.files import encode_tasks

_Line = TypeVar("_Line", bound=FileModel)


class ResultsError(Exception):
    """The results cannot be used; the text says which and why."""


@dataclass(frozen=True)
class Results:
    """One model's results."""

    directory: Path
    manifest: ResultsManifest
    verdicts: Sequence[Verdict]
    """In the order of the tasks."""
    responses: Mapping[str, Response]
    """Answers by the task's id; a task that was not asked has none."""
    summary: EvaluateSummary | None
    """Where the time went; None when the directory has no summary."""
    timeline: Timeline | None = None
    """When answers came, in the last attempt; None when that was not written."""

    @property
    def name(self) -> str:
        """The model, short enough for a table."""
        commit = f"@{self.manifest.commit[:8]}" if self.manifest.commit else ""
        return self.manifest.repo + commit

    @property
    def fault(self) -> str:
        """Why the model has no answers, for people; empty when it was asked."""
        return Fault(self.directory, self.summary).fault if self.summary and is_fault(self.summary) else ""


@dataclass(frozen=True)
class Fault:
    """What stands in the place of results when the model was at fault itself: score 0, without an answer to any task."""

    directory: Path
    summary: EvaluateSummary

    @property
    def name(self) -> str:
        """The model; its results directory has its name."""
        return self.directory.resolve().name

    @property
    def fault(self) -> str:
        """Why it has no answers, for people."""
        return f"{self.summary.reason}: {self.summary.message}"


def read_outcome(directory: Path) -> Results | Fault:
    """Read a results directory, of whatever end. Raises ResultsError as `read_results`."""
    summary = _summary(directory)
    return Fault(directory, summary) if summary is not None and is_fault(summary) else read_results(directory)


def task_score(verdict: Verdict) -> float:
    """A task's share of the score. Verdicts from before scores were written pass or fail."""
    return verdict.score if "score" in verdict.model_fields_set else float(verdict.passed)


def read_results(directory: Path) -> Results:
    """Read a results directory. Raises ResultsError when it is incomplete, contradicts itself or is too new."""
    manifest_bytes = _read(directory, MANIFEST)
    try:
        manifest = ResultsManifest.model_validate_json(manifest_bytes)
    except ValidationError as error:
        raise ResultsError(f"{directory / MANIFEST} is not a results manifest: {_first(error)}") from error
    if manifest.schema_version > SCHEMA_VERSION:
        message = f"{directory} was written by a newer version (schema {manifest.schema_version}, this one reads {SCHEMA_VERSION}): upgrade"
        raise ResultsError(message)
    verdicts = _lines(directory, VERDICTS, Verdict, manifest.verdicts_digest)
    _check_sums(directory, manifest, verdicts)
    responses = _lines(directory, RESPONSES, Response, manifest.responses_digest)
    by_id = {response.id: response for response in responses}
    return Results(directory, manifest, verdicts, by_id, _summary(directory), read_timeline(directory))


def read_tasks_of(path: Path, results: Results) -> Mapping[str, Task]:
    """The tasks that the results are about, by id. Raises TaskSetError, and ResultsError when they are others.

    A run with `--limit` is about the first tasks of a set.
    """
    tasks = read_tasks(path)[: results.manifest.total]
    digest = digest_of(encode_tasks(tasks))
    if digest != results.manifest.task_set_digest:
        message = f"{results.directory} is not about the tasks of {path}: it names {results.manifest.task_set_digest}, these are {digest}"
        raise ResultsError(message)
    known = {task.id: task for task in tasks}
    if foreign := next((verdict.id for verdict in results.verdicts if verdict.id not in known), None):
        raise ResultsError(f"{results.directory / VERDICTS} has a verdict on {foreign}, which is no task of {path}")
    return known


def _check_sums(directory: Path, manifest: ResultsManifest, verdicts: Sequence[Verdict]) -> None:
    """What a manifest says of its verdicts must follow from them: a score is worth no more than what stands behind it. Raises ResultsError.

    Intervals are left out, because they depend on the generator of random numbers, too.
    """
    if len({verdict.id for verdict in verdicts}) < len(verdicts):
        raise ResultsError(f"{directory / VERDICTS} has several verdicts on one task")
    scored = [verdict.model_copy(update={"score": task_score(verdict)}) for verdict in verdicts]
    found = aggregate(scored, scorer=manifest.scorer, loss=manifest.loss_parameters)
    sums: list[tuple[str, object, object]] = [
        ("score", manifest.score, found.score),
        ("passed", manifest.passed, found.passed),
        ("total", manifest.total, found.total),
        ("loss", manifest.loss, found.loss),
        ("categories", _counts(manifest.categories), _counts(found.categories)),
    ]
    if manifest.loss_parameters is not None:
        sums.append(("batch_losses", tuple(manifest.batch_losses), found.batch_losses))
    sums += [(name, told, found.leaderboard.get(name, told)) for name, told in manifest.leaderboard.items()]
    for name, told, follows in sums:
        if told != follows:
            raise ResultsError(f"{directory / MANIFEST} was changed: {name} is {told}, the verdicts come to {follows}")


def _counts(categories: Mapping[str, CategoryScore]) -> dict[str, tuple[int, int]]:
    return {name: (entry.passed, entry.total) for name, entry in categories.items()}


def _read(directory: Path, name: str) -> bytes:
    try:
        return (directory / name).read_bytes()
    except OSError as error:
        raise ResultsError(f"{directory} holds no complete results: {error.filename}: {error.strerror}") from error


def _lines(directory: Path, name: str, kind: type[_Line], digest: str) -> list[_Line]:
    content = _read(directory, name)
    if digest_of(content) != digest:
        raise ResultsError(
            f"{directory / name} was changed: its digest is {digest_of(content)}, the manifest says {digest}"
        )
    try:
        return [kind.model_validate_json(line) for line in content.split(b"\n") if line]
    except ValidationError as error:
        raise ResultsError(f"{directory / name}: {_first(error)}") from error


def _summary(directory: Path) -> EvaluateSummary | None:
    try:
        return EvaluateSummary.model_validate_json((directory / SUMMARY).read_bytes())
    except FileNotFoundError:
        return None
    except (OSError, ValidationError) as error:
        raise ResultsError(f"{directory / SUMMARY} cannot be read: {error}") from error


def _first(error: ValidationError) -> str:
    found = error.errors(include_url=False)[0]
    where = ".".join(str(part) for part in found["loc"])
    return f"{where}: {found['msg']}" if where else found["msg"]
