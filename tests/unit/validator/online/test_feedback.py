"""What a miner reads about its answer."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from bitagent_crds.examiner import CriterionScore, ExaminerVerdict
from bitagent_crds.validator import Competition
from bitagent_validator.online.feedback import LAG_SECONDS, LENGTH_MAX, feedback, held_seconds
from bitagent_validator.state.scores import OnlineMean, OnlineState

VERDICT = ExaminerVerdict(
    points=2.5,
    maximum=4,
    score=0.625,
    criteria=[CriterionScore(name="names", points=-0.5, maximum=3, detail="[b]one[/b] is missing")],
    expected_shape="[name(a=1)]",
)


def test_criteria_points_and_form_without_markup() -> None:
    means = {
        hotkey: OnlineMean(registered_at=1, mean=mean, count=1, block=1)
        for hotkey, mean in (("a", 0.2), ("b", 0.4), ("c", 0.9))
    }
    assert feedback(VERDICT, mean=0.2, others=OnlineState(block=1, means=means)).splitlines() == [
        "Score 0.625: 2.5 of 4 points",
        "- names: -0.5 of 3 (\\[b]one\\[/b] is missing)",
        "Expected form: \\[name(a=1)]",
        "Your average before this answer: 0.200; of all miners: best 0.900, median 0.400",
    ]


def test_before_the_first_step_there_is_no_average() -> None:
    assert "average" not in feedback(VERDICT, mean=None, others=None)


def test_the_length_is_bounded() -> None:
    criterion = CriterionScore(name="n" * 64, points=0, maximum=1, detail="[" * 300)
    long = VERDICT.model_copy(update={"criteria": [criterion] * 16})
    assert len(feedback(long, mean=None, others=None)) == LENGTH_MAX


@pytest.mark.parametrize(
    ("key", "seconds"),
    [
        pytest.param({}, 0.0, id="own"),
        pytest.param({"secretRef": {"name": "s", "key": "k"}}, 9 + LAG_SECONDS, id="common"),
    ],
)
def test_with_a_common_key_feedback_waits_for_the_other_validators(
    competition: Callable[..., Competition], key: dict[str, Any], seconds: float
) -> None:
    tasks = {"sources": [{"bfcl": {"categories": ["multiple"]}}], "count": 10} | key
    given = competition(round={"models": {"matchLabels": {}}, "tasks": tasks}, online={"timeoutSeconds": 9})
    assert held_seconds(given) == seconds
    assert held_seconds(competition()) == 0.0
