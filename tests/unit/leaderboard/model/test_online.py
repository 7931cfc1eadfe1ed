"""Steps of online evaluation, as everybody may see them."""

from __future__ import annotations

import pytest

from bitagent_crds.online import OnlineOutcome, OnlineStatus
from bitagent_leaderboard.model.online import online_steps
from tests import leaderboard_objects as objects


def test_the_largest_average_is_first() -> None:
    answers = [
        objects.asked(1, "NotServing", score="0.000000"),
        objects.asked(2, score="0.500000", mean="0.250000"),
        objects.asked(3, score="0.100000", mean="0.750000"),
    ]
    (step,) = online_steps([OnlineStatus.model_validate(objects.step(*answers))])
    assert (step.competition, step.block, step.miners) == ("tools", 7175, 9)
    assert [(each.hotkey, each.score, each.mean, each.outcome.reason) for each in step.answers] == [
        (objects.hotkey(3), "0.100000", "0.750000", "Scored"),
        (objects.hotkey(2), "0.500000", "0.250000", "Scored"),
        (objects.hotkey(1), "0.000000", None, "NotServing"),
    ]


@pytest.mark.parametrize("outcome", OnlineOutcome)
def test_every_outcome_has_a_sentence_of_its_own(outcome: OnlineOutcome) -> None:
    (step,) = online_steps([OnlineStatus.model_validate(objects.step(objects.asked(1, outcome)))])
    assert not step.answers[0].outcome.meaning.startswith("A later version")


def test_of_a_later_version() -> None:
    (step,) = online_steps([OnlineStatus.model_validate(objects.step(objects.asked(1, "Slept")))])
    assert (step.answers[0].outcome.reason, step.answers[0].outcome.meaning.split()[0]) == ("Slept", "A")


def test_a_competition_without_a_step() -> None:
    assert online_steps([OnlineStatus.model_validate(objects.step(block=0))]) == ()
