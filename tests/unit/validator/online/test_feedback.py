"""What a miner reads about its answer."""

from __future__ import annotations

from bitagent_crds.examiner import CriterionScore, ExaminerVerdict
from bitagent_validator.online.feedback import LENGTH_MAX, feedback
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
