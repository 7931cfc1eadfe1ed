"""Several models in one run: in which order they are evaluated, how they compare, and the exit code of all together."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.table import Table
from rich.text import Text

from bitagent_crds.conditions import Reason
from bitagent_crds.jobs import EXIT_MODEL_FAULT, EXIT_OK, EvaluateSummary
from bitagent_evaluator.bounded.worker import Refused
from bitagent_evaluator.cli.output import interval_text
from bitagent_evaluator.engine.compatible import family
from bitagent_evaluator.runs.evaluate import Evaluated
from bitagent_evaluator.safety.configuration import parse_object
from bitagent_evaluator.safety.selection import CONFIG, SMALL_FILES


@dataclass(frozen=True)
class Outcome:
    """How one model's evaluation ended."""

    name: str
    out: Path
    """Directory of its results."""
    code: int
    """Exit code that it would have alone."""
    summary: EvaluateSummary
    evaluated: Evaluated | None
    """None if there is no result."""


class NameTaken(ValueError):
    """Two models would write their results to the same directory."""


def result_directories(models: Sequence[Path], parent: Path) -> dict[Path, Path]:
    """Where each model's results go: a directory of its own name. Raises NameTaken."""
    taken: dict[str, Path] = {}
    for model in models:
        name = model.resolve().name
        if name in taken:
            raise NameTaken(
                f"{taken[name]} and {model} would both write to {parent / name}: run them one by one with --out"
            )
        taken[name] = model
    return {model: parent / name for name, model in taken.items()}


def evaluation_order(models: Sequence[Path]) -> list[Path]:
    """The models, those of one shape after each other, so that they share an engine; else in the order given."""
    families = {model: _family(model) for model in models}
    ranks: dict[str, int] = {}
    for model in models:
        ranks.setdefault(families[model], len(ranks))
    return sorted(models, key=lambda model: ranks[families[model]])


def _family(model: Path) -> str:
    """A model whose configuration cannot be read is on its own: why is said when it is checked."""
    try:
        with (model / CONFIG).open("rb") as file:
            return family(parse_object(CONFIG, file.read(SMALL_FILES[CONFIG]), Reason.BAD_CONFIG))
    except (OSError, Refused):
        return str(model)


def exit_code(codes: Iterable[int]) -> int:
    """0 if every model was scored, 78 if some were at fault themselves; an infrastructure fault wins over both."""
    ended = list(codes)
    infrastructure = [code for code in ended if code not in (EXIT_OK, EXIT_MODEL_FAULT)]
    return infrastructure[0] if infrastructure else max(ended, default=EXIT_OK)


def ranked(outcomes: Sequence[Outcome]) -> list[tuple[int | None, Outcome]]:
    """Best first, each with its rank; equal scores have equal ranks. What has no score comes last, without one."""
    scored = sorted((outcome for outcome in outcomes if outcome.summary.score is not None), key=_merit, reverse=True)
    merits = [_merit(outcome) for outcome in scored]
    placed: list[tuple[int | None, Outcome]] = [
        (merits.index(merit) + 1, outcome) for merit, outcome in zip(merits, scored, strict=True)
    ]
    return placed + [(None, outcome) for outcome in outcomes if outcome.summary.score is None]


def _merit(outcome: Outcome) -> float:
    """Where there are losses they tell more: the scores that follow from them are all but 0 for weak models."""
    if outcome.summary.loss is not None:
        return -float(outcome.summary.loss)
    return float(outcome.summary.score or 0) if outcome.evaluated else float("-inf")


def leaderboard_view(outcomes: Sequence[Outcome], out: Path) -> Table:
    """All models, best first."""
    table = Table(title="leaderboard", title_justify="left", caption=f"results: {out}", caption_justify="left")
    table.add_column("rank", justify="right")
    table.add_column("model")
    for name in ("score", "95 % interval", "passed", "tasks", "generating"):
        table.add_column(name, justify="right")
    table.add_column("why")
    for rank, outcome in ranked(outcomes):
        summary, evaluated = outcome.summary, outcome.evaluated
        reason = "" if evaluated else f"{summary.reason}: {summary.message}"
        table.add_row(
            "" if rank is None else str(rank),
            Text(outcome.name),
            summary.score or "none",
            interval_text(evaluated.aggregate.interval) if evaluated else "",
            str(summary.passed) if evaluated else "",
            str(summary.total) if evaluated else "",
            f"{evaluated.seconds.generate} s" if evaluated else "",
            Text(reason),
        )
    return table
