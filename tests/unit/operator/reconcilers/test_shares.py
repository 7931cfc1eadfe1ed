"""Claims of rounds in memory: what is held is counted from the cache first, and who may start more is called."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from bitagent_crds.names import KEY_LABEL, ROUND_LABEL, Component
from bitagent_operator import naming
from bitagent_operator.observed.cache import Cache, Key, Kind
from bitagent_operator.observed.objects import RoundObject
from bitagent_operator.plan.interface import RoundPlan, StartEvaluation
from bitagent_operator.plan.jobs.pods import GONE_AFTER
from bitagent_operator.plan.rounds.holders import LEAVES_SLOT_AFTER
from bitagent_operator.reconcilers.shares import Shares

if TYPE_CHECKING:
    from tests.unit.operator.conftest import Make

    from bitagent_operator.plan.shares import Share


class World:
    def __init__(self, make: Make, bound: int = 4) -> None:
        self.make, self.bound, self.cache, self.shares = make, bound, Cache(), Shares()
        self.rounds: dict[str, RoundObject] = {}

    def round(self, name: str, *, jobs: int = 0, **workload: Any) -> RoundObject:
        raw = self.make.round_raw(name, workload=workload)
        self.cache.put("EvalRound", raw)
        for number in range(jobs):
            purpose = naming.labels(Component.EVALUATE, {ROUND_LABEL: name, KEY_LABEL: f"k{number}"})
            meta = self.make.meta(f"{name}-{number}", labels=purpose)
            self.cache.put("Job", {"metadata": meta, "spec": {}})
        found = self.cache.rounds.get(Key(Kind.ROUND, name))
        assert found is not None
        return found

    def share(self, observed: RoundObject) -> Share | None:
        return self.shares.of(observed, self.cache, bound=self.bound, now=self.make.at(10))

    def pass_(self, observed: RoundObject, *, held: int, demand: int) -> tuple[int, list[str]]:
        """A pass of a round that holds so many and could start as many more; what it starts, and who is called."""
        share = self.share(observed)
        assert share is not None
        started = share.room(holds=held, waits=demand)
        entry: Any = None
        starts = tuple(StartEvaluation(f"k{n}", 1, entry) for n in range(started))
        plan = RoundPlan(status=observed.status, held=held, evaluate=starts, waits_for_slots=demand - started)
        called = self.shares.settle(observed, share, plan, now=self.make.at(10))
        return started, [key.name for key in called]


@pytest.mark.parametrize(
    ("bound", "workload", "concerned"),
    [
        pytest.param(4, {}, True, id="it holds GPUs"),
        pytest.param(0, {}, False, id="no bound"),
        pytest.param(4, {"queueName": "gpu"}, False, id="a queue decides"),
        pytest.param(4, {"resources": {"gpus": 0}}, False, id="CPUs only"),
    ],
)
def test_whom_the_bound_concerns(make: Make, bound: int, workload: dict[str, Any], concerned: bool) -> None:
    world = World(make, bound)
    assert (world.share(world.round("a", **workload)) is not None) is concerned


def test_what_other_rounds_hold_counts_before_they_were_planned(make: Make) -> None:
    """As after a restart."""
    world = World(make)
    world.round("b", jobs=3)
    world.round("c", jobs=9, queueName="gpu")
    assert world.pass_(world.round("a"), held=0, demand=8) == (1, [])


def test_a_slot_is_taken_before_its_job_is_seen(make: Make) -> None:
    world = World(make)
    a, b = world.round("a"), world.round("b")
    assert world.pass_(a, held=0, demand=8) == (4, [])
    assert world.pass_(b, held=0, demand=8) == (0, []), "though the cache has no Job yet"


def test_rounds_are_called_when_slots_are_free_and_share_them(make: Make) -> None:
    world = World(make)
    a, b, c = world.round("a"), world.round("b"), world.round("c")
    world.pass_(a, held=0, demand=8)
    world.pass_(b, held=0, demand=8)
    world.pass_(c, held=0, demand=8)
    assert world.pass_(a, held=3, demand=4) == (0, ["b"]), "it may start one"
    assert world.pass_(b, held=0, demand=8) == (1, ["c"]), "which is the next one now"
    assert world.pass_(a, held=2, demand=4) == (0, ["c"])
    assert world.pass_(c, held=0, demand=8)[0] == 1
    assert world.pass_(c, held=1, demand=7) == (0, []), "a pass that changes nothing calls no other round"


def test_the_end_of_a_round_frees_what_it_held(make: Make) -> None:
    world = World(make)
    a, b = world.round("a", jobs=4), world.round("b")
    world.pass_(a, held=4, demand=0)
    assert world.pass_(b, held=0, demand=8)[0] == 0
    share = world.share(a)
    assert share is not None
    over = RoundPlan(status=a.status)
    assert world.shares.settle(a, share, over, now=make.at(20)) == [], "its Jobs hold what they hold"
    for job in list(world.cache.jobs):
        world.cache.drop("Job", job.meta.uid)
    share = world.share(a)
    assert share is not None
    called = world.shares.settle(a, share, over, now=make.at(20))
    assert [key.name for key in called] == ["b"]


def test_a_round_that_is_deleted_holds_what_its_jobs_hold(make: Make) -> None:
    world = World(make)
    a, b = world.round("a", jobs=4), world.round("b")
    world.pass_(a, held=4, demand=0)
    world.pass_(b, held=0, demand=8)
    world.cache.drop("EvalRound", a.meta.uid)

    def leave() -> list[str]:
        return [key.name for key in world.shares.leave("a", world.cache, bound=4, now=make.at(20))]

    assert leave() == []
    for job in list(world.cache.jobs):
        world.cache.drop("Job", job.meta.uid)
    assert leave() == ["b"]
    assert leave() == [], "it is forgotten"


def test_pods_on_a_lost_node_hold_the_slots_of_a_deleted_round_for_a_time(make: Make) -> None:
    """Nothing happens to them any more, so no pass of that round would see that they are taken for gone."""
    world = World(make)
    a, b = world.round("a"), world.round("b")
    labels = naming.labels(Component.EVALUATE, {ROUND_LABEL: "a", KEY_LABEL: "k"})
    meta = make.meta("a-pod", labels=labels) | {"deletionTimestamp": "2026-01-01T00:00:00Z"}
    meta["ownerReferences"] = [
        {"uid": "gone", "controller": True, "kind": "Job", "name": "a-0", "apiVersion": "batch/v1"}
    ]
    world.cache.put("Pod", {"metadata": meta, "spec": {"nodeName": "n"}, "status": {"phase": "Running"}})
    world.pass_(a, held=1, demand=0)
    world.cache.drop("EvalRound", a.meta.uid)
    assert world.shares.leave("a", world.cache, bound=4, now=make.at(10)) == []
    assert world.pass_(b, held=0, demand=8)[0] == 3
    later = world.shares.of(b, world.cache, bound=4, now=make.at(0) + GONE_AFTER)
    assert later is not None and later.room(holds=0, waits=8) == 4


def test_jobs_whose_pods_are_refused_leave_their_slots_after_a_time(make: Make) -> None:
    world = World(make)
    world.round("a", jobs=4)
    b = world.round("b")
    late = LEAVES_SLOT_AFTER.total_seconds()
    rooms = []
    for now in (late - 1, late):
        share = replace(world.shares, _claims={}).of(b, world.cache, bound=4, now=make.at(now))
        assert share is not None
        rooms.append(share.room(holds=0, waits=8))
    assert rooms == [0, 4]


def test_a_weight_may_change(make: Make) -> None:
    world = World(make)
    a, b = world.round("a", weight=3), world.round("b")
    world.pass_(b, held=0, demand=0)
    assert world.pass_(a, held=0, demand=8)[0] == 4
    assert world.shares.of(a, world.cache, bound=8, now=make.at(1)) is not None
    heavier = replace(a, spec=a.spec)
    share = world.share(heavier)
    assert share is not None and share.own.weight == 3
