"""A report as one HTML page: what it says, as plain data, and its rendering.

The page needs no network, and works without its one script, which filters the list of failed tasks. A policy in its
head forbids everything else, by the script's digest. Answers, prompts and names are untrusted text: the template
escapes everything but that script, which is a file of this package, and figures are drawn from numbers alone.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files

from jinja2 import Environment, PackageLoader, StrictUndefined

from bitagent_crds.printable import BREAKS, escape_unprintable
from bitagent_crds.task_set import Task
from bitagent_evaluator.reports.comparison import by_rank
from bitagent_evaluator.reports.leaderboard import Leaderboard, leaderboard_of
from bitagent_evaluator.reports.names import distinct
from bitagent_evaluator.reports.results import FaultResult, Results
from bitagent_evaluator.reports.section import FaultSection, Section, fault_section, section_of
from bitagent_evaluator.reports.task_list import text_limit

_TEMPLATE = "page.html.jinja"
_SCRIPT = "filter.js"


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
        section_of(model, tasks[model.directory], name, anchor=f"model-{number}", failures=failures, short=short)
        if isinstance(model, Results)
        else fault_section(model, name, anchor=f"model-{number}")
        for number, (name, (_, model)) in enumerate(zip(names, ranked, strict=True), 1)
    ]
    return Page(
        title=sections[0].overall.name if len(sections) == 1 else f"{len(sections)} models",
        leaderboard=leaderboard_of(ranked, sections) if len(sections) > 1 else None,
        sections=[section for section in sections if isinstance(section, Section)],
        faults=[section for section in sections if isinstance(section, FaultSection)],
    )


def _failed(results: Results) -> int:
    return sum(not verdict.passed for verdict in results.verdicts)


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
