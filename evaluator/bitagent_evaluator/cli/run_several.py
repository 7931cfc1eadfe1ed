"""Several models in one run: order of evaluation, result directories, ranks, and the exit code of all together."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from rich.table import Table

from bitagent_crds.conditions import Reason
from bitagent_crds.jobs import EXIT_MODEL_FAULT, EXIT_OK, EvaluateSummary
from bitagent_crds.jobs import exit_code as exit_code_of
from bitagent_evaluator.cli.console import untrusted
from bitagent_evaluator.cli.run_models import GivenModel
from bitagent_evaluator.cli.score_views import baseline_text, interval_text
from bitagent_evaluator.engines.swap import architecture_family
from bitagent_evaluator.evaluation.results import Evaluated
from bitagent_evaluator.models.validation.files import CONFIG, SMALL_FILES, parse_object
from bitagent_evaluator.reports.comparison import by_rank
from bitagent_evaluator.sandbox.protocol import Refused

_M = TypeVar("_M")


@dataclass(frozen=True)
class ModelOutcome:
    """How one model's evaluation ended."""

    name: str
    out: Path
    """Directory of its results."""
    summary: EvaluateSummary
    evaluated: Evaluated | None
    """None if there is no result."""

    @property
    def exit_code(self) -> int:
        """The exit code of a run of this model alone."""
        return exit_code_of(self.summary.reason)


class NameTaken(ValueError):
    """Two models would write their results to the same directory."""


def result_directories(models: Sequence[GivenModel], parent: Path) -> dict[GivenModel, Path]:
    """Return a directory for each model's results, which has its name. Raises NameTaken."""
    taken: dict[str, GivenModel] = {}
    for model in models:
        name = model.folder_name
        if name in taken:
            raise NameTaken(
                f"{taken[name].text} and {model.text} would both write to {parent / name}: "
                "run them one by one with --out"
            )
        taken[name] = model
    return {model: parent / name for name, model in taken.items()}


def evaluation_order(models: Sequence[_M], *, directory: Callable[[_M], Path]) -> list[_M]:
    """Return the models in the order given, but those that can share an engine after each other.

    `directory` has the files of a model; it need not exist.
    """
    families = {model: _family(directory(model)) for model in models}
    first: dict[str, int] = {}
    for model in models:
        first.setdefault(families[model], len(first))
    return sorted(models, key=lambda model: first[families[model]])


def _family(model: Path) -> str:
    """Return what models have in common that can share an engine; the path if the configuration cannot be read."""
    try:
        with (model / CONFIG).open("rb") as file:
            return architecture_family(parse_object(CONFIG, file.read(SMALL_FILES[CONFIG]), Reason.BAD_CONFIG))
    except (OSError, Refused):
        return str(model)


def combined_exit_code(codes: Sequence[int]) -> int:
    """Return the first code of an infrastructure fault, else 78 if some models are at fault, else 0."""
    infrastructure = [code for code in codes if code not in (EXIT_OK, EXIT_MODEL_FAULT)]
    return infrastructure[0] if infrastructure else max(codes, default=EXIT_OK)


def ranked(outcomes: Sequence[ModelOutcome]) -> list[tuple[int | None, ModelOutcome]]:
    """Return the outcomes with their ranks, the best first; those without a score come last and have none."""
    return by_rank(outcomes, result=lambda outcome: outcome.summary, name=lambda outcome: outcome.name)


def leaderboard_table(outcomes: Sequence[ModelOutcome], out: Path) -> Table:
    """Return a table of all models, the best first, with the baseline of the tasks."""
    known = next((of.evaluated.aggregate.baseline for of in outcomes if of.evaluated), None)
    baseline = "" if known is None else f"baseline: {baseline_text(known)}; "
    caption = untrusted(f"{baseline}results: {out}")
    table = Table(title="leaderboard", title_justify="left", caption=caption, caption_justify="left")
    table.add_column("rank", justify="right")
    table.add_column("model")
    for name in ("score", "95 % interval", "passed", "tasks", "generating"):
        table.add_column(name, justify="right")
    table.add_column("why")
    for rank, outcome in ranked(outcomes):
        summary, evaluated = outcome.summary, outcome.evaluated
        table.add_row(
            "" if rank is None else str(rank),
            untrusted(outcome.name),
            summary.score or "none",
            interval_text(evaluated.aggregate.interval) if evaluated else "",
            str(summary.passed) if evaluated else "",
            str(summary.total) if evaluated else "",
            f"{evaluated.seconds.generate} s" if evaluated else "",
            untrusted("" if evaluated else f"{summary.reason}: {summary.message}"),
        )
    return table
