"""Evaluations that run and make no progress: what counts, from when on, and what proves nothing."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from tests.unit.operator.plan.jobs.test_packs import RUNS, STUCK, pack
from tests.unit.operator.plan.jobs.test_packs import pod as pack_pod

from bitagent_crds.conditions import Reason
from bitagent_operator.plan.jobs.outcome import Active
from bitagent_operator.plan.jobs.packs import part_of
from bitagent_operator.plan.jobs.stalls import stalled, with_hang

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


@pytest.mark.parametrize(
    ("key", "codes", "now", "more", "hangs"),
    [
        pytest.param("a", (RUNS, RUNS, RUNS), 900, {}, False, id="a second is left"),
        pytest.param("a", (RUNS, RUNS, RUNS), 901, {}, True, id="its time, and that of its supervisor, are over"),
        pytest.param("b", (RUNS, RUNS, RUNS), 5000, {}, False, id="not its turn"),
        pytest.param("b", (0, RUNS, RUNS), 929, {}, False, id="since the one before has ended"),
        pytest.param("b", (1, RUNS, RUNS), 930, {}, True, id="the second one"),
        pytest.param("a", (STUCK, RUNS, RUNS), 5000, {}, False, id="its outcome cannot arrive"),
        pytest.param("a", (137, RUNS, RUNS), 5000, {}, False, id="its container was killed"),
        pytest.param("a", (RUNS, RUNS, RUNS), 5000, {"deleted": 5030}, False, id="is being deleted"),
        pytest.param("a", (RUNS, RUNS, RUNS), 5000, {"seconds": None}, False, id="without a bound"),
        pytest.param("a", (RUNS, RUNS, RUNS), 519, {"said": {"read": 515, "advanced": 100}}, False, id="may be ended"),
        pytest.param("a", (RUNS, RUNS, RUNS), 520, {"said": {"read": 515, "advanced": 100}}, True, id="stalls"),
        pytest.param(
            "b", (RUNS, RUNS, RUNS), 520, {"said": {"read": 515, "advanced": 100}}, False, id="another one stalls"
        ),
    ],
)
def test_a_pack_whose_supervisor_hangs(
    make: Make, key: str, codes: tuple[int | None, ...], now: float, more: dict[str, Any], hangs: bool
) -> None:
    """Each of three has 600 s, and 120 s without progress; the supervisor has 300 s to end it."""
    job = replace(pack(make), attempt_seconds=more.get("seconds", 1800))
    own = pack_pod(make, job, *codes, **({"deleted": more["deleted"]} if "deleted" in more else {}))
    part, views = part_of(job, [own], key)
    said = {own.meta.uid: make.said(done=3, **more["said"])} if "said" in more else {}
    pass_, bound = replace(make.pass_(now=now), progress=said), timedelta(seconds=120)
    found, stalls = with_hang(part, views, Active(), pass_, known=[], reported=None, bound=bound)
    assert (found.problem is not None, len(stalls)) == (hangs, hangs)
    if found.problem is None:
        return
    assert found.problem.reason is Reason.ENGINE_STALLED
    again, same = with_hang(part, views, Active(), pass_, known=stalls, reported=found.problem, bound=bound)
    assert (again.problem, same) == (found.problem, stalls), "recorded once"


def test_a_pack_is_looked_at_when_its_supervisor_should_have_acted(make: Make) -> None:
    job = replace(pack(make), attempt_seconds=1800)
    part, views = part_of(job, [pack_pod(make, job, RUNS, RUNS, RUNS)], "a")
    pass_ = make.pass_(now=101)
    with_hang(part, views, Active(), pass_, known=[], reported=None, bound=BOUND)
    assert pass_.next_look() == 800
