"""Evaluations that run and make no progress: what counts, from when on, and what proves nothing."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from bitagent_crds.conditions import Reason
from bitagent_operator.plan.jobs.stalls import stalled

if TYPE_CHECKING:
    from tests.unit.operator.conftest import Make

BOUND = timedelta(seconds=900)


@pytest.mark.parametrize(
    ("said", "pod", "ends"),
    [
        pytest.param({"read": 995, "advanced": 100}, {}, True, id="answers, and says that nothing happens"),
        pytest.param({"read": 995, "advanced": 101}, {}, False, id="a second is left"),
        pytest.param({"read": 995, "advanced": 990}, {}, False, id="makes progress"),
        pytest.param(
            {"read": 995, "advanced": 100, "mute": True}, {}, True, id="takes connections and does not answer"
        ),
        pytest.param({"read": 930, "advanced": 100}, {}, False, id="has not been reached for more than a minute"),
        pytest.param(None, {}, False, id="has never said anything"),
        pytest.param({"read": 995, "advanced": 0}, {"code": 1}, False, id="has ended"),
        pytest.param({"read": 995, "advanced": 0}, {"deleted": 1030}, False, id="is being deleted"),
        pytest.param({"read": 995, "advanced": 0}, {"waiting": ("PodInitializing", "")}, False, id="has not started"),
    ],
)
def test_stall(make: Make, said: dict[str, Any] | None, pod: dict[str, Any], ends: bool) -> None:
    job = make.evaluation("k")
    own = make.serving_pod(job, node="n1", **pod)
    known = {own.meta.uid: make.said(done=3, **said)} if said is not None else {}
    found = stalled(job, [own], replace(make.pass_(now=1000), progress=known), BOUND)
    assert (found is not None) == ends
    if found is not None:
        assert (found.reason, found.at, found.nodes) == (Reason.ENGINE_STALLED, make.at(1000), ("n1",))
        assert "3 of 200" in found.message and "900" in found.message


@pytest.mark.parametrize(
    ("said", "look"),
    [
        pytest.param({"read": 995, "advanced": 400}, 300, id="when the bound ends"),
        pytest.param({"read": 900, "advanced": 0}, 60, id="when it may be reached again"),
    ],
)
def test_it_is_looked_at_again(make: Make, said: dict[str, Any], look: float) -> None:
    job = make.evaluation("k")
    own = make.serving_pod(job)
    pass_ = replace(make.pass_(now=1000), progress={own.meta.uid: make.said(**said)})
    assert stalled(job, [own], pass_, BOUND) is None
    assert pass_.next_look() == look


def test_another_jobs_pod_does_not_count(make: Make) -> None:
    job, other = make.evaluation("k"), make.evaluation("other")
    pod = make.serving_pod(other)
    pass_ = replace(make.pass_(now=1000), progress={pod.meta.uid: make.said(read=995, advanced=0)})
    assert stalled(job, [pod], pass_, BOUND) is None
