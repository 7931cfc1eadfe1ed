"""Columns of the Berkeley Function Calling Leaderboard, computed from a run's categories as bfcl-eval computes them.

    Non-Live AST Acc       mean of simple (itself the mean of Python, Java and JavaScript), multiple, parallel and
                           parallel multiple
    Live Acc               share of all live cases that expect calls, so that large categories have more weight
    Multi Turn Acc         mean of the four categories
    Irrelevance Detection  mean of irrelevance and live irrelevance; Relevance Detection is live relevance

    Web Search Acc         mean of the two categories; Memory Acc of the three kinds of memory
    Overall Acc            10 % each of Non-Live AST Acc, Live Acc and Irrelevance Detection, 30 % Multi Turn Acc, and
                           40 % agentic: the mean of Web Search Acc and Memory Acc

A column is given only if the run has all of its categories. No source here has the categories of web search, so
`Overall Acc` needs verdicts from elsewhere; `missing_parts` says what a run lacks. `Overall Acc without
Agentic` has the other weights, which add up to 60 %. Where only web search is missing, `overall_bounds` says between
which values `Overall Acc` lies, whatever the model would find on the web.

Format sensitivity has a column for each variation of the prompt, the share of its cases that passed, and two for the
spread: the difference between the best and the worst variation, and the standard deviation of all (n - 1). They are
given only if all variations were asked.

Columns equal the leaderboard's if the categories are complete and unaltered; of a sample they are
estimates.
"""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Protocol

from bitagent_crds.results import CategoryScore, Verdict
from bitagent_crds.task_set import PROMPT_VARIATIONS
from bitagent_crds.tasks import BfclCategory
from bitagent_crds.texts import score_text


@dataclass(frozen=True)
class Share:
    """Share of cases that passed, and their number."""

    accuracy: Fraction
    cases: int


class Formula(Protocol):
    """Formula of a column."""

    def value(self, categories: Mapping[str, CategoryScore]) -> Share | None:
        """Return the column's value; None if the run lacks a category that it needs."""
        ...


@dataclass(frozen=True)
class Category:
    """Share of one category's cases that passed."""

    name: str

    def value(self, categories: Mapping[str, CategoryScore]) -> Share | None:
        """Return the share; None if the run lacks the category."""
        of = categories.get(self.name)
        return Share(Fraction(of.passed, of.total), of.total) if of and of.total else None


@dataclass(frozen=True)
class Weighted:
    """Mean of other formulas with fixed weights, whatever their numbers of cases."""

    parts: tuple[tuple[int, Formula], ...]

    def value(self, categories: Mapping[str, CategoryScore]) -> Share | None:
        """Return the mean over all parts; None if one has no value."""
        weighted = [(weight, share) for weight, part in self.parts if (share := part.value(categories))]
        if len(weighted) < len(self.parts):
            return None
        total = sum((weight * share.accuracy for weight, share in weighted), Fraction())
        return Share(total / sum(weight for weight, _ in weighted), sum(share.cases for _, share in weighted))


@dataclass(frozen=True)
class Pooled:
    """Mean of other formulas in which every case has the same weight."""

    parts: tuple[Formula, ...]

    def value(self, categories: Mapping[str, CategoryScore]) -> Share | None:
        """Return the mean over all cases; None if a part has no value."""
        shares = [share for part in self.parts if (share := part.value(categories))]
        if len(shares) < len(self.parts):
            return None
        cases = sum(share.cases for share in shares)
        return Share(sum((share.accuracy * share.cases for share in shares), Fraction()) / cases, cases)


def _mean(*parts: Formula) -> Weighted:
    return Weighted(tuple((1, part) for part in parts))


_SIMPLE = _mean(
    Category(BfclCategory.SIMPLE_PYTHON), Category(BfclCategory.SIMPLE_JAVA), Category(BfclCategory.SIMPLE_JAVASCRIPT)
)
_MULTIPLE = Category(BfclCategory.MULTIPLE)
_PARALLEL = Category(BfclCategory.PARALLEL)
_PARALLEL_MULTIPLE = Category(BfclCategory.PARALLEL_MULTIPLE)
_NON_LIVE = _mean(_SIMPLE, _MULTIPLE, _PARALLEL, _PARALLEL_MULTIPLE)
_LIVE = {
    "Live Simple AST": Category(BfclCategory.LIVE_SIMPLE),
    "Live Multiple AST": Category(BfclCategory.LIVE_MULTIPLE),
    "Live Parallel AST": Category(BfclCategory.LIVE_PARALLEL),
    "Live Parallel Multiple AST": Category(BfclCategory.LIVE_PARALLEL_MULTIPLE),
}
_MULTI_TURN = {
    "Multi Turn Base": Category(BfclCategory.MULTI_TURN_BASE),
    "Multi Turn Miss Func": Category(BfclCategory.MULTI_TURN_MISS_FUNC),
    "Multi Turn Miss Param": Category(BfclCategory.MULTI_TURN_MISS_PARAM),
    "Multi Turn Long Context": Category(BfclCategory.MULTI_TURN_LONG_CONTEXT),
}
_LIVE_ALL = Pooled(tuple(_LIVE.values()))
_MULTI_TURN_ALL = _mean(*_MULTI_TURN.values())
_IRRELEVANCE = _mean(Category(BfclCategory.IRRELEVANCE), Category(BfclCategory.LIVE_IRRELEVANCE))

