"""A report as one HTML page: what it says, as plain data, and its rendering.

The page needs no network, and works without its one script, which filters the list of failed tasks. A policy in its
head forbids everything else, by the script's digest. Answers, prompts and names are untrusted text: the template
escapes everything but that script, which is a file of this package, and figures are drawn from numbers alone.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from itertools import chain

from jinja2 import Environment, PackageLoader, StrictUndefined

from bitagent_crds.fields import loss_text
from bitagent_crds.printable import BREAKS, escape_unprintable
from bitagent_crds.results import CategoryScore, ResultsManifest, Verdict
from bitagent_crds.task_set import Task
from bitagent_evaluator.evaluation.diagnosis import Evidence, Finding, diagnose
from bitagent_evaluator.parsing import AnswerSyntax
from bitagent_evaluator.reports.comparison import ComparisonFinding, by_rank, compare
from bitagent_evaluator.reports.error_words import PARTLY_RIGHT, explain
from bitagent_evaluator.reports.names import distinct, is_local
from bitagent_evaluator.reports.plots import Chart, charts_of
from bitagent_evaluator.reports.results import FaultResult, Results
from bitagent_evaluator.reports.task_list import (
    IN_FULL,
    Group,
    grouped,
    right_functions,
    text_limit,
    visible,
    worst_tasks,
)
from bitagent_evaluator.scoring.leaderboard import missing_parts
from bitagent_evaluator.scoring.metric import Metric, metric_of
from bitagent_evaluator.support.files import hex_digits

_TEMPLATE = "page.html.jinja"
_SCRIPT = "filter.js"
_GRAVE = 0.1
"""Share of the tasks from which a finding is shown on the leaderboard."""
_MOST = 15
"""Most functions or parameters of a table."""
_PARAMETER = re.compile(r"[Pp]arameters?:? [`'\"]([^`'\"]{1,100})[`'\"]")
"""A parameter in an explanation of BFCL's checker."""


@dataclass(frozen=True)
class Row:
    """A result overall or in one category."""

    name: str
    passed: int
    total: int
    score: float
    score_interval: tuple[float, float] | None
    value: str
    """The metric's mean."""
    interval: str
    """95 % confidence interval of the mean; empty if there is none."""


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


@dataclass(frozen=True)
class Section:
    """Everything about one model."""

    anchor: str
    metric: Metric
    overall: Row
    headline: Sequence[tuple[str, str]]
    """Numbers and what they are."""
    findings: Sequence[ShownFinding]
    """What cost the model its score apart from wrong calls."""
    categories: Sequence[Row]
    kinds: Sequence[Row]
    """Kinds of tasks, if they weigh equally in the score."""
    columns: Sequence[tuple[str, float]]
    """Columns as BFCL's leaderboard computes them; none for other categories and scorers."""
    missing_parts: list[str]
    """Columns that the leaderboard's overall score lacks; none if it is there, or if there are no columns of it."""
    charts: Sequence[Chart]
    errors: Sequence[tuple[str, str, int]] | None
    """Errors of failed tasks, each as a sentence, and their numbers; None where losses were measured."""
    functions: Sequence[tuple[str, int, int]]
    """Functions with failed tasks: how many failed, of how many whose right answer calls it; the most failed first."""
    parameters: Sequence[tuple[str, int]]
    """Parameters that explanations of failed tasks name, and in how many."""
    batches: Sequence[str]
    """Mean losses of the batches, where losses were measured."""
    groups: Sequence[Group]
    """Failed tasks by error, or the samples with the highest losses in one group."""
    filters: Mapping[str, Sequence[str]]
    """By what listed tasks can be filtered, with the values that they have: error, category, functions."""
    listed: int
    """Number of tasks in the groups."""
    listed_of: int
    """Number of all such tasks."""
    has_tasks: bool
    facts: Sequence[tuple[str, str]]
    versions: Sequence[tuple[str, str]]


@dataclass(frozen=True)
class ShownFinding:
    """A finding of the diagnosis, as texts to be shown."""

    text: str
    cause: str
    remedy: str
    examples: Sequence[str]
    share: float


@dataclass(frozen=True)
class FaultSection:
    """A model that was at fault itself and was not asked."""

    anchor: str
    overall: Row
    why: str
    categories: Sequence[Row] = ()


@dataclass(frozen=True)
class Page:
    """A whole report."""

    title: str
    leaderboard: Leaderboard | None
    """None for a single model."""
    sections: Sequence[Section]
    faults: Sequence[FaultSection]


