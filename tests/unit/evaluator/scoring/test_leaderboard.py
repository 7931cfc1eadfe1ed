"""Columns of the leaderboard: from which categories, with which weights, and not without them."""

from __future__ import annotations

from statistics import stdev

import pytest
from bfcl_eval.constants.column_headers import COLUMNS_OVERALL

from bitagent_crds.results import CategoryScore, Verdict
from bitagent_crds.task_set import PROMPT_VARIATIONS
from bitagent_evaluator.scoring.leaderboard import (
    COLUMNS,
    DEVIATION,
    MAX_DELTA,
    OVERALL,
    OVERALL_WITHOUT_AGENTIC,
    columns,
    format_columns,
    missing_parts,
    overall_bounds,
)
from bitagent_evaluator.scoring.scorers import aggregate

LIVE = {
    "live_simple": (1, 2),
    "live_multiple": (6, 6),
    "live_parallel": (0, 1),
    "live_parallel_multiple": (0, 1),
}
NON_LIVE = {
    "simple_python": (4, 4),
    "simple_java": (1, 2),
    "simple_javascript": (0, 9),
    "multiple": (1, 1),
    "parallel": (0, 3),
    "parallel_multiple": (1, 2),
}
MULTI_TURN = {
    "multi_turn_base": (1, 1),
    "multi_turn_miss_func": (0, 9),
    "multi_turn_miss_param": (1, 2),
    "multi_turn_long_context": (1, 2),
}
IRRELEVANCE = {"irrelevance": (1, 4), "live_irrelevance": (3, 4)}

CASES: dict[str, tuple[dict[str, tuple[int, int]], dict[str, str]]] = {
    "nothing": ({}, {}),
    "other categories": ({"sums": (1, 2)}, {}),
    "one category": ({"multiple": (1, 4)}, {"Non-Live Multiple AST": "0.250000"}),
    "an empty category": ({"multiple": (0, 0)}, {}),
    "languages weigh the same": (
        {name: NON_LIVE[name] for name in ("simple_python", "simple_java", "simple_javascript")},
        {"Non-Live Simple AST": "0.500000"},
    ),
    "a part is missing": ({"simple_python": (4, 4), "simple_java": (1, 2)}, {}),
    "kinds weigh the same": (
        NON_LIVE,
        {
            "Non-Live AST Acc": "0.500000",
            "Non-Live Simple AST": "0.500000",
            "Non-Live Multiple AST": "1.000000",
            "Non-Live Parallel AST": "0.000000",
            "Non-Live Parallel Multiple AST": "0.500000",
        },
    ),
    "live cases weigh the same": (
        LIVE,
        {
            "Live Acc": "0.700000",
            "Live Simple AST": "0.500000",
            "Live Multiple AST": "1.000000",
            "Live Parallel AST": "0.000000",
            "Live Parallel Multiple AST": "0.000000",
        },
    ),
    "multi-turn categories weigh the same": (
        MULTI_TURN,
        {
            "Multi Turn Acc": "0.500000",
            "Multi Turn Base": "1.000000",
            "Multi Turn Miss Func": "0.000000",
            "Multi Turn Miss Param": "0.500000",
            "Multi Turn Long Context": "0.500000",
        },
    ),
    "half of the irrelevance": ({"irrelevance": (1, 4)}, {}),
    "relevance": (
        IRRELEVANCE | {"live_relevance": (3, 16)},
        {"Relevance Detection": "0.187500", "Irrelevance Detection": "0.500000"},
    ),
}


def scores(passed: dict[str, tuple[int, int]]) -> dict[str, CategoryScore]:
    return {name: CategoryScore(passed=of[0], total=of[1]) for name, of in passed.items()}


@pytest.mark.parametrize(("passed", "expected"), CASES.values(), ids=CASES)
def test_columns(passed: dict[str, tuple[int, int]], expected: dict[str, str]) -> None:
    assert columns(scores(passed)) == expected


AGENTIC = {
    "web_search_base": (1, 1),
    "web_search_no_snippet": (0, 1),
    "memory_kv": (1, 1),
    "memory_vector": (0, 9),
    "memory_rec_sum": (2, 4),
}


