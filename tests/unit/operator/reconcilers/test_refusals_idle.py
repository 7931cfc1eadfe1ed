"""An object that waits causes no work: no pass at once again and again, and no write of a status that says the same."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from tests.unit.operator.reconcilers.test_invalid_objects import INVALID, QUOTA, Refusing, put, running_round, settle
from tests.unit.operator.reconcilers.test_reconcile import Operator

from bitagent_crds.names import KEY_LABEL, MODEL_LABEL
from bitagent_kube.errors import ApiError
from bitagent_operator.observed.cache import Key, Kind
from bitagent_operator.plan.rounds.round import BATCH
from bitagent_operator.reconcilers.reconcile import reconcile

if TYPE_CHECKING:
    from tests.unit.operator.conftest import Make

ROUND, MODEL = Key(Kind.ROUND, "r"), Key(Kind.MODEL, "a")
DENIED = ApiError(code=403, reason="Forbidden", message='admission webhook "x" denied the request: no')


async def is_idle(operator: Operator, server: Refusing, key: Key) -> bool:
    """Whether two more passes, a second apart, ask for no pass at once and write nothing."""
    before, delays = server.statuses, []
    for _ in range(2):
        server.time += 1
        delays.append(await reconcile(operator.context, key))
        for kind in ("EvalRound", "MinerModel", "Job", "Pod"):
            operator.deliver(kind, 1000)
    return 0.0 not in delays and server.statuses == before


async def refuse_the_first(make: Make, server: Refusing, **spec: Any) -> Operator:
    """Run the round of `running_round` in which the Job of model a was refused, and is due again."""
    running_round(make, server)
    raw = server.objects["EvalRound", "r"]
    raw["spec"]["workload"] = raw["spec"].get("workload", {}) | spec
    server.refuses = lambda job: QUOTA if job["metadata"]["labels"].get(KEY_LABEL) == make.key("1") else None
    operator = Operator(server)
    await settle(operator, server)
    assert server.objects["EvalRound", "r"]["status"]["results"][0]["reason"] == "JobRefused"
    server.time += 10
    return operator


async def test_a_refused_job_that_is_due_and_has_no_slot(make: Make) -> None:
    server = Refusing(make)
    operator = await refuse_the_first(make, server, parallelism=1)
    operator.enqueue([ROUND])
    await settle(operator, server)
    results = server.objects["EvalRound", "r"]["status"]["results"]
    assert [(r["state"], r["reason"]) for r in results] == [("Pending", "JobRefused"), ("Pending", "Starting")]
    assert await is_idle(operator, server, ROUND)


def waiting_round(make: Make, server: Refusing, number: int, **workload: Any) -> list[str]:
    """Put a round of so many models that only wait for their Jobs; return the list of the Jobs' tries, all refused."""
    names, tries = [f"m{n:02}" for n in range(1, number + 1)], []
    for name in names:
        put(server, make.model_raw(name, fetched=True, weights=name[1:]), "MinerModel")
    results = [make.admitted(name, weights=name[1:]) for name in names]
    status = {"startedAt": "2026-01-01T00:00:00Z", "taskSet": make.TASK_SET, "results": results}
    put(server, make.round_raw("r", status=status, workload=workload), "EvalRound")

    def refuse(job: dict[str, Any]) -> ApiError:
        tries.append(job["metadata"]["labels"][MODEL_LABEL])
        return QUOTA

    server.refuses = refuse
    return tries


async def test_a_round_does_not_try_all_jobs_at_once_when_a_quota_refuses_each(make: Make) -> None:
    server = Refusing(make)
    tries = waiting_round(make, server, 5, parallelism=2)
    operator = Operator(server)
    await settle(operator, server)
    assert server.condition("EvalRound", "r", "Running")["reason"] == "JobRefused", "and not that 3 have no slot"
    for seconds in (0, 2, 2, 61, 61, 61):
        server.time += seconds
        operator.enqueue([ROUND])
        await settle(operator, server)
    assert tries[:4] == ["m01", "m02", "m03", "m04"]
    assert tries[4] == "m05", "what was never refused comes first"
    assert len(tries) == 12, "two at a time"
    server.refuses = lambda _job: None
    server.time += 61
    operator.enqueue([ROUND])
    await settle(operator, server)
    assert len(server.jobs()) == 2