def build_page(
    several: Sequence[tuple[Results, Mapping[str, Task] | None]],
    faults: Sequence[FaultResult] = (),
    *,
    failures: int | None = None,
) -> Page:
    """Return the report about results, each with its tasks if they are known, and about models at fault.

    `failures` bounds the tasks that are listed for each model; None: all that failed, or the `IN_FULL` samples with the
    highest losses. Raises ResultsError for results of one task set that cannot be compared.
    """
    tasks = {results.directory: of for results, of in several}
    models: list[Results | FaultResult] = [*(results for results, _ in several), *faults]
    ranked = by_rank(
        models,
        result=lambda model: model.manifest if isinstance(model, Results) else model.summary,
        name=lambda model: model.name,
    )
    names = distinct([model.name for _, model in ranked], [model.directory for _, model in ranked])
    short = text_limit(sum(_failed(results) for results, _ in several))
    sections = [
        _section(model, tasks[model.directory], name, anchor=f"model-{number}", failures=failures, short=short)
        if isinstance(model, Results)
        else FaultSection(f"model-{number}", _fault_row(name), visible(model.fault))
        for number, (name, (_, model)) in enumerate(zip(names, ranked, strict=True), 1)
    ]
    return Page(
        title=sections[0].overall.name if len(sections) == 1 else f"{len(sections)} models",
        leaderboard=_leaderboard(ranked, sections) if len(sections) > 1 else None,
        sections=[section for section in sections if isinstance(section, Section)],
        faults=[section for section in sections if isinstance(section, FaultSection)],
    )


def _leaderboard(
    ranked: Sequence[tuple[int | None, Results | FaultResult]], sections: Sequence[Section | FaultSection]
) -> Leaderboard:
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


def _failed(results: Results) -> int:
    return sum(not verdict.passed for verdict in results.verdicts)


def _section(
    results: Results,
    tasks: Mapping[str, Task] | None,
    name: str,
    *,
    anchor: str,
    failures: int | None,
    short: int,
) -> Section:
    manifest = results.manifest
    metric = metric_of(manifest.scorer, manifest.loss_parameters)
    failed = [verdict for verdict in results.verdicts if not verdict.passed]
    limit = IN_FULL if failures is None and metric.is_loss else failures
    listed = worst_tasks(results, metric, tasks, limit=limit, short=short)
    overall = _row(name, manifest, results.verdicts, metric, seed=manifest.task_set_digest)
    return Section(
        anchor=anchor,
        metric=metric,
        overall=overall,
        headline=[*_headline(overall, metric), *_of_baseline(manifest), *_phases(results, metric)],
        findings=[_shown(finding) for finding in _diagnosis(results, tasks)],
        categories=_categories(results, metric),
        kinds=_kinds(results, metric),
        columns=[(visible(name), float(value)) for name, value in manifest.leaderboard.items()],
        missing_parts=missing_parts(manifest.leaderboard),
        charts=charts_of(results, metric),
        errors=None if metric.is_loss else _errors(failed),
        functions=[] if tasks is None or metric.is_loss else _functions(results.verdicts, tasks),
        parameters=[] if metric.is_loss else _parameters(failed),
        batches=manifest.batch_losses,
        groups=grouped(listed),
        filters={
            "error": _values([task.result] for task in listed if task.failed),
            "category": _values([task.category] for task in listed),
            "functions": _values(task.functions for task in listed),
        },
        listed=len(listed),
        listed_of=manifest.total if metric.is_loss else len(failed),
        has_tasks=tasks is not None,
        facts=_facts(results),
        versions=[(visible(name), visible(version)) for name, version in sorted(manifest.packages.items())],
    )


def _values(several: Iterable[Sequence[str]]) -> list[str]:
    return sorted(set(chain.from_iterable(several)))


def _diagnosis(results: Results, tasks: Mapping[str, Task] | None) -> Sequence[Finding]:
    manifest = results.manifest
    evidence = Evidence(
        manifest.scorer,
        manifest.max_tokens,
        manifest.max_thought_tokens,
        syntaxes=[AnswerSyntax(name) for name in manifest.syntaxes if name in list(AnswerSyntax)],
        tasks=tasks,
        notes=manifest.notes,
    )
    return diagnose(results.verdicts, results.responses, evidence)


def _shown(finding: Finding) -> ShownFinding:
    return ShownFinding(
        text=visible(finding.text),
        cause=visible(finding.cause),
        remedy=finding.remedy,
        examples=[visible(example) for example in finding.examples],
        share=finding.share,
    )


def _errors(failed: Sequence[Verdict]) -> list[tuple[str, str, int]]:
    counts = Counter(visible(of.error) or PARTLY_RIGHT for of in failed)
    return [(error, explain(error), count) for error, count in counts.most_common()]


def _functions(verdicts: Sequence[Verdict], tasks: Mapping[str, Task]) -> list[tuple[str, int, int]]:
    total, failed = Counter[str](), Counter[str]()
    for verdict in verdicts:
        names = right_functions(tasks[verdict.id])
        total.update(names)
        failed.update(() if verdict.passed else names)
    return [(name, count, total[name]) for name, count in failed.most_common(_MOST)]


def _parameters(failed: Sequence[Verdict]) -> list[tuple[str, int]]:
    named = Counter[str]()
    for verdict in failed:
        named.update(set(_PARAMETER.findall(verdict.detail)))
    return [(visible(name), count) for name, count in named.most_common(_MOST)]