@pytest.mark.parametrize(
    ("column", "agentic", "value"),
    [
        (OVERALL_WITHOUT_AGENTIC, {}, (10 * 0.5 + 10 * 0.7 + 10 * 0.5 + 30 * 0.5) / 60),
        (OVERALL, AGENTIC, (10 * 0.5 + 10 * 0.7 + 10 * 0.5 + 30 * 0.5 + 40 * 0.5) / 100),
    ],
    ids=["without agentic", "overall"],
)
def test_overall_has_the_leaderboards_weights_and_needs_every_part(
    column: str, agentic: dict[str, tuple[int, int]], value: float
) -> None:
    everything = scores({**NON_LIVE, **LIVE, **MULTI_TURN, **IRRELEVANCE, **agentic})
    assert columns(everything)[column] == f"{value:.6f}"
    for name in everything:
        found = columns({other: of for other, of in everything.items() if other != name})
        assert column not in found
        assert missing_parts(found)


def test_what_overall_lacks_is_named() -> None:
    everything = {**NON_LIVE, **LIVE, **MULTI_TURN, **IRRELEVANCE, **AGENTIC}
    searched = ["web_search_base", "web_search_no_snippet"]
    assert missing_parts(columns(scores(everything))) == []
    assert missing_parts({}) == missing_parts(columns(scores({"sums": (1, 2)}))) == []
    without = columns(scores({name: of for name, of in everything.items() if name not in searched}))
    assert missing_parts(without) == ["Web Search Base", "Web Search No Snippet"]
    assert without["Memory Acc"] == "0.500000" and "Web Search Acc" not in without


def test_overall_without_web_search_is_between_two_values() -> None:
    everything = {**NON_LIVE, **LIVE, **MULTI_TURN, **IRRELEVANCE, **AGENTIC}
    searched = ["web_search_base", "web_search_no_snippet"]
    without = {name: of for name, of in everything.items() if name not in searched}
    least, most = (columns(scores(without | dict.fromkeys(searched, of)))["Overall Acc"] for of in ((0, 10), (10, 10)))
    bounds = overall_bounds(columns(scores(without)))
    assert bounds is not None
    assert (float(bounds[0]), float(bounds[1])) == pytest.approx((float(least), float(most)), abs=2e-6)


def test_there_are_no_bounds_of_a_score_that_is_there_or_lacks_more() -> None:
    everything = {**NON_LIVE, **LIVE, **MULTI_TURN, **IRRELEVANCE, **AGENTIC}
    assert overall_bounds(columns(scores(everything))) is None
    assert overall_bounds(columns(scores({**NON_LIVE, **LIVE}))) is None


def of_format(shares: dict[str, tuple[int, int]]) -> list[Verdict]:
    """Verdicts on cases of format sensitivity: passed and all, by configuration."""
    return [
        Verdict(
            id=f"format_sensitivity_{number}:{name}:parallel_{number}",
            category="format_sensitivity",
            passed=number < passed,
            score=float(number < passed),
        )
        for name, (passed, total) in shares.items()
        for number in range(total)
    ]


ALL_HALF = {variation.configuration: (2, 4) for variation in PROMPT_VARIATIONS}


def test_format_sensitivity_is_the_spread_over_all_variations() -> None:
    best, worst, *_ = ALL_HALF
    found = aggregate(of_format(ALL_HALF | {best: (4, 4), worst: (1, 4)}), scorer="Bfcl").leaderboard
    assert found[MAX_DELTA] == "0.750000"
    assert found[DEVIATION] == f"{stdev([1, 0.25, *[0.5] * 24]):.6f}"
    assert (found[f"Config {best}"], found[f"Config {worst}"]) == ("1.000000", "0.250000")
    assert len(found) == 2 + 26
    assert OVERALL_WITHOUT_AGENTIC not in found


def test_format_sensitivity_needs_every_variation() -> None:
    first, *_ = ALL_HALF
    assert format_columns(of_format({name: of for name, of in ALL_HALF.items() if name != first})) == {}
    others = [verdict.model_copy(update={"category": "mine"}) for verdict in of_format(ALL_HALF)]
    assert format_columns(others) == {}


def test_columns_are_called_as_on_the_leaderboard() -> None:
    official = [name for name in COLUMNS_OVERALL if name in COLUMNS]
    assert list(COLUMNS) == [OVERALL, OVERALL_WITHOUT_AGENTIC, *official[1:]]
    assert {MAX_DELTA, DEVIATION} < set(COLUMNS_OVERALL)


def test_only_bfcls_own_verdicts_make_columns() -> None:
    verdicts = [Verdict(id="a", category="multiple", passed=True, score=1.0)]
    assert aggregate(verdicts, scorer="Bfcl").leaderboard == {"Non-Live Multiple AST": "1.000000"}
    assert aggregate(verdicts, scorer="ExactMatch").leaderboard == {}
