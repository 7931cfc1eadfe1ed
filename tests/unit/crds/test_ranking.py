"""Ranks of models that were evaluated together."""

from __future__ import annotations

import random
from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bitagent_crds.conditions import Reason
from bitagent_crds.jobs import EvaluateSummary
from bitagent_crds.model_result import ModelResult
from bitagent_crds.ranking import MODEL_FAULT_SCORE, Scored, ranks


@dataclass(frozen=True)
class Entry:
    score: str | None
    loss: str | None = None


FAULT = Entry(MODEL_FAULT_SCORE)


@pytest.mark.parametrize(
    ("results", "expected"),
    [
        pytest.param([], [], id="nothing"),
        pytest.param([Entry("0.500000"), Entry("0.750000")], [2, 1], id="highest score first"),
        pytest.param(
            [Entry("0.500000"), Entry("0.500000"), Entry("0.100000")], [1, 1, 3], id="equals share, next skips"
        ),
        pytest.param([Entry("1.000000"), Entry("0.999999")], [1, 2], id="one is more than less than one"),
        pytest.param([Entry(None), Entry("0.000000"), None], [None, 1, None], id="no score, no rank"),
        pytest.param([FAULT, Entry("0.100000")], [2, 1], id="a model at fault is behind a score"),
        pytest.param([FAULT, Entry("0.000000")], [1, 1], id="a model at fault is level with a score of 0"),
        pytest.param([Entry("0.000000", "20.500000"), Entry("0.000000", "20.400000")], [2, 1], id="lowest loss first"),
        pytest.param(
            [Entry("0.904837", "0.100000"), Entry("0.367879", "10.000000"), Entry("0.904837", "0.100000")],
            [1, 3, 1],
            id="losses as numbers, not texts",
        ),
        pytest.param([Entry("1.000000", "0.000000"), Entry("0.900000", "0.105361")], [1, 2], id="a loss of 0 is best"),
        pytest.param(
            [Entry("0.000000", "inf"), FAULT, Entry("0.000001", "13.800000")],
            [2, 2, 1],
            id="without a finite loss: last, together",
        ),
        pytest.param(
            [FAULT, Entry("0.000000", "30.000000"), Entry("0.000000", "20.000000")],
            [3, 2, 1],
            id="one measured loss makes losses decide",
        ),
        pytest.param(
            [Entry(None, "1.000000"), Entry("0.500000"), Entry("0.750000")], [None, 2, 1], id="a loss without a score"
        ),
    ],
)
def test_ranks(results: list[Scored | None], expected: list[int | None]) -> None:
    assert ranks(results) == expected


def test_status_entries_and_summaries_can_be_ranked() -> None:
    entry = ModelResult(model="a", score="0.250000")
    summary = EvaluateSummary(reason=Reason.EVALUATED, score="0.500000")
    assert ranks([entry, summary]) == [2, 1]


@given(st.lists(st.sampled_from(["0.000000", "0.250000", "1.000000"]), max_size=8), st.randoms(use_true_random=False))
def test_ranks_do_not_depend_on_the_order(scores: list[str], rng: random.Random) -> None:
    order = list(range(len(scores)))
    rng.shuffle(order)
    plain, shuffled = ranks([Entry(s) for s in scores]), ranks([Entry(scores[i]) for i in order])
    assert shuffled == [plain[i] for i in order]
