"""The final files of an evaluation. Each is written whole, the summary last; equal answers give equal bytes, whatever attempts they took."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path

from bitagent_crds.evaluation import LossParameters, Scorer
from bitagent_crds.fields import PromptFormat
from bitagent_crds.jobs import EvaluateSummary
from bitagent_crds.minermodel import Engine
from bitagent_crds.results import Response, ResultsManifest, TaskSetManifest, Verdict
from bitagent_evaluator.runs.files import digest_of, write_atomically
from bitagent_evaluator.runs.journal import RESPONSES, Started, encode_line
from bitagent_evaluator.scoring import Aggregate

MANIFEST = "manifest.json"
VERDICTS = "verdicts.jsonl"
SUMMARY = "summary.json"
JUDGES = ("bitagent", "bfcl-eval", "numpy", "tree-sitter", "tree-sitter-java", "tree-sitter-javascript")
"""Packages that shape a verdict or an interval; those that shape an answer are the engine's."""


@dataclass(frozen=True)
class Provenance:
    """Where a result came from."""

    repo: str
    commit: str | None
    weights_digest: str | None
    task_set_digest: str
    task_set: TaskSetManifest | None
    prompt_format: PromptFormat
    syntaxes: tuple[str, ...]
    max_tokens: int
    choices: Engine
    dtype: str
    scorer: Scorer
    started: Started
    loss: LossParameters = field(default_factory=LossParameters)
    """How losses are measured, with scorer Loss."""


def write_results(
    directory: Path,
    provenance: Provenance,
    responses: Sequence[Response],
    verdicts: Sequence[Verdict],
    aggregate: Aggregate,
) -> str:
    """Write responses and verdicts (both in the order of the tasks) and the manifest; the manifest's digest."""
    answers = b"".join(encode_line(response) for response in responses)
    judged = b"".join(verdict.model_dump_json().encode() + b"\n" for verdict in verdicts)
    manifest = ResultsManifest(
        repo=provenance.repo,
        commit=provenance.commit,
        weights_digest=provenance.weights_digest,
        task_set_digest=provenance.task_set_digest,
        prompt_format=provenance.prompt_format,
        max_tokens=provenance.max_tokens,
        engine=provenance.started.arguments,
        choices=provenance.choices.to_wire(),
        packages=provenance.started.packages | {name: version(name) for name in JUDGES},
        device=" + ".join(provenance.started.devices),
        dtype=provenance.dtype,
        responses_digest=digest_of(answers),
        verdicts_digest=digest_of(judged),
        scorer=provenance.scorer,
        score=aggregate.score,
        interval=aggregate.interval,
        passed=aggregate.passed,
        total=aggregate.total,
        categories=aggregate.categories,
        leaderboard=dict(aggregate.leaderboard),
        loss=aggregate.loss,
        batch_losses=list(aggregate.batch_losses),
        loss_parameters=provenance.loss if provenance.scorer is Scorer.LOSS else None,
        syntaxes=list(provenance.syntaxes),
        task_set=provenance.task_set,
    )
    content = (manifest.model_dump_json(indent=2) + "\n").encode()
    write_atomically(directory / RESPONSES, answers)
    write_atomically(directory / VERDICTS, judged)
    write_atomically(directory / MANIFEST, content)
    return digest_of(content)


def is_fault(summary: EvaluateSummary) -> bool:
    """Whether it tells of a model's fault: a score that no result stands behind."""
    return summary.score is not None and summary.result_digest is None


def write_summary(directory: Path, summary: EvaluateSummary) -> None:
    """Write the summary. That of a model's fault takes the place of an earlier result, whose answers stay for another attempt."""
    directory.mkdir(parents=True, exist_ok=True)
    if is_fault(summary):
        for name in (MANIFEST, VERDICTS):
            (directory / name).unlink(missing_ok=True)
    text = summary.model_dump_json(by_alias=True, exclude_none=True, indent=2)
    write_atomically(directory / SUMMARY, (text + "\n").encode())
