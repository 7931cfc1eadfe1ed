"""The end of a run, on this machine or at an endpoint: verdicts, score, and the files of the results.

Each file is written atomically, the summary last. Equal answers give equal bytes, in however many attempts they were
generated.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from importlib.metadata import version
from pathlib import Path

from bitagent_crds.conditions import Reason
from bitagent_crds.evaluation import BuiltinScorer, RunSpec
from bitagent_crds.jobs import EvaluateSummary
from bitagent_crds.model_result import PhaseSeconds
from bitagent_crds.results import NoteKind, Response, ResultsManifest, Unanswered, Verdict, recorded
from bitagent_crds.task_set import Baseline, Task, TaskSetManifest
from bitagent_crds.texts import digest_of, score_text
from bitagent_evaluator.evaluation.answer_sketch import answer_sketch
from bitagent_evaluator.evaluation.budget import UnansweredTask
from bitagent_evaluator.evaluation.diagnosis import Evidence, diagnose
from bitagent_evaluator.evaluation.findings import RunFinding
from bitagent_evaluator.evaluation.journal import RESPONSES, Started, encode_line
from bitagent_evaluator.evaluation.scoring_pool import ScoringPool
from bitagent_evaluator.parsing import AnswerSyntax
from bitagent_evaluator.scoring.aggregate import Aggregate
from bitagent_evaluator.scoring.base import verdict_detail
from bitagent_evaluator.scoring.baseline import baseline
from bitagent_evaluator.scoring.kinds import with_kinds
from bitagent_evaluator.scoring.scorers import aggregate, score
from bitagent_evaluator.support.faults import ModelFault
from bitagent_evaluator.support.files import write_atomically

MANIFEST = "manifest.json"
VERDICTS = "verdicts.jsonl"
SUMMARY = "summary.json"
JUDGES = ("bitagent", "bfcl-eval", "numpy", "tree-sitter", "tree-sitter-java", "tree-sitter-javascript")
"""Packages that influence a verdict or an interval; the engine names those that influence an answer."""


@dataclass(frozen=True)
class Provenance:
    """Provenance of a result, besides its scores."""

    run: RunSpec
    """What was run, with the prompt format that was used."""
    task_set: TaskSetManifest | None
    """Manifest of the task set, if it has one."""
    syntaxes: tuple[str, ...]
    """Accepted answer syntaxes, in the order in which they are tried."""
    dtype: str
    """Number format in the engine."""
    started: Started
    notes: Mapping[NoteKind, Sequence[str]] = field(default_factory=dict)
    """What in the model's files is likely to cost a score."""


def write_results(
    directory: Path,
    provenance: Provenance,
    responses: Sequence[Response],
    verdicts: Sequence[Verdict],
    aggregate: Aggregate,
) -> str:
    """Write responses and verdicts (both in the order of the tasks) and the manifest; return the manifest's digest."""
    answers = b"".join(encode_line(response) for response in responses)
    judged = b"".join(verdict.model_dump_json().encode() + b"\n" for verdict in verdicts)
    manifest = ResultsManifest(
        **recorded(provenance.run),
        engine=provenance.started.arguments,
        packages=provenance.started.packages | {name: version(name) for name in JUDGES},
        device=" + ".join(provenance.started.devices),
        dtype=provenance.dtype,
        responses_digest=digest_of(answers),
        verdicts_digest=digest_of(judged),
        score=aggregate.score,
        interval=aggregate.interval,
        passed=aggregate.passed,
        total=aggregate.total,
        unanswered={cause.value: count for cause, count in count_unanswered(verdicts).items()},
        categories=aggregate.categories,
        leaderboard=dict(aggregate.leaderboard),
        kinds=dict(aggregate.kinds),
        baseline=aggregate.baseline,
        loss=aggregate.loss,
        batch_losses=list(aggregate.batch_losses),
        notes={kind: list(notes) for kind, notes in provenance.notes.items()},
        syntaxes=list(provenance.syntaxes),
        task_set=provenance.task_set,
    )
    content = (manifest.model_dump_json(indent=2) + "\n").encode()
    write_atomically(directory / RESPONSES, answers)
    write_atomically(directory / VERDICTS, judged)
    write_atomically(directory / MANIFEST, content)
    return digest_of(content)


