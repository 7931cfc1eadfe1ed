"""A report's section about one model, or about one that was at fault itself. Pure."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain

from bitagent_crds.results import Verdict
from bitagent_crds.task_set import Task
from bitagent_evaluator.evaluation.diagnosis import Evidence, diagnose
from bitagent_evaluator.evaluation.findings import RunFinding
from bitagent_evaluator.parsing import AnswerSyntax
from bitagent_evaluator.reports.error_words import PARTLY_RIGHT, explain
from bitagent_evaluator.reports.facts import headline, provenance
from bitagent_evaluator.reports.plots import Chart, charts_of
from bitagent_evaluator.reports.results import FaultResult, Results
from bitagent_evaluator.reports.rows import Row, category_rows, fault_row, kind_rows, overall_row
from bitagent_evaluator.reports.task_list import IN_FULL, Group, grouped, right_functions, visible, worst_tasks
from bitagent_evaluator.scoring.leaderboard import missing_parts, overall_bounds
from bitagent_evaluator.scoring.metric import Metric, metric_of

_MOST = 15
"""Most functions or parameters of a table."""
_PARAMETER = re.compile(r"[Pp]arameters?:? [`'\"]([^`'\"]{1,100})[`'\"]")
"""A parameter in an explanation of BFCL's checker."""


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
    overall_bounds: list[str]
    """The least and the largest overall score, if only web search is missing; else empty."""
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


def fault_section(model: FaultResult, name: str, *, anchor: str) -> FaultSection:
    """Return the section of a model at fault."""
    return FaultSection(anchor, fault_row(name), visible(model.fault))


def section_of(
    results: Results,
    tasks: Mapping[str, Task] | None,
    name: str,
    *,
    anchor: str,
    failures: int | None,
    short: int,
) -> Section:
    """Return the section of a model that was asked.

    `failures` bounds the tasks listed, None: see `build_page`; `short` is the length of most of their texts.
    """
    manifest = results.manifest
    metric = metric_of(manifest.scorer, manifest.loss_parameters)
    failed = [verdict for verdict in results.verdicts if not verdict.passed]
    limit = IN_FULL if failures is None and metric.is_loss else failures
    listed = worst_tasks(results, metric, tasks, limit=limit, short=short)
    overall = overall_row(results, metric, name)
    return Section(
        anchor=anchor,
        metric=metric,
        overall=overall,
        headline=headline(results, metric, overall),
        findings=[_shown(finding) for finding in _diagnosis(results, tasks)],
        categories=category_rows(results, metric),
        kinds=kind_rows(results, metric),
        columns=[(visible(name), float(value)) for name, value in manifest.leaderboard.items()],
        missing_parts=missing_parts(manifest.leaderboard),
        overall_bounds=[f"{float(bound):.2%}" for bound in overall_bounds(manifest.leaderboard) or ()],
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
        facts=provenance(results),
        versions=[(visible(name), visible(version)) for name, version in sorted(manifest.packages.items())],
    )


def _values(several: Iterable[Sequence[str]]) -> list[str]:
    return sorted(set(chain.from_iterable(several)))


def _diagnosis(results: Results, tasks: Mapping[str, Task] | None) -> Sequence[RunFinding]:
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


def _shown(finding: RunFinding) -> ShownFinding:
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
