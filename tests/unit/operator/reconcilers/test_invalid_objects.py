"""One object never stops the others: what cannot be read or planned, and Jobs that the API server does not accept."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from tests.unit.operator.reconcilers.test_reconcile import Nodes, Operator, Server

from bitagent_crds.names import COMPONENT_LABEL, KEY_LABEL
from bitagent_kube.errors import ApiError
from bitagent_operator.observed.cache import Key, Kind
from bitagent_operator.plan.interface import RoundPlan
from bitagent_operator.reconcilers import reconcile as reconciler
from bitagent_operator.reconcilers.reconcile import reconcile

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.unit.operator.conftest import Make

Obj = dict[str, Any]
BAD_KEY: Obj = {"models": {"matchLabels": {"bad key!": "x"}}}
QUOTA = ApiError(code=403, reason="Forbidden", message='jobs.batch "x" is forbidden: exceeded quota: gpus')
INVALID = ApiError(code=422, reason="Invalid", message='Job.batch "x" is invalid: spec.template.spec: no')


class Refusing(Server):
    """A server that refuses some Jobs, and remembers the Events."""

    def __init__(self, make: Make) -> None:
        super().__init__(make)
        self.refuses: Callable[[Obj], ApiError | None] = lambda _job: None
        self.events: list[tuple[str, str]] = []
        self.statuses = 0

    async def create_or_get(self, obj: Obj) -> tuple[Obj, bool]:
        if (error := self.refuses(obj)) is not None:
            raise error
        return await super().create_or_get(obj)

    async def create(self, obj: Obj) -> Obj:
        self.events.append((obj["reason"], obj["note"]))
        return obj

    async def write_status(self, *args: Any, **kwargs: Any) -> Obj | None:
        self.statuses += 1
        return await super().write_status(*args, **kwargs)

    def condition(self, kind: str, name: str, of: str) -> Obj:
        conditions = self.objects[kind, name].get("status", {}).get("conditions", [])
        return next((c for c in conditions if c["type"] == of), {})

    def jobs(self) -> list[str]:
        return [job["metadata"]["name"] for job in self.of("Job")]


def put(server: Server, raw: Obj, kind: str) -> None:
    server.put(kind, raw | {"kind": kind})


async def settle(operator: Operator, server: Server) -> None:
    """Work until nothing is left that waits for no time."""
    for _ in range(8):
        for kind in ("EvalRound", "MinerModel", "Job", "Pod"):
            operator.deliver(kind, 1000)
        keys, operator.queue = list(operator.queue), {}
        for key in keys:
            if await reconcile(operator.context, key) == 0.0:
                operator.enqueue([key])


async def test_a_round_that_cannot_be_read_says_so_and_the_other_runs(make: Make) -> None:
    server = Refusing(make)
    put(server, make.model_raw("llama-3.1-8b", fetched=True), "MinerModel")
    put(server, make.round_raw("bad", **BAD_KEY, status={"laterMember": [1]}), "EvalRound")
    put(server, make.round_raw("good-1.0"), "EvalRound")
    operator = Operator(server)
    await settle(operator, server)
    stalled = server.condition("EvalRound", "bad", "Stalled")
    assert (stalled["status"], stalled["reason"]) == ("True", "Invalid")
    assert stalled["message"].startswith("spec.models.matchLabels.bad key!")
    assert server.objects["EvalRound", "bad"]["status"]["laterMember"] == [1]
    assert [reason for reason, _ in server.events].count("Invalid") == 1
    assert "good-1.0-tasks" in server.jobs()
    before = server.statuses
    operator.enqueue([Key(Kind.ROUND, "bad")])
    await settle(operator, server)
    assert (server.statuses, [r for r, _ in server.events].count("Invalid")) == (before, 1), "reported once"

    put(server, make.round_raw("bad") | {"status": server.objects["EvalRound", "bad"]["status"]}, "EvalRound")
    await settle(operator, server)
    assert server.condition("EvalRound", "bad", "Stalled") == {}
    assert "bad-tasks" in server.jobs()


async def test_a_round_does_not_start_without_a_model_that_cannot_be_read(make: Make) -> None:
    server = Refusing(make)
    put(server, make.model_raw("a", fetched=True), "MinerModel")
    put(server, make.model_raw("b", raw_spec={"inventedLater": 1}), "MinerModel")
    put(server, make.round_raw("r"), "EvalRound")
    put(server, make.round_raw("without", names=["a"]), "EvalRound")
    operator = Operator(server)
    await settle(operator, server)
    running = server.condition("EvalRound", "r", "Running")
    assert (running["status"], running["reason"]) == ("False", "ModelInvalid")
    assert "b: spec.inventedLater" in running["message"]
    assert "startedAt" not in server.objects["EvalRound", "r"]["status"]
    assert [reason for reason, _ in server.events].count("Invalid") == 2, "of the model and of the round"
    assert server.jobs() == ["without-tasks"], "a round that does not select it starts"
    assert await reconcile(operator.context, Key(Kind.ROUND, "r")) == pytest.approx(15.0)

    put(server, make.model_raw("b", fetched=True, weights="2"), "MinerModel")
    operator.enqueue([Key(Kind.ROUND, "r")])
    await settle(operator, server)
    assert [r["model"] for r in server.objects["EvalRound", "r"]["status"]["results"]] == ["a", "b"]


@pytest.mark.parametrize(
    ("away", "selection"),
    [
        pytest.param({"deletionTimestamp": "2026-01-01T00:00:00Z"}, {}, id="being deleted"),
        pytest.param({"suspend": True}, {}, id="suspended"),
        pytest.param({"suspend": True}, {"names": ["a", "b"]}, id="suspended and named"),
    ],
)
async def test_a_model_that_goes_or_is_suspended_holds_no_round(make: Make, away: Obj, selection: Obj) -> None:
    server = Refusing(make)
    put(server, make.model_raw("a", fetched=True), "MinerModel")
    raw = make.model_raw("b", raw_spec={"inventedLater": 1})
    raw["spec"] |= {k: v for k, v in away.items() if k == "suspend"}
    raw["metadata"] |= {k: v for k, v in away.items() if k != "suspend"}
    put(server, raw, "MinerModel")
    put(server, make.round_raw("r", **selection), "EvalRound")
    await settle(Operator(server), server)
    assert [r["model"] for r in server.objects["EvalRound", "r"]["status"]["results"]] == ["a"]


async def test_a_running_round_waits_for_a_model_that_became_unreadable(make: Make) -> None:
    server = Refusing(make)
    put(server, make.model_raw("a", fetched=True), "MinerModel")
    put(server, make.model_raw("b", raw_spec={"inventedLater": 1}), "MinerModel")
    started = make.round_raw(
        "r", status={"startedAt": "2026-01-01T00:00:00Z", "results": [{"model": "a"}, {"model": "b"}]}
    )
    put(server, started, "EvalRound")
    operator = Operator(server)
    await settle(operator, server)
    found = {r["model"]: (r["state"], r["reason"]) for r in server.objects["EvalRound", "r"]["status"]["results"]}
    assert found == {"a": ("Pending", "WaitingForTasks"), "b": ("Pending", "ModelInvalid")}
    put(server, make.model_raw("b", fetched=True, weights="2"), "MinerModel")
    await settle(operator, server)
    found = {r["model"]: (r["state"], r["reason"]) for r in server.objects["EvalRound", "r"]["status"]["results"]}
    assert found["b"] == ("Pending", "WaitingForTasks")


@pytest.mark.parametrize("kind", ["MinerModel", "EvalRound"])
async def test_an_error_in_planning_is_told_and_the_rest_goes_on(
    make: Make, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = Refusing(make)
    raw = {"MinerModel": make.model_raw, "EvalRound": make.round_raw}[kind]
    for name in ("a", "b"):
        put(server, raw(name), kind)
    which = "plan_model" if kind == "MinerModel" else "plan_round"
    planner = getattr(reconciler, which)

    def broken(observed: Any, **more: Any) -> Any:
        if observed.meta.name == "a":
            raise RuntimeError("an unforeseen error")
        return planner(observed, **more)

    monkeypatch.setattr(reconciler, which, broken)
    operator = Operator(server)
    await settle(operator, server)
    stalled = server.condition(kind, "a", "Stalled")
    assert (stalled["reason"], stalled["status"]) == ("Invalid", "True")
    assert "an unforeseen error" in stalled["message"]
    ready, seen = server.condition(kind, "a", "Ready"), server.objects[kind, "a"]["status"]["observedGeneration"]
    assert (ready["status"], ready["reason"], seen) == ("False", "Invalid", 1)
    assert server.condition(kind, "b", "Stalled") == {}
    assert server.objects[kind, "b"]["status"]["conditions"]
    monkeypatch.setattr(reconciler, which, planner)
    operator.enqueue([Key(Kind(kind), "a")])
    await settle(operator, server)
    assert server.condition(kind, "a", "Stalled") == {}


@pytest.mark.parametrize("trouble", ["unplannable", "unreadable"])
async def test_a_round_that_is_not_planned_asks_for_no_slots(
    make: Make, trouble: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = Refusing(make)
    for name in ("a", "b"):
        put(server, make.round_raw(name), "EvalRound")
    operator = Operator(server)
    config = make.config(evaluations={"maxParallel": 1})
    operator.context = replace(operator.context, config=config)
    shares, now = operator.context.shares, server.now()

    def room(name: str) -> int:
        observed = operator.cache.rounds.get(Key(Kind.ROUND, name))
        assert observed is not None
        share = shares.of(observed, operator.cache, bound=1, now=now)
        assert share is not None
        plan = RoundPlan(status=observed.status, held=0, waits_for_slots=8)
        shares.settle(observed, share, plan, now=now)
        return share.room(holds=0, waits=8)

    assert (room("a"), room("b")) == (1, 0)
    if trouble == "unreadable":
        operator.enqueue(operator.cache.put("EvalRound", make.round_raw("a", **BAD_KEY)))
    else:

        def broken(*_: Any, **__: Any) -> Any:
            raise RuntimeError("an unforeseen error")

        monkeypatch.setattr(reconciler, "plan_round", broken)
    operator.queue = {}
    await reconcile(operator.context, Key(Kind.ROUND, "a"))
    assert Key(Kind.ROUND, "b") in operator.queue, "it may start now"
    assert room("b") == 1


def running_round(make: Make, server: Server) -> None:
    results = [make.admitted("a"), make.admitted("b", weights="2")]
    for name, weights in (("a", "1"), ("b", "2")):
        put(server, make.model_raw(name, fetched=True, weights=weights), "MinerModel")
    status = {"startedAt": "2026-01-01T00:00:00Z", "taskSet": make.TASK_SET, "results": results}
    put(server, make.round_raw("r", status=status), "EvalRound")


async def test_a_job_that_is_refused_for_a_time_waits_alone(make: Make) -> None:
    server, tries = Refusing(make), []
    running_round(make, server)
    refused = make.key("1")

    def quota(job: Obj) -> ApiError | None:
        if job["metadata"]["labels"].get(KEY_LABEL) != refused:
            return None
        tries.append(server.time)
        return QUOTA

    server.refuses = quota
    operator = Operator(server)
    await settle(operator, server)
    results = {r["model"]: r for r in server.objects["EvalRound", "r"]["status"]["results"]}
    assert (results["a"]["state"], results["a"]["reason"]) == ("Pending", "JobRefused")
    assert "exceeded quota: gpus" in results["a"]["message"]
    assert (results["b"]["state"], results["b"]["reason"]) == ("Pending", "Starting"), "the other has its Job"
    for _ in range(40):
        server.time += 1
        operator.enqueue([Key(Kind.ROUND, "r")])
        await settle(operator, server)
    assert len(tries) == 5, "after 0, 2, 6, 14 and 30 seconds"
    assert [reason for reason, _ in server.events].count("JobNotCreated") == 1
    server.refuses = lambda _job: None
    server.time += 60
    operator.enqueue([Key(Kind.ROUND, "r")])
    await settle(operator, server)
    results = {r["model"]: r for r in server.objects["EvalRound", "r"]["status"]["results"]}
    assert (results["a"]["state"], results["a"]["reason"]) == ("Pending", "Starting")


async def test_jobs_that_are_not_valid_end_the_round(make: Make) -> None:
    server = Refusing(make)
    running_round(make, server)
    server.refuses = lambda _job: INVALID
    await settle(Operator(server), server)
    failed = server.condition("EvalRound", "r", "Failed")
    assert (failed["status"], failed["reason"]) == ("True", "JobInvalid")
    assert 'Job.batch "x" is invalid: spec.template.spec: no' in failed["message"]


@pytest.mark.parametrize(
    ("error", "status", "reason", "failed"),
    [
        pytest.param(QUOTA, "False", "JobRefused", "False", id="a quota"),
        pytest.param(INVALID, "False", "JobInvalid", "True", id="not valid"),
    ],
)
async def test_a_task_set_that_is_refused(make: Make, error: ApiError, status: str, reason: str, failed: str) -> None:
    server = Refusing(make)
    put(server, make.model_raw("a", fetched=True), "MinerModel")
    put(server, make.round_raw("r"), "EvalRound")
    server.refuses = lambda _job: error
    await settle(Operator(server), server)
    ready = server.condition("EvalRound", "r", "TasksReady")
    assert (ready["status"], ready["reason"]) == (status, reason)
    assert error.message in ready["message"]
    assert server.condition("EvalRound", "r", "Failed")["status"] == failed


@pytest.mark.parametrize(
    ("error", "status", "reason"),
    [
        pytest.param(QUOTA, "Unknown", "JobRefused", id="a quota"),
        pytest.param(INVALID, "False", "JobInvalid", id="not valid"),
    ],
)
async def test_a_fetch_that_is_refused(make: Make, error: ApiError, status: str, reason: str) -> None:
    server = Refusing(make)
    put(server, make.model_raw("a"), "MinerModel")
    server.refuses = lambda _job: error
    operator = Operator(server)
    await settle(operator, server)
    fetched = server.condition("MinerModel", "a", "Fetched")
    assert (fetched["status"], fetched["reason"]) == (status, reason)
    assert error.message in fetched["message"]
    server.refuses = lambda _job: None
    server.time += 60
    operator.enqueue([Key(Kind.MODEL, "a")])
    await settle(operator, server)
    assert bool(server.jobs()) is (reason == "JobRefused"), "what is not valid stays so until the spec changes"


@pytest.mark.parametrize("failures", [1, 2], ids=["the repetition", "the control"])
async def test_a_repetition_or_a_control_that_is_refused_ends_the_round(make: Make, failures: int) -> None:
    server = Refusing(make)
    gave_up = [
        {"attempt": n + 1, "reason": "OutOfMemory", "at": "2026-01-01T00:00:00Z", "nodes": ["n1"]}
        for n in range(failures)
    ]
    results = [
        make.admitted("a", state="Running", reason="OutOfMemory", failures=gave_up),
        make.admitted("b", weights="2", state="Succeeded", reason="Evaluated", score="0.500000", node="n1"),
    ]
    for name, weights in (("a", "1"), ("b", "2")):
        put(server, make.model_raw(name, fetched=True, weights=weights), "MinerModel")
    status = {"startedAt": "2026-01-01T00:00:00Z", "taskSet": make.TASK_SET, "results": results}
    put(server, make.round_raw("r", status=status), "EvalRound")
    server.refuses = lambda _job: QUOTA
    operator = Operator(server)
    await settle(operator, server)
    assert server.condition("EvalRound", "r", "Failed")["status"] == "False", "a quota may pass"
    server.refuses, server.time = lambda _job: INVALID, 60
    operator.enqueue([Key(Kind.ROUND, "r")])
    await settle(operator, server)
    assert server.condition("EvalRound", "r", "Failed")["status"] == "True"
    result = server.objects["EvalRound", "r"]["status"]["results"][0]
    assert (result["state"], INVALID.message in result["message"]) == ("InfraFault", True)


@pytest.mark.parametrize(
    ("error", "condition", "expected"),
    [
        pytest.param(QUOTA, "Resolved", ("Unknown", "JobRefused"), id="a quota"),
        pytest.param(INVALID, "Fetched", ("False", "JobInvalid"), id="not valid"),
    ],
)
async def test_a_resolution_that_is_refused(
    make: Make, error: ApiError, condition: str, expected: tuple[str, str]
) -> None:
    server = Refusing(make)
    put(server, make.model_raw("a", revision="main", fetched=True, at=-1000), "MinerModel")
    put(server, make.round_raw("r", spec_tasks=make.seed_from()), "EvalRound")
    server.refuses = lambda _job: error
    operator = Operator(server)
    await settle(operator, server)
    found = server.condition("MinerModel", "a", condition)
    assert (found["status"], found["reason"]) == expected
    server.refuses, server.time = lambda _job: None, 60
    operator.enqueue([Key(Kind.MODEL, "a")])
    await settle(operator, server)
    assert len(server.jobs()) == (error is QUOTA)


@pytest.mark.parametrize("kind", ["MinerModel", "EvalRound"])
@pytest.mark.parametrize(
    ("code", "cause", "message", "events"),
    [
        pytest.param(422, "Invalid", "status.phase: Unsupported value", True, id="older definitions"),
        pytest.param(403, "Forbidden", "cannot patch resource status", True, id="a right is missing"),
        pytest.param(413, "RequestEntityTooLarge", "limit is 3145728", True, id="too large"),
        pytest.param(500, "InternalError", 'failed calling "x": EOF', True, id="a webhook is down, in other words"),
        pytest.param(500, "ServerTimeout", "the webhook of the server is busy", False, id="a server that is busy"),
        pytest.param(503, "ServiceUnavailable", "try again", False, id="what passes"),
        pytest.param(0, "NoAnswer", "no webhook, no answer", False, id="no answer"),
    ],
)
async def test_a_status_that_is_refused_is_told_by_an_event(
    make: Make,
    kind: str,
    code: int,
    cause: str,
    message: str,
    events: bool,
) -> None:
    class Older(Refusing):
        async def write_status(self, *_args: Any, **_kwargs: Any) -> Obj | None:
            raise ApiError(code=code, reason=cause, message=message)

    server = Older(make)
    put(server, make.model_raw("a") if kind == "MinerModel" else make.round_raw("a"), kind)
    with pytest.raises(ApiError):
        await settle(Operator(server), server)
    assert [reason for reason, _ in server.events] == ["StatusNotWritten"] * events


class Keeping(Refusing):
    """A server on which a policy forbids that Jobs are deleted, or `error` is answered instead."""

    error = ApiError(code=403, reason="Forbidden", message="denied by keep-jobs: nothing is deleted here")

    async def delete(self, *_args: Any, **_kwargs: Any) -> None:
        raise self.error


async def test_a_deletion_that_is_denied_is_told_and_delays_nothing(make: Make) -> None:
    """A failed pass would hold the object for up to a minute, whatever else happens to it."""
    server = Keeping(make)
    put(server, make.model_raw("a"), "MinerModel")
    operator = Operator(server)
    await settle(operator, server)
    Nodes(server).step(0, "end")
    await settle(operator, server)
    assert server.condition("MinerModel", "a", "Fetched")["status"] == "True"
    said = {text for reason, text in server.events if reason == "JobNotChanged"}
    assert ["nothing is deleted here" in text for text in said] == [True]
    assert await reconcile(operator.context, Key(Kind.MODEL, "a")) == reconciler.DENIED_SECONDS
    server.error = ApiError(code=500, reason="InternalError", message="may pass")
    with pytest.raises(ApiError, match="may pass"):
        await reconcile(operator.context, Key(Kind.MODEL, "a"))


async def test_a_denial_hides_no_other_error(make: Make) -> None:
    """Of two deletions one is denied, and the other one fails in a way that may pass: the pass is repeated soon."""
    context = Operator(Keeping(make)).context

    async def fails(code: int) -> None:
        raise ApiError(code=code, reason="Reason", message=f"answer {code}")

    (said,) = await reconciler._denied(context, [fails(403), fails(422)])
    assert "answer 403" in said.message
    with pytest.raises(ApiError, match="answer 500"):
        await reconciler._denied(context, [fails(403), fails(500)])


@pytest.mark.parametrize("component", ["task-set", "fetch", "evaluate"])
async def test_a_job_of_somebody_else_has_the_name(make: Make, component: str) -> None:
    server, taken = Refusing(make), set[str]()

    def before_ours(job: Obj) -> None:
        """Create a Job of somebody else just before the operator creates its own."""
        name = job["metadata"]["name"]
        if job["metadata"]["labels"][COMPONENT_LABEL] == component and not taken:
            taken.add(name)
            put(server, {"metadata": {"name": name}, "spec": {}}, "Job")

    server.refuses = before_ours
    if component == "evaluate":
        running_round(make, server)
    else:
        put(server, make.model_raw("a", fetched=component != "fetch"), "MinerModel")
        put(server, make.round_raw("r"), "EvalRound")
    operator = Operator(server)
    await settle(operator, server)
    (name,) = taken
    said = {
        "task-set": lambda: server.condition("EvalRound", "r", "TasksReady"),
        "fetch": lambda: server.condition("MinerModel", "a", "Fetched"),
        "evaluate": lambda: server.objects["EvalRound", "r"]["status"]["results"][0],
    }[component]()
    assert (said["reason"], f"a Job named {name} exists" in said["message"]) == ("JobRefused", True)