def is_fault(summary: EvaluateSummary) -> bool:
    """Whether the summary reports a model's fault: it has a score without a result."""
    return summary.score is not None and summary.result_digest is None


def write_summary(directory: Path, summary: EvaluateSummary) -> None:
    """Write the summary. A model's fault removes an earlier result, but keeps its answers for another attempt."""
    directory.mkdir(parents=True, exist_ok=True)
    if is_fault(summary):
        for name in (MANIFEST, VERDICTS):
            (directory / name).unlink(missing_ok=True)
    text = summary.model_dump_json(by_alias=True, exclude_none=True, indent=2)
    write_atomically(directory / SUMMARY, (text + "\n").encode())


@dataclass(frozen=True)
class Finished:
    """Scores of a run, and its manifest's digest."""

    aggregate: Aggregate
    unanswered: Mapping[Unanswered, int]
    """Number of tasks without an answer that counts, by cause."""
    result_digest: str
    """Digest of the results' manifest."""
    answer_sketch: str | None
    """Sketch of the answers; None with losses."""
    findings: tuple[RunFinding, ...]
    """What cost the model its score apart from wrong calls."""


@dataclass(frozen=True)
class Evaluated:
    """Outcome of an evaluation, for its summary and for display."""

    run: RunSpec
    """What was run, with the prompt format that was used."""
    aggregate: Aggregate
    result_digest: str
    device: str
    resumed: int
    too_long: int
    """Number of tasks that were not asked because their prompt does not fit."""
    refused: Mapping[str, str]
    """Error message of the template or the endpoint for each task whose prompt it rejected, by the task's id."""
    seconds: PhaseSeconds
    """Of loading and generating, in all attempts that generated answers, and of scoring in this one."""
    unanswered: Mapping[Unanswered, int] = field(default_factory=dict)
    """Number of tasks without an answer that counts, by cause."""
    answer_sketch: str | None = None
    """Sketch of the answers; None with losses."""
    findings: tuple[RunFinding, ...] = ()
    """What cost the model its score apart from wrong calls."""


def finish(
    out_dir: Path,
    provenance: Provenance,
    tasks: Sequence[Task],
    responses: Mapping[str, Response],
    pool: ScoringPool,
    *,
    unanswered: Mapping[str, UnansweredTask],
) -> Finished:
    """Score the remaining responses and write the results. Raises InfrastructureFault if scoring is not possible.

    `responses` are those that count, `unanswered` says why others do not or why there is none; both by the task's id.
    """
    ordered = [responses[task.id] for task in tasks if task.id in responses]
    run = provenance.run
    # The pool may have scored answers that turned out not to count.
    missing = score([task for task in tasks if task.id in unanswered], [], scorer=run.scorer)
    failed = {verdict.id: _unanswered(verdict, unanswered[verdict.id]) for verdict in missing}
    verdicts = [failed.get(verdict.id, verdict) for verdict in pool.verdicts(ordered)]
    verdicts = with_kinds(verdicts, tasks, run.aggregate)
    total = aggregate(
        verdicts, seed=run.task_set_digest, scorer=run.scorer, loss=run.loss_parameters, aggregation=run.aggregate
    )
    total = replace(total, baseline=_baseline(provenance, tasks))
    evidence = Evidence(
        run.scorer,
        run.max_tokens,
        run.max_thought_tokens,
        syntaxes=[AnswerSyntax(name) for name in provenance.syntaxes],
        tasks={task.id: task for task in tasks},
        notes=provenance.notes,
    )
    return Finished(
        aggregate=total,
        unanswered=count_unanswered(verdicts),
        result_digest=write_results(out_dir, provenance, ordered, verdicts, total),
        answer_sketch=_sketch(provenance, tasks, ordered, verdicts),
        findings=diagnose(verdicts, {response.id: response for response in ordered}, evidence),
    )


