"""Troubles of the hub, and the pause that follows."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from bitagent_crds.conditions import Reason
from bitagent_crds.jobs import FetchSummary, termination_message
from bitagent_operator.plan.interface import HubTrouble
from bitagent_operator.plan.jobs.outcome import Active, InfraFault, Lost
from bitagent_operator.plan.models.hub import hub_trouble, pause_after

if TYPE_CHECKING:
    from tests.unit.operator.conftest import Make

Seen = tuple[float, int | None]
"""Second at which a fetch met a trouble, and the pause that the hub asked for."""


@pytest.mark.parametrize(
    ("seen", "until"),
    [
        pytest.param([(0, None)], 30, id="first"),
        pytest.param([(0, None), (30, None)], 90, id="again: twice as long"),
        pytest.param([(0, None), (30, None), (90, None)], 210, id="and again"),
        pytest.param([(0, None), (1, None), (29, None)], 30, id="within the pause: nothing new"),
        pytest.param([(0, 300)], 300, id="asked for longer"),
        pytest.param([(0, 5)], 30, id="asked for less"),
        pytest.param([(0, None), (10, 300)], 310, id="asked for within the pause"),
        pytest.param([(1000.0 * i, None) for i in range(12)], 11_600, id="never longer than ten minutes"),
    ],
)
def test_pause(make: Make, seen: list[Seen], until: float) -> None:
    def trouble(at: float, asked: int | None) -> HubTrouble:
        pause = timedelta(seconds=asked) if asked is not None else None
        return HubTrouble(str(at), Reason.HUB_RATE_LIMITED, make.at(at), pause)

    found = pause_after([trouble(*each) for each in reversed(seen)])
    assert found is not None
    assert found.until == make.at(until)


@pytest.mark.parametrize(
    ("seen", "until"),
    [
        pytest.param([(0, "org/a", "HubUnavailable"), (30, "org/a", "HubUnavailable")], None, id="one repository"),
        pytest.param([(0, "org/a", "HubUnavailable"), (30, "org/b", "HubUnavailable")], 60, id="two repositories"),
        pytest.param([(0, "org/a", "HubUnavailable"), (900, "org/b", "HubUnavailable")], None, id="long before"),
        pytest.param([(0, "org/a", "HubRateLimited")], 30, id="a limit is the hub's"),
        pytest.param([(0, "org/a", "HubRateLimited"), (40, "org/b", "HubUnavailable")], 100, id="after a limit"),
    ],
)
def test_one_repository_alone_holds_no_other(
    make: Make, seen: list[tuple[float, str, str]], until: float | None
) -> None:
    found = pause_after(
        [HubTrouble(str(at), Reason(reason), make.at(at), repository=repo) for at, repo, reason in seen]
    )
    assert (found.until if found is not None else None) == (make.at(until) if until is not None else None)


def test_no_trouble_no_pause() -> None:
    assert pause_after([]) is None


@pytest.mark.parametrize(
    ("reason", "seconds", "pauses"),
    [
        pytest.param(Reason.HUB_RATE_LIMITED, 90, 90, id="rate limit"),
        pytest.param(Reason.HUB_UNAVAILABLE, None, None, id="5xx"),
        pytest.param(Reason.HUB_RATE_LIMITED, 10**15, 3600, id="absurd"),
    ],
)
def test_what_a_job_met(make: Make, reason: Reason, seconds: int | None, pauses: int | None) -> None:
    job = make.fetch("a", ended="Failed", at=100)
    summary = termination_message(FetchSummary(reason=reason, message="m", retry_after_seconds=seconds))
    pods = [make.pod(job, code=75, message=summary)]
    found = hub_trouble(job, InfraFault(reason, "m", make.at(100)), pods, repository="org/a")
    asked = timedelta(seconds=pauses) if pauses is not None else None
    assert found == HubTrouble(job.meta.uid, reason, make.at(100), asked, "org/a")


def test_a_pod_shows_it_before_its_job_ends(make: Make) -> None:
    job = make.fetch("a", failed=1)
    summary = termination_message(FetchSummary(reason=Reason.HUB_UNAVAILABLE, message="503"))
    pods = [make.pod(job, code=1, message=summary, at=50), make.pod(job, name="next", created=60, at=61)]
    found = hub_trouble(job, Active(), pods, repository="")
    assert found == HubTrouble(job.meta.uid, Reason.HUB_UNAVAILABLE, make.at(50))
    assert hub_trouble(job, Active(), pods[1:], repository="") is None


@pytest.mark.parametrize("reason", [Reason.OUT_OF_MEMORY, Reason.HUB_TOKEN_REJECTED, Reason.VOLUME_FULL])
def test_others_would_not_meet_it(make: Make, reason: Reason) -> None:
    job = make.fetch("a", ended="Failed", at=100)
    assert hub_trouble(job, InfraFault(reason, "m", make.at(100)), [], repository="") is None
    assert hub_trouble(job, Lost("m", make.at(100)), [], repository="") is None
