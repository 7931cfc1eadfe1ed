"""Slots of fetch Jobs: never more than the limit, whatever comes between, and none is lost."""

from __future__ import annotations

import dataclasses
import random
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from tests.unit.operator.reconcilers.test_reconcile import Operator, Server

from bitagent_crds.conditions import Reason
from bitagent_crds.names import VALIDATOR_LABEL, Component
from bitagent_operator import naming
from bitagent_operator.config import Fetching
from bitagent_operator.observed.objects import ModelObject
from bitagent_operator.observed.workloads import JobObject
from bitagent_operator.plan.interface import HubTrouble, ModelPlan, StartFetch
from bitagent_operator.plan.models.fetch_slots import Turn, Turns, Waiting
from bitagent_operator.reconcilers.fetch_queue import Arrivals, Fetches, FetchQueue, HubState
from bitagent_operator.reconcilers.reconcile import reconcile

if TYPE_CHECKING:
    from tests.unit.operator.conftest import Make

T0 = datetime(2026, 1, 1, tzinfo=UTC)
LATER = T0 + timedelta(hours=1)


def model(name: str, second: int = 0) -> Waiting:
    return Waiting(name, name[0], T0 + timedelta(seconds=second))


def test_a_slot_is_reserved_until_the_pass_ends() -> None:
    queue = FetchQueue()
    assert queue.ask(model("a"), {}, limit=1) is None
    assert queue.ask(model("a"), {}, limit=1) is None, "the same pass plans again"
    assert queue.ask(model("b"), {}, limit=1) == Turn(1, 1, 1)
    assert queue.end("a", {"a": "a"}, limit=1) == [], "its Job runs"
    assert queue.end("a", {}, limit=1) == ["b"], "its Job is gone"
    assert queue.ask(model("c"), {}, limit=1) is not None, "the slot is b's until it has had its pass"
    assert queue.ask(model("b"), {}, limit=1) is None


def test_a_pass_that_starts_nothing_passes_its_slot_on() -> None:
    queue = FetchQueue()
    assert queue.ask(model("a"), {"x": "x"}, limit=1) is not None
    assert queue.ask(model("b", 1), {"x": "x"}, limit=1) is not None
    assert queue.end("x", {}, limit=1) == ["a"]
    assert queue.end("a", {}, limit=1) == ["b"], "a was deleted meanwhile"


def test_a_long_queue_has_no_places() -> None:
    queue, running = FetchQueue(), {"x": "x"}
    turns = [queue.ask(model(f"a{i}", i), running, limit=1) for i in range(70)]
    assert [t.place if t is not None else 0 for t in turns] == [*range(1, 65), *[None] * 6]


@pytest.mark.parametrize("seed", range(20))
def test_never_more_than_the_limit_and_all_start(seed: int) -> None:
    """Passes in any order, Jobs that end at any time, models that go."""
    rng, queue, limit = random.Random(seed), FetchQueue(), 3
    running: dict[str, str] = {}
    todo = {f"{hotkey}{i}" for hotkey in "ab" for i in range(10)}
    due, ended = list(todo), set[str]()
    while due or running:
        if due and (not running or rng.random() < 0.7):
            name = due.pop(rng.randrange(len(due)))
            queue.leave(name)
            if name in todo and name not in running and rng.random() < 0.95:
                if queue.ask(model(name), running, limit=limit) is None:
                    running[name] = name[0]
            else:
                todo.discard(name)  # deleted, or nothing to do
        else:
            name = rng.choice(list(running))
            del running[name]
            ended.add(name)
            todo.discard(name)
        due += queue.end(name, running, limit=limit)
        assert len(running) <= limit
    assert not todo


def trouble(job: str, at: float, reason: Reason = Reason.HUB_RATE_LIMITED) -> HubTrouble:
    return HubTrouble(job, reason, T0 + timedelta(seconds=at), repository=f"org/{job}")


def test_the_hub_is_left_alone_until_the_pause_is_over() -> None:
    hub = HubState()
    assert hub.pause(T0) is None
    for at in (-10, 0, -10):
        hub.failed(trouble("j", at), now=LATER)  # of one Job, whatever order they are seen in
    found = hub.pause(T0 + timedelta(seconds=29))
    assert found is not None
    assert found.until == T0 + timedelta(seconds=30)
    assert hub.pause(T0 + timedelta(seconds=30)) is None


