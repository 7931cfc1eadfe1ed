"""When a fetch has found what it found, whatever the nodes' clocks say."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from bitagent_operator.plan.models.fetch import needed_fetch
from bitagent_operator.plan.models.fetch_step import record_fetch

if TYPE_CHECKING:
    from tests.unit.operator.conftest import Make

NOW = 100


@pytest.mark.parametrize(
    ("code", "reason", "clock", "at"),
    [
        pytest.param(0, "", 90, 89, id="a node says when"),
        pytest.param(0, "", 7200, NOW, id="its clock is ahead"),
        pytest.param(0, "", -7200, 51, id="its clock is behind"),
        pytest.param(78, "BadConfig", 90, NOW, id="a rejection counts from when it is recorded"),
        pytest.param(78, "BadConfig", 7200, NOW, id="a rejection by a clock that is ahead"),
    ],
)
def test_nothing_was_found_in_the_future(make: Make, code: int, reason: str, clock: float, at: float) -> None:
    job = make.fetch("a", since=50, created=51, ended="Complete" if code == 0 else "Failed")
    message = make.fetch_fault(reason) if reason else make.fetched()
    pods = [make.pod(job, code=code, message=message, at=clock)]
    found = record_fetch(make.model("a", revision="main"), job, pods, make.pass_(now=NOW, listed=[job]))
    assert found.result is not None
    assert found.result.at == make.at(at)


def test_a_branch_is_fetched_again_for_a_later_round_although_a_clock_was_ahead(make: Make) -> None:
    job = make.fetch("a", since=50, created=51, ended="Complete")
    pods = [make.pod(job, code=0, message=make.fetched(), at=7200)]
    found = record_fetch(make.model("a", revision="main"), job, pods, make.pass_(now=NOW, listed=[job]))
    model = make.model("a", revision="main", status=found.status.to_wire())
    later = make.started("a", at=1800)
    assert needed_fetch(model, found.result, [later]) is not None
