"""Events about the results of a round, by what was recorded before and what is now."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest

from bitagent_crds.evalround import EvalRoundStatus
from bitagent_operator.plan.rounds.events import events

BEGUN = {"startedAt": "2026-01-01T00:00:00Z"}
WAITS = {"state": "Pending", "reason": "Starting"}
RUNS = {"state": "Running", "reason": "Evaluating"}
CRASHED = {"state": "Running", "reason": "Crashed", "message": "exit code 139"}
NO_NODE = {"state": "Pending", "reason": "Unschedulable"}


@pytest.mark.parametrize(
    ("steps", "expected"),
    [
        pytest.param([WAITS, RUNS | BEGUN, CRASHED | BEGUN], 1, id="a shard that fails"),
        pytest.param([WAITS, CRASHED, CRASHED | BEGUN], 1, id="seen before its Job says that it has started"),
        pytest.param([WAITS, NO_NODE, NO_NODE | BEGUN, NO_NODE | BEGUN], 1, id="or one that finds no node"),
        pytest.param([WAITS, NO_NODE, WAITS | BEGUN], 0, id="a wait before its start, which is over then"),
        pytest.param([WAITS, CRASHED | BEGUN, CRASHED | BEGUN | {"message": "139"}], 1, id="in other words"),
        pytest.param([WAITS, RUNS, RUNS | BEGUN], 0, id="one that runs well"),
    ],
)
def test_a_delay_is_reported_once(steps: list[dict[str, Any]], expected: int) -> None:
    """The Job's controller makes the pods before it records the Job's start, and these may fail meanwhile."""
    states = [EvalRoundStatus.model_validate({"results": [{"model": "m", **step}]}) for step in steps]
    found = [event.reason for old, new in pairwise(states) for event in events(old, new)]
    assert found == ["EvaluationDelayed"] * expected
