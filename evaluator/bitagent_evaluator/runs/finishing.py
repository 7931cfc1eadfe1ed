"""The end of a run, whatever asked: verdicts, score, and the files that say how they came about."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from bitagent_crds.results import Response, Task, Verdict
from bitagent_evaluator.runs.judging import Judging
from bitagent_evaluator.runs.results import Provenance, write_results
from bitagent_evaluator.scoring import Aggregate, aggregate
from bitagent_evaluator.scoring.judgement import printable

REFUSED = "prompt_refused"
"""Error of a task without a response because the model's template, or the endpoint, refused to take it."""


@dataclass(frozen=True)
class Finished:
    """Outcome of a run."""

    aggregate: Aggregate
    result_digest: str
    """Digest of the results' manifest."""


def finish(
    out_dir: Path,
    provenance: Provenance,
    tasks: Sequence[Task],
    responses: Mapping[str, Response],
    judging: Judging,
    *,
    refused: Mapping[str, str],
) -> Finished:
    """Judge what is not judged yet and write the results. `responses` are by the task's id, and so is why tasks were `refused`, which
    their verdicts tell. Raises InfrastructureFault.
    """
    ordered = [responses[task.id] for task in tasks if task.id in responses]
    verdicts = [_told(verdict, refused.get(verdict.id)) for verdict in judging.verdicts(ordered)]
    total = aggregate(verdicts, seed=provenance.task_set_digest, scorer=provenance.scorer, loss=provenance.loss)
    return Finished(total, write_results(out_dir, provenance, ordered, verdicts, total))


def _told(verdict: Verdict, refusal: str | None) -> Verdict:
    return verdict if refusal is None else verdict.model_copy(update={"error": REFUSED, "detail": printable(refusal)})
