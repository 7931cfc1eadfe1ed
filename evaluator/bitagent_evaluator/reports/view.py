"""Everything that a page says, as plain data. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from bitagent_crds.evaluation import Scorer
from bitagent_crds.results import ResultsManifest, Task
from bitagent_evaluator.reports.comparison import Finding, compare
from bitagent_evaluator.reports.failures import Failure, visible, worst
from bitagent_evaluator.reports.loss_comparison import compare_losses
from bitagent_evaluator.reports.loss_view import Losses, losses_of
from bitagent_evaluator.reports.plots import Figure, cumulative, histogram
from bitagent_evaluator.reports.reading import Fault, Results, task_score
from bitagent_evaluator.reports.time_plot import answers_over_time, rate


@dataclass(frozen=True)
class Row:
    """A score with what it was counted from, as fractions of one."""

    name: str
    passed: int
    total: int
    score: float
    interval: tuple[float, float] | None


@dataclass(frozen=True)
class Place:
    """One line of the leaderboard."""

    rank: int
    anchor: str
    row: Row
    loss: str
    """Its mean loss, where losses were measured."""
    tasks: str
    """Digest of its task set, shortened; empty for a model at fault."""
    behind: str
    """How it compares with the first place; empty for that, and for other task sets. Of a model at fault, why it has no answers."""
    categories: Sequence[Row | None]
    """In the order of the leaderboard's categories; None where it had no such tasks."""


@dataclass(frozen=True)
class Leaderboard:
    """Several results side by side."""

    places: Sequence[Place]
    categories: Sequence[str]
    one_task_set: bool


@dataclass(frozen=True)
class Section:
    """All about one model."""

    anchor: str
    name: str
    overall: Row
    facts: Sequence[tuple[str, str]]
    versions: Sequence[tuple[str, str]]
    categories: Sequence[Row]
    columns: Sequence[tuple[str, float]]
    """Columns as BFCL's leaderboard computes them; none for other categories and scorers."""
    errors: Sequence[tuple[str, int]]
    failed: int
    failures: Sequence[Failure]
    has_tasks: bool
    phases: Sequence[tuple[str, float]]
    """Phase and seconds; empty when they were not recorded."""
    rates: Sequence[tuple[str, float]]
    """What is counted and how much of it a second; empty when that was not recorded."""
    time_figure: Figure | None
    """When answers came; None when that was not recorded."""
    figures: Sequence[tuple[str, Figure]]
    """Titles and figures; none where nothing was answered."""
    losses: Losses | None
    """What is shown instead of scores, errors and failures where losses were measured."""


@dataclass(frozen=True)
class FaultSection:
    """A model that was at fault itself."""

    anchor: str
    name: str
    why: str


@dataclass(frozen=True)
class Page:
    """A whole report."""

    title: str
    leaderboard: Leaderboard | None
    """None for a single model."""
    sections: Sequence[Section]
    faults: Sequence[FaultSection]


def page(
    several: Sequence[tuple[Results, Mapping[str, Task] | None]], faults: Sequence[Fault] = (), *, failures: int
) -> Page:
    """The report about results, each with its tasks where they are known, best first, and about models at fault, which come last;
    `failures` bounds the failed tasks shown of each. Raises ResultsError for results of one task set that cannot be compared.
    """
    ordered = sorted(several, key=lambda item: _standing(item[0]))
    sections = [
        _section(results, tasks, anchor=f"model-{number}", failures=failures)
        for number, (results, tasks) in enumerate(ordered, 1)
    ]
    faulty = [
        FaultSection(f"model-{number}", visible(fault.name), visible(fault.fault))
        for number, fault in enumerate(faults, len(sections) + 1)
    ]
    names = [section.name for section in sections] + [fault.name for fault in faulty]
    if len(names) == 1:
        return Page(names[0], None, sections, faulty)
    board = _leaderboard([results for results, _ in ordered], sections, faulty)
    return Page(f"{len(names)} models", board, sections, faulty)


def _leaderboard(
    ordered: Sequence[Results], sections: Sequence[Section], faulty: Sequence[FaultSection]
) -> Leaderboard:
    categories = sorted({row.name for section in sections for row in section.categories})
    places: list[Place] = []
    for results, section in zip(ordered, sections, strict=True):
        rank = next(i for i, other in enumerate(ordered, 1) if _standing(other) == _standing(results))
        of = {row.name: row for row in section.categories}
        places.append(
            Place(
                rank=rank,
                anchor=section.anchor,
                row=section.overall,
                loss=results.manifest.loss or "",
                tasks=results.manifest.task_set_digest.removeprefix("sha256:")[:12],
                behind=_behind(ordered[0], results),
                categories=[of.get(name) for name in categories],
            )
        )
    one_task_set = len({place.tasks for place in places}) <= 1
    places += [
        Place(
            rank=len(ordered) + 1,
            anchor=fault.anchor,
            row=Row(fault.name, 0, 0, 0.0, None),
            loss="",
            tasks="",
            behind=fault.why,
            categories=[None for _ in categories],
        )
        for fault in faulty
    ]
    return Leaderboard(places, categories, one_task_set)


