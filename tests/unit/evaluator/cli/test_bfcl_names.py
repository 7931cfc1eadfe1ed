"""Names of BFCL's categories and groups."""

from __future__ import annotations

import pytest

from bitagent_crds.tasks import MEMORY, MULTI_TURN, BfclCategory
from bitagent_evaluator.cli.bfcl_names import GROUPS, categories_of


def test_the_groups_of_the_leaderboard() -> None:
    assert {*GROUPS["single_turn"], *GROUPS["multi_turn"]} == set(GROUPS["all"])
    assert {*GROUPS["non_live"], *GROUPS["live"]} == set(GROUPS["single_turn"])
    assert set(BfclCategory) - set(GROUPS["all"]) == {BfclCategory.FORMAT_SENSITIVITY, *MEMORY}
    assert (set(GROUPS["memory"]), set(GROUPS["multi_turn"])) == (MEMORY, MULTI_TURN)


@pytest.mark.parametrize(
    ("value", "found"),
    [
        ("memory", ["memory_kv", "memory_rec_sum", "memory_vector"]),
        ("multiple, memory_kv,memory", ["multiple", "memory_kv", "memory_rec_sum", "memory_vector"]),
        ("parallel,parallel,", ["parallel"]),
    ],
    ids=["a group", "a group and members", "twice"],
)
def test_names_are_categories_each_once(value: str, found: list[str]) -> None:
    assert categories_of(value) == found


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ("web_search", "search engine"),
        ("agentic", "memory is here"),
        ("all_scoring", "all,memory"),
        ("liv", "did you mean 'live'"),
        (" ,", "no category is named"),
    ],
)
def test_what_is_not_offered_says_what_is(value: str, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        categories_of(value)
