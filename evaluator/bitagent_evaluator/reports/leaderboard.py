"""The leaderboard of a report: several models side by side. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from bitagent_evaluator.reports.comparison import ComparisonFinding, compare
from bitagent_evaluator.reports.results import FaultResult, Results
from bitagent_evaluator.reports.rows import Row
from bitagent_evaluator.reports.section import FaultSection, Section
from bitagent_evaluator.reports.task_list import visible
from bitagent_evaluator.support.files import hex_digits

_GRAVE = 0.1
"""Share of the tasks from which a finding is shown on the leaderboard."""


@dataclass(frozen=True)
class Place:
    """One line of the leaderboard."""

    rank: int | None
    anchor: str
    """Identifier of the model's section."""
    row: Row
    loss: str
    """Mean loss; empty if none was measured."""
    tasks: str
    """First digits of the task set's digest; empty for a model at fault."""
    remark: str
    """Difference to the first place, if that has the same tasks; of a model at fault, the reason."""
    diagnosis: str
    """The gravest finding, if it is about a tenth of the tasks or more; empty otherwise."""
    categories: Sequence[Row | None]
    """In the order of the leaderboard's categories; None without such tasks."""


@dataclass(frozen=True)
class Leaderboard:
    """Several models side by side."""

    places: Sequence[Place]
    categories: Sequence[str]
    one_task_set: bool
    """Whether all results are about the same tasks, so that their scores can be compared."""


def leaderboard_of(
    ranked: Sequence[tuple[int | None, Results | FaultResult]], sections: Sequence[Section | FaultSection]
) -> Leaderboard:
    """Return the leaderboard of models by rank, each with its section."""
    results = [model for _, model in ranked if isinstance(model, Results)]
    categories = sorted({row.name for section in sections for row in section.categories})
    places: list[Place] = []
    for (rank, model), section in zip(ranked, sections, strict=True):
        manifest = model.manifest if isinstance(model, Results) else None
        rows = {row.name: row for row in section.categories}
        places.append(
            Place(
                rank=rank,
                anchor=section.anchor,
                row=section.overall,
                loss=(manifest and manifest.loss) or "",
                tasks=hex_digits(manifest.task_set_digest, 12) if manifest else "",
                remark=_difference(model, results[0]) if isinstance(model, Results) else visible(model.fault),
                categories=[rows.get(name) for name in categories],
                diagnosis=_gravest(section),
            )
        )
    one_task_set = len({model.manifest.task_set_digest for model in results}) <= 1
    return Leaderboard(places, categories, one_task_set)


def _difference(model: Results, first: Results) -> str:
    """Return how a model compares with the first place; empty for the first itself and for other tasks or scorers."""
    one, other = model.manifest, first.manifest
    if model is first or (one.task_set_digest, one.scorer) != (other.task_set_digest, other.scorer):
        return ""
    found = compare(model, first)
    name, scale, places = ("loss ", 1, 3) if found.metric.is_loss else ("", 100, 1)
    numbers = [
        f"{scale * number:+.{places}f}" for number in (found.overall.difference, *(found.overall.interval or ()))
    ]
    interval = f" ({' to '.join(numbers[1:])})" if found.overall.interval else ""
    remark = f", {found.finding}" if found.finding is ComparisonFinding.NO_DIFFERENCE else ""
    return f"{name}{numbers[0]}{interval}{remark}"


def _gravest(section: Section | FaultSection) -> str:
    findings = section.findings if isinstance(section, Section) else ()
    return next((finding.text for finding in findings if finding.share >= _GRAVE), "")