_WEB_SEARCH = {
    "Web Search Base": Category("web_search_base"),
    "Web Search No Snippet": Category("web_search_no_snippet"),
}
_MEMORY = {
    "Memory KV": Category(BfclCategory.MEMORY_KV),
    "Memory Vector": Category(BfclCategory.MEMORY_VECTOR),
    "Memory Recursive Summarization": Category(BfclCategory.MEMORY_REC_SUM),
}
_WEB_SEARCH_ALL, _MEMORY_ALL = _mean(*_WEB_SEARCH.values()), _mean(*_MEMORY.values())
_AGENTIC = _mean(_WEB_SEARCH_ALL, _MEMORY_ALL)

OVERALL, OVERALL_WITHOUT_AGENTIC = "Overall Acc", "Overall Acc without Agentic"
_MEMORY_ACC = "Memory Acc"
_REST, _HALF_OF_AGENTIC = Fraction(60, 100), Fraction(20, 100)
"""Weights in `Overall Acc` of what is not agentic, and of memory as of web search."""
_PARTS: Mapping[str, Formula] = {
    "Non-Live AST Acc": _NON_LIVE,
    "Live Acc": _LIVE_ALL,
    "Irrelevance Detection": _IRRELEVANCE,
    "Multi Turn Acc": _MULTI_TURN_ALL,
    **_WEB_SEARCH,
    **_MEMORY,
}
"""Columns that `Overall Acc` is made of."""
COLUMNS: Mapping[str, Formula] = {
    OVERALL: Weighted(((10, _NON_LIVE), (10, _LIVE_ALL), (10, _IRRELEVANCE), (30, _MULTI_TURN_ALL), (40, _AGENTIC))),
    OVERALL_WITHOUT_AGENTIC: Weighted(((10, _NON_LIVE), (10, _LIVE_ALL), (10, _IRRELEVANCE), (30, _MULTI_TURN_ALL))),
    "Non-Live AST Acc": _NON_LIVE,
    "Non-Live Simple AST": _SIMPLE,
    "Non-Live Multiple AST": _MULTIPLE,
    "Non-Live Parallel AST": _PARALLEL,
    "Non-Live Parallel Multiple AST": _PARALLEL_MULTIPLE,
    "Live Acc": _LIVE_ALL,
    **_LIVE,
    "Multi Turn Acc": _MULTI_TURN_ALL,
    **_MULTI_TURN,
    "Web Search Acc": _WEB_SEARCH_ALL,
    **_WEB_SEARCH,
    _MEMORY_ACC: _MEMORY_ALL,
    **_MEMORY,
    "Relevance Detection": Category(BfclCategory.LIVE_RELEVANCE),
    "Irrelevance Detection": _IRRELEVANCE,
}
"""Formulas by column, named and ordered as in the leaderboard's overall table."""


MAX_DELTA, DEVIATION = "Format Sensitivity Max Delta", "Format Sensitivity Standard Deviation"


def columns(categories: Mapping[str, CategoryScore]) -> dict[str, str]:
    """Return the columns that the categories allow, in the contract's form of scores."""
    values = {name: formula.value(categories) for name, formula in COLUMNS.items()}
    return {name: score_text(float(share.accuracy), 1) for name, share in values.items() if share}


def missing_parts(columns: Mapping[str, str]) -> list[str]:
    """Return the columns that `Overall Acc` lacks; none if it is there, or if there is no part of it."""
    missing = [name for name in _PARTS if name not in columns]
    return missing if len(missing) < len(_PARTS) else []


def overall_bounds(columns: Mapping[str, str]) -> tuple[str, str] | None:
    """Return the least and the largest `Overall Acc` of a run that lacks web search alone; None for any other."""
    if OVERALL in columns or not {OVERALL_WITHOUT_AGENTIC, _MEMORY_ACC} <= columns.keys():
        return None
    least = Fraction(columns[OVERALL_WITHOUT_AGENTIC]) * _REST + Fraction(columns[_MEMORY_ACC]) * _HALF_OF_AGENTIC
    return score_text(float(least), 1), score_text(float(least + _HALF_OF_AGENTIC), 1)


def format_columns(verdicts: Iterable[Verdict]) -> dict[str, str]:
    """Return the columns of format sensitivity, in the contract's form of scores.

    Empty if the verdicts lack a variation, which is part of the cases' official ids.
    """
    passed: dict[str, list[bool]] = {variation.configuration: [] for variation in PROMPT_VARIATIONS}
    for verdict in verdicts:
        if verdict.category == BfclCategory.FORMAT_SENSITIVITY:
            _, _, rest = verdict.id.partition(":")
            passed.get(rest.partition(":")[0], []).append(verdict.passed)
    if not all(passed.values()):
        return {}
    shares = {name: sum(of) / len(of) for name, of in passed.items()}
    spread = {
        MAX_DELTA: max(shares.values()) - min(shares.values()),
        DEVIATION: statistics.stdev(shares.values()),
    }
    configurations = {f"Config {name}": share for name, share in shares.items()}
    return {name: score_text(value, 1) for name, value in (spread | configurations).items()}