def _row(
    name: str, entry: CategoryScore | ResultsManifest, verdicts: Sequence[Verdict], metric: Metric, *, seed: str
) -> Row:
    """Return a row: its counts as recorded, mean and interval from the verdicts.

    Manifests of earlier versions have intervals by another rule.
    """
    mean = metric.mean(verdicts, entry.aggregate if isinstance(entry, ResultsManifest) else None)
    interval = mean.interval(seed)
    return Row(
        name=visible(name),
        passed=entry.passed,
        total=entry.total,
        score=mean.score,
        score_interval=mean.score_interval(seed),
        value=loss_text(mean.value) if metric.is_loss else _percent(mean.value),
        interval=" to ".join(f"{of:.3f}" if metric.is_loss else f"{100 * of:.1f}" for of in interval or ()),
    )


def _fault_row(name: str) -> Row:
    return Row(visible(name), passed=0, total=0, score=0.0, score_interval=None, value=_percent(0.0), interval="")


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"


def _headline(overall: Row, metric: Metric) -> list[tuple[str, str]]:
    interval = [(overall.interval, "95 % interval")] if overall.interval else []
    if metric.is_loss:
        return [
            (overall.value, f"mean loss, {metric.unit}"),
            *interval,
            (str(overall.passed), f"of {overall.total} samples measured"),
            (_percent(overall.score), "score, exp(-loss)"),
        ]
    return [(overall.value, "score"), *interval, (str(overall.passed), f"of {overall.total} tasks passed")]


def _of_baseline(manifest: ResultsManifest) -> list[tuple[str, str]]:
    found = manifest.baseline
    if found is None:
        return []
    value = _percent(float(found.score)) if found.loss is None else found.loss
    return [(value, f"baseline: {visible(found.answer)}")]


def _phases(results: Results, metric: Metric) -> list[tuple[str, str]]:
    seconds = results.seconds
    if seconds is None:
        return []
    engine = "measure" if metric.is_loss else "generate"
    phases = {"load": seconds.load, engine: seconds.generate, "score": seconds.score}
    return [(f"{float(of):.1f} s", f"to {phase}") for phase, of in phases.items()]


def _categories(results: Results, metric: Metric) -> list[Row]:
    return _rows(results, metric, results.manifest.categories, lambda verdict: verdict.category)


def _kinds(results: Results, metric: Metric) -> list[Row]:
    return _rows(results, metric, results.manifest.kinds, lambda verdict: verdict.kind, prefix="kind/")


def _rows(
    results: Results,
    metric: Metric,
    entries: Mapping[str, CategoryScore],
    group_of: Callable[[Verdict], str],
    *,
    prefix: str = "",
) -> list[Row]:
    """Return a row for each group of verdicts; `prefix` sets the seeds of two groupings apart."""
    verdicts: dict[str, list[Verdict]] = {}
    for verdict in results.verdicts:
        verdicts.setdefault(group_of(verdict), []).append(verdict)
    seed = results.manifest.task_set_digest
    return [_row(name, entry, verdicts[name], metric, seed=f"{seed}/{prefix}{name}") for name, entry in entries.items()]


def _facts(results: Results) -> list[tuple[str, str]]:
    manifest = results.manifest
    return [
        ("repository", "none (a local directory)" if is_local(manifest) else visible(manifest.repo)),
        ("commit", manifest.commit or "none"),
        ("weights", manifest.weights_digest or "not established"),
        ("task set", manifest.task_set_digest),
        ("prompt format", manifest.prompt_format),
        *([("thinking", f"{manifest.thinking} (asked of the chat template)")] if manifest.thinking else []),
        ("scorer", manifest.scorer),
        *([("aggregate", "kinds of tasks weigh equally")] if manifest.kinds else []),
        ("answer limit", f"{manifest.max_tokens} tokens"),
        *_bounds(manifest),
        ("device", visible(manifest.device)),
        ("number format", visible(manifest.dtype)),
        ("engine", visible(", ".join(f"{name}={value}" for name, value in manifest.engine.items()))),
        ("responses", manifest.responses_digest),
        ("verdicts", manifest.verdicts_digest),
    ]


def _bounds(manifest: ResultsManifest) -> list[tuple[str, str]]:
    """Return the bounds that the run had, and the tasks that have no answer for any reason."""
    rows = [
        ("thought limit", manifest.max_thought_tokens, "tokens, before the answer"),
        ("prompt limit", manifest.max_prompt_tokens, "tokens"),
        ("budget of answers", manifest.mean_answer_tokens, f"generated tokens for each of {manifest.total} tasks"),
        ("time for answers", manifest.generate_seconds, "s"),
    ]
    found = [(name, f"{value} {unit}") for name, value, unit in rows if value is not None]
    unanswered = ", ".join(f"{count} {cause}" for cause, count in manifest.unanswered.items())
    return [*found, ("unanswered", visible(unanswered))] if unanswered else found


def render(page: Page) -> str:
    """Return the page's HTML."""
    environment = Environment(
        loader=PackageLoader("bitagent_evaluator.reports", ""),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    script = (files("bitagent_evaluator.reports") / _SCRIPT).read_text()
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    text = environment.get_template(_TEMPLATE).render(page=page, script=script, script_digest=digest)
    return escape_unprintable(text, keep=BREAKS)