@pytest.mark.parametrize(
    ("reason", "answered", "paused"),
    [
        pytest.param(Reason.HUB_UNAVAILABLE, 10, False, id="it is there again"),
        pytest.param(Reason.HUB_RATE_LIMITED, 10, True, id="a limit holds until it ends"),
        pytest.param(Reason.HUB_UNAVAILABLE, -1, True, id="an earlier answer says nothing"),
    ],
)
def test_an_answer_of_the_hub(reason: Reason, answered: float, *, paused: bool) -> None:
    hub = HubState()
    for job in "jk":
        hub.failed(trouble(job, 0, reason), now=LATER)
    hub.answered(T0 + timedelta(seconds=answered))
    assert (hub.pause(T0 + timedelta(seconds=20)) is not None) == paused


def test_after_an_answer_pauses_are_short_again() -> None:
    hub = HubState()
    hub.failed(trouble("j1", 0), now=LATER)
    hub.failed(trouble("j2", 30), now=LATER)
    hub.answered(T0 + timedelta(seconds=95))
    hub.failed(trouble("j2", 30), now=LATER)  # its Job is still there, and is looked at again
    hub.failed(trouble("j3", 100), now=LATER)
    found = hub.pause(T0 + timedelta(seconds=100))
    assert found is not None
    assert found.until == T0 + timedelta(seconds=130)


def test_a_node_whose_clock_is_ahead_makes_no_pause_longer() -> None:
    hub = HubState()
    for seen in (0, 20, 40):  # in each pass, while the Job's next pod runs
        hub.failed(trouble("j", 7200), now=T0 + timedelta(seconds=seen))
    found = hub.pause(T0)
    assert found is not None
    assert found.until == T0 + timedelta(seconds=30)


def ask(
    fetches: Fetches, observed: ModelObject, *, jobs: list[JobObject], resolve: bool = False, now: datetime = T0
) -> Turns:
    start = StartFetch("n", T0, 1, resolve_only=resolve)
    plan = ModelPlan(status=observed.status, fetch=None if resolve else start, resolve=start if resolve else None)
    limits = Fetching(max_parallel=1, max_resolutions=1)
    found = fetches.turns(observed, plan, urgent=False, jobs=jobs, hotkey_of=lambda _: "", limits=limits, now=now)
    fetches.end(observed.meta.name, jobs=jobs, hotkey_of=lambda _: "", limits=limits, now=now)
    return found


@pytest.mark.parametrize(
    ("job", "waits"),
    [
        pytest.param({}, True, id="runs"),
        pytest.param({"resolve": True}, False, id="resolves only"),
        pytest.param({"ended": "Failed"}, False, id="has ended"),
        pytest.param({"created": -86_399}, True, id="runs for almost a day"),
        pytest.param({"created": -86_400}, False, id="has waited for a day, as for a volume that is never bound"),
    ],
)
def test_which_jobs_hold_a_slot(make: Make, job: dict[str, Any], *, waits: bool) -> None:
    found = ask(Fetches(), make.model("a"), jobs=[make.fetch("b", **job)])
    assert (found.fetch is not None) == waits


def test_a_fetch_of_a_rewriter_holds_no_slot_since_its_end_calls_no_model(make: Make) -> None:
    labels = naming.labels(Component.FETCH, {VALIDATOR_LABEL: "v"})
    assert ask(Fetches(), make.model("a"), jobs=[make.job("f", owner="uid-v", labels=labels)]).fetch is None


def test_resolutions_have_slots_of_their_own(make: Make) -> None:
    jobs = [make.fetch("b"), make.fetch("c", resolve=True)]
    assert ask(Fetches(), make.model("a"), jobs=jobs[:1], resolve=True).resolve is None
    assert ask(Fetches(), make.model("a"), jobs=jobs, resolve=True).resolve is not None


def test_a_pause_holds_hub_models_only(make: Make) -> None:
    fetches = Fetches()
    fetches.hub.failed(trouble("j", 0), now=LATER)
    held = ask(fetches, make.model("a"), jobs=[])
    assert held.fetch is not None
    assert held.fetch.reason is Reason.HUB_RATE_LIMITED
    source = {"source": {"volume": {"claimName": "c", "path": "p"}}}
    assert ask(fetches, make.model("b", raw_spec=source), jobs=[]).fetch is None
    over = T0 + timedelta(seconds=30)
    ask(fetches, make.model("a"), jobs=[], now=over)
    assert ask(fetches, make.model("a"), jobs=[], now=over).fetch is None, "its end has called it"