async def test_a_round_with_a_queue_stops_after_a_batch_that_is_refused(make: Make) -> None:
    server = Refusing(make)
    tries = waiting_round(make, server, BATCH + 2, queueName="gpu")
    await settle(Operator(server), server)
    assert len(tries) == BATCH


async def test_a_refused_job_of_a_round_that_is_suspended(make: Make) -> None:
    server = Refusing(make)
    operator = await refuse_the_first(make, server)
    for job in server.jobs():
        server.remove("Job", job)
    raw = server.objects["EvalRound", "r"]
    put(server, raw | {"spec": raw["spec"] | {"suspend": True}}, "EvalRound")
    await settle(operator, server)
    assert await is_idle(operator, server, ROUND)


async def test_a_refused_job_that_is_not_needed_any_longer(make: Make) -> None:
    server = Refusing(make)
    operator = await refuse_the_first(make, server)
    server.remove("MinerModel", "a")
    operator.enqueue([ROUND])
    await settle(operator, server)
    assert await is_idle(operator, server, ROUND)


async def test_a_refused_fetch_of_a_spec_that_was_changed(make: Make) -> None:
    server = Refusing(make)
    put(server, make.model_raw("a"), "MinerModel")
    server.refuses = lambda _job: QUOTA
    operator = Operator(server)
    await settle(operator, server)
    server.time += 30
    put(server, make.model_raw("a", generation=2), "MinerModel")
    await settle(operator, server)
    assert await is_idle(operator, server, MODEL)


@pytest.mark.parametrize(
    ("frozen", "error", "expected"),
    [
        pytest.param(True, INVALID, ("Rejected", "JobInvalid"), id="of a fixed commit, not valid"),
        pytest.param(True, DENIED, ("InfraFault", "JobRefused"), id="of a fixed commit, denied by a policy"),
        pytest.param(False, INVALID, ("Rejected", "JobInvalid"), id="a resolution, not valid"),
        pytest.param(False, DENIED, ("Pending", "FreezingModels"), id="a resolution, denied until the seed is known"),
    ],
)
async def test_a_fetch_that_is_refused_for_good(
    make: Make, frozen: bool, error: ApiError, expected: tuple[str, str]
) -> None:
    server = Refusing(make)
    put(server, make.model_raw("a", revision="main", fetched=True, at=-1000), "MinerModel")
    model = server.objects["MinerModel", "a"]
    entry = {"model": "a", "state": "Pending", "reason": "WaitingForModel"}
    if frozen:
        entry |= {"commit": "c" * 40, "repo": model["spec"]["source"]["huggingFace"]["repo"]}
    status = {"startedAt": "2026-01-01T00:00:00Z", "results": [entry]}
    put(server, make.round_raw("r", spec_tasks=make.seed_from(), status=status), "EvalRound")
    server.refuses = lambda _job: error
    operator = Operator(server)
    await settle(operator, server)
    for _ in range(20):
        server.time += 61
        operator.enqueue([MODEL, ROUND])
        await settle(operator, server)
    assert await is_idle(operator, server, MODEL)
    assert await is_idle(operator, server, ROUND)
    result = server.objects["EvalRound", "r"]["status"]["results"][0]
    assert (result["state"], result["reason"]) == expected


async def test_a_round_that_is_created_again_is_tried_again(make: Make) -> None:
    server = Refusing(make)
    put(server, make.model_raw("a", fetched=True), "MinerModel")
    put(server, make.round_raw("r"), "EvalRound")
    server.refuses = lambda _job: INVALID
    operator = Operator(server)
    await settle(operator, server)
    assert server.condition("EvalRound", "r", "Failed")["status"] == "True"
    server.refuses = lambda _job: None
    again = make.round_raw("r")
    again["metadata"]["uid"] = "another"
    server.remove("EvalRound", "r")
    put(server, again, "EvalRound")
    await settle(operator, server)
    assert server.condition("EvalRound", "r", "Failed")["status"] == "False"
    assert server.jobs() == ["r-tasks"]
