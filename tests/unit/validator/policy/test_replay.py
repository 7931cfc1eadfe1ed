"""Lines of a replay: what is read, what is written, and what is refused with the line's number."""

from __future__ import annotations

import json
from typing import Any

import pytest

from bitagent_validator.policy.replay import ReplayError, best_kept, replay, write

IS_WIN = {"kind": "iswin", "id": "1", "epsilon": 0.01, "loss_i": "inf", "loss_j": 2.0, "block_i": 1, "block_j": "inf"}
STEP = {
    "competition": "l3",
    "reward_percentage": 0.5,
    "n_competitions": 2,
    "n_uids": 3,
    "uids": [0, 2],
    "losses": {"0": [1.0], "2": [2.0]},
    "blocks": {"0": 1, "2": 2},
}
STEPS = {"kind": "steps", "id": "s", "epsilon": 0.01, "temperature": 0.08, "alpha": 0.9, "sample_min": 1}
STEPS |= {"initial_weights": ["nan", 0.5], "steps": [STEP]}


def one(case: dict[str, Any]) -> dict[str, Any]:
    (result,) = replay([json.dumps(case)])
    return result


def test_numbers_that_json_lacks_are_texts() -> None:
    assert one(IS_WIN) == {"id": "1", "win": False}
    assert list(write([{"a": [float("inf"), float("nan")], "b": {"c": -1.5}}])) == [
        '{"a":["inf","nan"],"b":{"c":-1.5}}\n'
    ]


def test_a_step_by_hand() -> None:
    (step,) = one(STEPS)["steps"]
    assert (step["wins"], step["win_rate"], step["keep_uids"]) == ({"0": 1, "2": 0}, {"0": 1.0, "2": 0.0}, [0])
    assert step["weights"] == pytest.approx([0.0, 0.45, 0.0], abs=1e-5), (
        "what was not a number is 0; a new uid begins at 0"
    )
    assert step["step_weights"]["0"] == pytest.approx(1, abs=1e-5)


def test_of_equal_win_rates_the_first_is_kept() -> None:
    assert best_kept([3, 1, 2], {"3": 0.5, "1": 0.5, "2": 0.7}, count=2) == [2, 3]


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        pytest.param("{", "line 2: Invalid JSON", id="no JSON"),
        pytest.param('{"kind": "other", "id": "x"}', "line 2: .*'iswin', 'steps', 'dup'", id="an unknown kind"),
        pytest.param(json.dumps(IS_WIN | {"loss_i": "much"}), "line 2: iswin.loss_i: ", id="no number"),
        pytest.param(json.dumps(STEPS | {"temperature": 0}), "line 2: steps.temperature: ", id="no temperature"),
        pytest.param(
            json.dumps(STEPS | {"steps": [STEP | {"uids": [0, 1]}]}),
            "line 2: uid '1' has no",
            id="a uid without losses",
        ),
        pytest.param(
            json.dumps(STEPS | {"steps": [STEP | {"n_uids": 2}]}), "line 2: a uid is not below n_uids", id="a high uid"
        ),
    ],
)
def test_a_line_that_is_no_case_is_refused(line: str, problem: str) -> None:
    with pytest.raises(ReplayError, match=problem):
        list(replay(["", line]))