def _standing(results: Results) -> tuple[float, float]:
    """What results are ordered by: the score, and where scores exp(-loss) are equal already the loss."""
    return -float(results.manifest.score), float(results.manifest.loss or 0.0)


def _behind(first: Results, other: Results) -> str:
    same = first.manifest.task_set_digest == other.manifest.task_set_digest
    if first is other or not same or first.manifest.scorer != other.manifest.scorer:
        return ""
    if other.manifest.scorer is Scorer.LOSS:
        return _behind_in_loss(first, other)
    found = compare(other, first)
    low, high = found.overall.interval
    remark = f", {found.finding}" if found.finding is Finding.NO_DIFFERENCE else ""
    return f"{100 * found.overall.difference:+.1f} ({100 * low:+.1f} to {100 * high:+.1f}){remark}"


def _behind_in_loss(first: Results, other: Results) -> str:
    found = compare_losses(other, first)
    bounds = found.overall.interval
    spread = f" ({bounds[0]:+.3f} to {bounds[1]:+.3f})" if bounds else ""
    remark = f", {found.finding}" if found.finding is Finding.NO_DIFFERENCE else ""
    return f"loss {found.overall.difference:+.3f}{spread}{remark}"


def _section(results: Results, tasks: Mapping[str, Task] | None, *, anchor: str, failures: int) -> Section:
    manifest = results.manifest
    failed = [verdict for verdict in results.verdicts if not verdict.passed]
    return Section(
        anchor=anchor,
        name=visible(results.name),
        overall=Row(
            visible(results.name), manifest.passed, manifest.total, float(manifest.score), _floats(manifest.interval)
        ),
        facts=_facts(results),
        versions=[(visible(name), visible(version)) for name, version in sorted(manifest.packages.items())],
        categories=_categories(results),
        columns=[(visible(name), float(value)) for name, value in manifest.leaderboard.items()],
        errors=Counter(visible(verdict.error) or "partly right" for verdict in failed).most_common(),
        failed=len(failed),
        failures=worst(results, tasks, limit=failures),
        has_tasks=tasks is not None,
        phases=_phases(results),
        rates=list(zip(("answers", "tokens"), rate(results.timeline) or (), strict=False)),
        time_figure=answers_over_time(results.timeline, results.summary.seconds if results.summary else None),
        figures=_figures(results),
        losses=losses_of(results, tasks, limit=failures) if manifest.scorer is Scorer.LOSS else None,
    )


def _facts(results: Results) -> list[tuple[str, str]]:
    manifest: ResultsManifest = results.manifest
    return [
        ("repository", visible(manifest.repo)),
        ("commit", manifest.commit or "none (a local directory)"),
        ("weights", manifest.weights_digest or "not established"),
        ("task set", manifest.task_set_digest),
        ("prompt format", manifest.prompt_format),
        ("scorer", manifest.scorer),
        ("answer limit", f"{manifest.max_tokens} tokens"),
        ("device", visible(manifest.device)),
        ("number format", visible(manifest.dtype)),
        ("engine", visible(", ".join(f"{name}={value}" for name, value in manifest.engine.items()))),
        ("responses", manifest.responses_digest),
        ("verdicts", manifest.verdicts_digest),
    ]


def _categories(results: Results) -> list[Row]:
    scores: dict[str, list[float]] = {}
    for verdict in results.verdicts:
        scores.setdefault(verdict.category, []).append(task_score(verdict))
    rows = []
    for name, entry in results.manifest.categories.items():
        of = scores.get(name, [])
        mean = sum(of) / len(of) if of else 0.0
        given = float(entry.score) if results.manifest.scorer is Scorer.LOSS else mean
        rows.append(Row(visible(name), entry.passed, entry.total, given, _floats(entry.interval)))
    return rows


def _floats(interval: tuple[str, str] | None) -> tuple[float, float] | None:
    return None if interval is None else (float(interval[0]), float(interval[1]))


def _phases(results: Results) -> list[tuple[str, float]]:
    seconds = results.summary.seconds if results.summary else None
    if seconds is None:
        return []
    return [("load", float(seconds.load)), ("generate", float(seconds.generate)), ("score", float(seconds.score))]


def _figures(results: Results) -> list[tuple[str, Figure]]:
    answered = [
        (verdict, results.responses[verdict.id]) for verdict in results.verdicts if verdict.id in results.responses
    ]
    lengths = [
        ("passed", [response.completion_tokens for verdict, response in answered if verdict.passed]),
        ("failed", [response.completion_tokens for verdict, response in answered if not verdict.passed]),
    ]
    prompts = [("plain", [response.prompt_tokens for _, response in answered])]
    figures = [
        ("Answers by length", histogram(lengths, x_label="tokens of the answer")),
        (
            "Share of answers up to a length",
            cumulative([r.completion_tokens for _, r in answered], x_label="tokens of the answer"),
        ),
        ("Prompts by length", histogram(prompts, x_label="tokens of the prompt")),
    ]
    return [(title, figure) for title, figure in figures if figure is not None]