def _sketch(
    provenance: Provenance, tasks: Sequence[Task], responses: Sequence[Response], verdicts: Sequence[Verdict]
) -> str | None:
    """Return the sketch of the answers; None with losses, where models give none."""
    run = provenance.run
    if run.scorer == BuiltinScorer.LOSS:
        return None
    return answer_sketch(
        {response.id: response for response in responses},
        verdicts,
        task_set_digest=run.task_set_digest,
        tasks={task.id: task for task in tasks},
        syntaxes=[AnswerSyntax(name) for name in provenance.syntaxes],
    )


def _baseline(provenance: Provenance, tasks: Sequence[Task]) -> Baseline | None:
    """Return the baseline of the task set's manifest if it is about this rule and these tasks, else compute it."""
    run, made = provenance.run, provenance.task_set
    known = made.baseline if made is not None and made.digest == run.task_set_digest else None
    measured = run.loss_parameters if run.scorer == BuiltinScorer.LOSS else None
    if known is not None and (known.scorer, known.aggregate, known.loss_parameters) == (
        run.scorer,
        run.aggregate,
        measured,
    ):
        return known
    return baseline(tasks, scorer=run.scorer, aggregation=run.aggregate, loss=measured)


def _unanswered(verdict: Verdict, why: UnansweredTask) -> Verdict:
    return verdict.model_copy(update={"error": why.cause.value, "detail": verdict_detail(why.detail)})


def count_unanswered(verdicts: Iterable[Verdict]) -> dict[Unanswered, int]:
    """Return the number of tasks without an answer that counts, by cause, in the order of the causes."""
    found = Counter(verdict.error for verdict in verdicts)
    return {cause: found[cause] for cause in Unanswered if found[cause]}


def summary_of(evaluated: Evaluated) -> EvaluateSummary:
    """Return the summary of a model that was evaluated."""
    total = evaluated.aggregate
    return EvaluateSummary(
        reason=Reason.EVALUATED,
        message=f"{total.in_words} with format {evaluated.run.prompt_format}{_unasked(evaluated)}",
        score=total.score,
        interval=list(total.interval) if total.interval is not None else None,
        passed=total.passed,
        total=total.total,
        loss=total.loss,
        batch_losses=list(total.batch_losses) or None,
        result_digest=evaluated.result_digest,
        answer_sketch=evaluated.answer_sketch,
        task_set_digest=evaluated.run.task_set_digest,
        resumed=evaluated.resumed,
        unanswered=dict(evaluated.unanswered) or None,
        seconds=evaluated.seconds,
        device=evaluated.device,
    )


def fault_summary(fault: ModelFault, *, task_set_digest: str) -> EvaluateSummary:
    """Return the summary of a model's fault: score 0, with reason and message."""
    return EvaluateSummary(
        reason=fault.reason, message=fault.message, score=score_text(0.0, 1), task_set_digest=task_set_digest
    )


BOUND_CAUSES = {
    Unanswered.PROMPT_TOO_LONG: "prompts were longer than the run allows",
    Unanswered.BUDGET_EXCEEDED: "tasks came after the model's budget of generated tokens was spent",
    Unanswered.TIME_EXCEEDED: "tasks were left when the model's time for generating was over",
}
"""Causes that the bounds of a run have, in words."""


def _unasked(evaluated: Evaluated) -> str:
    counts = ((evaluated.unanswered.get(cause, 0), text) for cause, text in BOUND_CAUSES.items())
    by_bound = "".join(f"; {count} {text}" for count, text in counts if count)
    too_long = f"; {evaluated.too_long} prompts were too long to ask" if evaluated.too_long else ""
    first = next(iter(evaluated.refused.items()), None)
    refused = f"; {len(evaluated.refused)} prompts were refused, such as {first[0]}: {first[1]}" if first else ""
    return by_bound + too_long + refused