class Passes:
    """Passes over models that have a fetch to start, one Job at a time."""

    def __init__(self, make: Make, *hotkeys: str) -> None:
        self.models = {f"{hotkey}{i}": make.model(f"{hotkey}{i}", created=i) for i, hotkey in enumerate(hotkeys)}
        self.fetches, self.now, self.started = Fetches(), T0, list[str]()

    def one(self, name: str, *, deleted: bool = False) -> list[str]:
        """Make a pass over one model; return the models that are called."""
        limits, hotkey_of = Fetching(max_parallel=2, max_resolutions=2), lambda each: each[0]
        jobs: list[JobObject] = []
        self.fetches.begin(name)
        if deleted:
            del self.models[name]
        else:
            plan = ModelPlan(status=self.models[name].status, fetch=StartFetch("n", T0, 1))
            turns = self.fetches.turns(
                self.models[name],
                plan,
                urgent=False,
                jobs=jobs,
                hotkey_of=hotkey_of,
                limits=limits,
                now=self.now,
                models=len(self.models),
            )
            self.started += [name] if turns.fetch is None else []
        return self.fetches.end(
            name, jobs=jobs, hotkey_of=hotkey_of, limits=limits, now=self.now, models=len(self.models)
        )


def test_after_a_start_the_first_slots_go_in_turn(make: Make) -> None:
    passes = Passes(make, "a", "a", "a", "b")
    assert [passes.one(name) for name in list(passes.models)[:3]] == [[], [], []], "b3 has not been looked at"
    assert passes.one("b3") == ["a0", "b3"]
    assert passes.started == []
    passes.one("b3")
    assert passes.started == ["b3"]


def test_a_rehearsal_of_one_pass_awaits_no_other(make: Make) -> None:
    passes = Passes(make, "a", "b")
    passes.fetches = Fetches(arrivals=Arrivals(at_start=False))
    passes.one("b1")
    assert passes.started == ["b1"]


def test_after_a_pause_the_first_slots_go_in_turn(make: Make) -> None:
    passes = Passes(make, "a", "a", "a", "b")
    passes.fetches.hub.failed(trouble("j", 0), now=LATER)
    for name in [*passes.models, "a0"]:
        assert passes.one(name) == [], "the hub is left alone"
    passes.now = T0 + timedelta(seconds=30)
    assert [passes.one(name) for name in ("a0", "a1")] == [[], []]
    assert passes.one("a2", deleted=True) == []
    assert passes.one("b3") == ["a0", "b3"]


@pytest.mark.parametrize("gone", ["unreadable", "deleted", "suspended"])
async def test_a_model_that_needs_no_slot_any_longer_passes_it_on(make: Make, gone: str) -> None:
    server = Server(make)
    raws = {name: make.model_raw(name, created=second) for second, name in enumerate("abc")}
    for raw in raws.values():
        server.put("MinerModel", raw | {"kind": "MinerModel"})
    operator = Operator(server)
    config = make.config(fetch={"maxParallel": 1})
    operator.context = dataclasses.replace(operator.context, config=config)

    async def settle() -> None:
        for _ in range(8):
            for kind in ("MinerModel", "Job"):
                operator.deliver(kind, 1000)
            keys, operator.queue = list(operator.queue), {}
            for key in sorted(keys, key=str):
                await reconcile(operator.context, key)

    await settle()
    (job,) = server.of("Job")
    assert job["metadata"]["labels"]["bitagent.io/model"] == "a"
    if gone == "deleted":
        server.remove("MinerModel", "b")
    else:
        change = {"inventedLater": True} if gone == "unreadable" else {"suspend": True}
        server.put("MinerModel", server.objects["MinerModel", "b"] | {"spec": raws["b"]["spec"] | change})
    server.remove("Job", job["metadata"]["name"])
    server.remove("MinerModel", "a")
    await settle()
    assert [j["metadata"]["labels"]["bitagent.io/model"] for j in server.of("Job")] == ["c"]
