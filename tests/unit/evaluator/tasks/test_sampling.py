"""Which tasks are drawn: by weight, without repetition, by the seed alone."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bitagent_evaluator.tasks.sampling import draw, order, rank, shares

SHARES = {
    "by weight": (100, [1, 3], [1000, 1000], [25, 75]),
    "one source": (5, [7], [10], [5]),
    "the largest remainder gets the odd task": (10, [2, 1], [100, 100], [7, 3]),
    "equal remainders go to the earlier": (3, [1, 1], [100, 100], [2, 1]),
    "a dry source leaves its share": (100, [1, 1], [10, 1000], [10, 90]),
    "its share goes by weight": (100, [2, 1, 1], [0, 100, 100], [0, 50, 50]),
    "dry one after the other": (30, [1, 1, 1], [1, 5, 100], [1, 5, 24]),
    "more than there is": (100, [1, 1], [3, 4], [3, 4]),
    "nothing there": (5, [1, 2], [0, 0], [0, 0]),
}


@pytest.mark.parametrize(("count", "weights", "available", "expected"), SHARES.values(), ids=SHARES)
def test_shares(count: int, weights: list[int], available: list[int], expected: list[int]) -> None:
    assert shares(count, weights, available) == expected


SOURCES = st.lists(st.tuples(st.integers(1, 1000), st.integers(0, 500)), min_size=1, max_size=8)


@given(st.integers(1, 2000), SOURCES)
def test_shares_never_exceed_what_there_is(count: int, sources: list[tuple[int, int]]) -> None:
    weights, available = [weight for weight, _ in sources], [have for _, have in sources]
    given_tasks = shares(count, weights, available)
    assert sum(given_tasks) == min(count, sum(available))
    assert all(0 <= taken <= have for taken, have in zip(given_tasks, available, strict=True))


@given(st.integers(1, 2000), st.lists(st.integers(1, 1000), min_size=1, max_size=8))
def test_shares_are_within_one_of_exact_when_nothing_runs_dry(count: int, weights: list[int]) -> None:
    given_tasks = shares(count, weights, [count] * len(weights))
    assert all(
        abs(taken - count * weight / sum(weights)) < 1 for taken, weight in zip(given_tasks, weights, strict=True)
    )


IDS = st.lists(st.text(min_size=1, max_size=6), unique=True, max_size=40)


@given(IDS, st.integers(0, 50), st.text(min_size=1, max_size=8), st.randoms(use_true_random=False))
def test_a_draw_depends_on_the_seed_and_not_on_the_order_of_the_ids(
    ids: list[str], count: int, seed: str, mixer: Any
) -> None:
    mixed = list(ids)
    mixer.shuffle(mixed)
    drawn = draw(ids, count, seed=seed, index=0)
    assert drawn == draw(mixed, count, seed=seed, index=0)
    assert len(drawn) == len(set(drawn)) == min(count, len(ids))
    assert set(drawn) <= set(ids)
    assert order(ids, seed=seed) == order(mixed, seed=seed)
    assert sorted(order(ids, seed=seed)) == sorted(ids)


@given(IDS, st.integers(0, 20), st.integers(0, 20))
def test_a_larger_draw_holds_the_smaller(ids: list[str], few: int, more: int) -> None:
    assert set(draw(ids, few, seed="s", index=0)) <= set(draw(ids, few + more, seed="s", index=0))


def test_another_seed_or_place_draws_other_tasks() -> None:
    ids = [f"task-{i}" for i in range(100)]
    base = draw(ids, 20, seed="a", index=0)
    assert draw(ids, 20, seed="b", index=0) != base
    assert draw(ids, 20, seed="a", index=1) != base
    assert order(ids, seed="a") != order(ids, seed="b")


def test_the_draw_is_pinned() -> None:
    """Another result here means that every published seed now names another task set."""
    ids = [f"task-{i}" for i in range(20)]
    assert draw(ids, 5, seed="0xabc", index=0) == ["task-10", "task-9", "task-4", "task-3", "task-13"]
    assert order(ids[:5], seed="0xabc") == ["task-0", "task-2", "task-1", "task-3", "task-4"]


def test_every_task_is_drawn_about_equally_often() -> None:
    ids = [f"task-{i}" for i in range(10)]
    counts = dict.fromkeys(ids, 0)
    for seed in range(2000):
        for task_id in draw(ids, 3, seed=str(seed), index=0):
            counts[task_id] += 1
    assert all(abs(count - 600) < 5 * 20.5 for count in counts.values()), counts  # five standard deviations


def test_rank_keeps_its_parts_apart() -> None:
    assert rank("ab", "c") != rank("a", "bc")
    assert len(rank("\ud800")) == 32
