"""A Validator's rewriter: its model, its pods, its readiness, and the rounds that wait for it."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from bitagent_crds.conditions import Reason
from bitagent_crds.minermodel import MinerModelStatus
from bitagent_crds.names import REWRITER_LABEL, VALIDATOR_LABEL
from bitagent_operator.observed.objects import RoundObject, ValidatorObject
from bitagent_operator.observed.workloads import DeploymentObject, PodObject
from bitagent_operator.plan.models.model import plan as plan_model
from bitagent_operator.plan.validators.rewriter import (
    as_model,
    demand,
    files_are_missing,
    readiness,
    rewriter_events,
    status_after,
    status_of_source,
    wait_for_rewriter,
)

if TYPE_CHECKING:
    from tests.unit.operator.conftest import Make

    from bitagent_crds.rewriter import Rewriter

Obj = dict[str, Any]
COMMIT = "a" * 40
SOURCE: Obj = {"huggingFace": {"repo": "org/rewriter", "revision": COMMIT}}
OWN: Obj = {"alterations": [{"rewrite": {}}]}
ELSEWHERE: Obj = {"alterations": [{"rewrite": {"url": "http://x:1/v1", "model": "m"}}]}


def validator(make: Make, *, resolved: float | None = 0, spec: Obj | None = None, **more: Any) -> ValidatorObject:
    """A Validator with a rewriter whose model was fetched at that time, or not yet."""
    made = {"source": SOURCE} | (spec or {})
    known = status_of_source(make.validator(rewriter=made), rewriter_of(make.validator(rewriter=made)))
    status: Obj = known.to_wire()
    if resolved is not None:
        at = make.at(resolved).strftime("%Y-%m-%dT%H:%M:%SZ")
        status |= {"resolved": make.facts() | {"at": at}, "conditions": [make.condition("Fetched", "True", "Fetched")]}
    return make.validator(rewriter=made, status={"rewriter": status} | more.pop("status", {}), **more)


def rewriter_of(found: ValidatorObject) -> Rewriter:
    assert found.spec.rewriter is not None
    return found.spec.rewriter


def round_of(
    make: Make, *, label: str = VALIDATOR_LABEL, name: str = "v", tasks: Obj = OWN, **more: Any
) -> RoundObject:
    raw = make.round_raw(status=more.pop("status", None), spec_tasks={"seed": "1"} | tasks, **more)
    raw["metadata"]["labels"] = {label: name} if name else {}
    return RoundObject.parse(raw)


def test_the_model_is_fetched_like_a_miners(make: Make) -> None:
    found = validator(make, resolved=None)
    model = as_model(found, rewriter_of(found))
    assert (model.meta.name, model.meta.uid) == ("v-rewriter", "uid-v")
    planned = plan_model(model, jobs=[], pods=[], rounds=[], pass_=make.pass_())
    assert planned.fetch is not None
    job = make.job(
        "j", owner="uid-v", ended="Complete", labels={"bitagent.io/generation": "1", "bitagent.io/need": "n"}
    )
    done = plan_model(
        model,
        jobs=[job],
        pods=[make.pod(job, code=0, message=make.fetched(license="apache-2.0"))],
        rounds=[],
        pass_=make.pass_(listed=[job]),
    )
    status = status_after(found, rewriter_of(found), done.status)
    assert status.resolved is not None
    assert (status.repo, status.resolved.commit, status.resolved.license) == ("org/rewriter", COMMIT, "apache-2.0")
    assert {c.type.value for c in status.conditions} == {"Resolved", "Safe", "Fetched"}


def test_only_another_source_is_fetched_again(make: Make) -> None:
    known = validator(make)
    again = make.validator(
        rewriter={"source": SOURCE, "replicas": 3}, status={"rewriter": known.rewriter and known.rewriter.to_wire()}
    )
    model = as_model(again, rewriter_of(again))
    assert plan_model(model, jobs=[], pods=[], rounds=[], pass_=make.pass_()).fetch is None
    other = {"huggingFace": {"repo": "org/other", "revision": COMMIT}}
    moved = make.validator(rewriter={"source": other}, status={"rewriter": known.rewriter and known.rewriter.to_wire()})
    model = as_model(moved, rewriter_of(moved))
    assert model.status == MinerModelStatus(observed_generation=1)
    assert plan_model(model, jobs=[], pods=[], rounds=[], pass_=make.pass_()).fetch is not None


@pytest.mark.parametrize(
    ("case", "again"),
    [
        pytest.param({"code": 66, "message": "holds no model", "created": 50}, True, id="no model in the directory"),
        pytest.param(
            {"waiting": ("CreateContainerConfigError", "failed to create subPath directory"), "created": 50},
            True,
            id="no directory",
        ),
        pytest.param({"code": 66, "created": 5}, False, id="a pod from before the fetch"),
        pytest.param({"code": 1, "created": 50}, False, id="another failure"),
        pytest.param({"waiting": ("CreateContainerConfigError", "secret"), "created": 50}, False, id="a Secret"),
    ],
)
def test_files_that_a_pod_misses_are_fetched_once_more(make: Make, case: Obj, again: bool) -> None:
    found = validator(make, resolved=10)
    missing = files_are_missing(found, [pod(make, **case)])
    assert missing is again
    planned = plan_model(
        as_model(found, rewriter_of(found), missing=missing), jobs=[], pods=[], rounds=[], pass_=make.pass_()
    )
    assert (planned.fetch is not None) is again
    assert planned.status.resolved is not None, "what was served stays known"


DONE: Obj = {"startedAt": "2026-01-01T00:00:00Z", "finishedAt": "2026-01-01T00:10:00Z"}


@pytest.mark.parametrize(
    ("case", "replicas", "left"),
    [
        pytest.param({}, 2, None, id="always"),
        pytest.param({"scale": 100}, 0, None, id="idle for long"),
        pytest.param({"scale": 100, "resolved": 950}, 2, 50, id="just fetched"),
        pytest.param({"scale": 100, "round": {}}, 2, None, id="a round begins"),
        pytest.param({"scale": 100, "round": {"label": REWRITER_LABEL}}, 2, None, id="a round of a person"),
        pytest.param({"scale": 100, "round": {"name": "other"}}, 0, None, id="another's round"),
        pytest.param({"scale": 100, "round": {"tasks": ELSEWHERE}}, 0, None, id="a round with a server of its own"),
        pytest.param({"scale": 100, "round": {"suspend": True}}, 0, None, id="a suspended round"),
        pytest.param({"scale": 500, "round": {"status": DONE}}, 2, 100, id="a round failed before"),
        pytest.param({"suspend": True}, 0, None, id="suspended"),
        pytest.param({"suspend": True, "round": {}}, 2, None, id="suspended, while a round runs"),
    ],
)
def test_demand(make: Make, case: Obj, replicas: int, left: float | None) -> None:
    spec: Obj = {"replicas": 2} | ({"scaleToZeroAfterSeconds": case["scale"]} if "scale" in case else {})
    found = validator(make, spec=spec, resolved=case.get("resolved", 0), suspend=case.get("suspend", False))
    rounds = [round_of(make, **case["round"])] if "round" in case else []
    needed = demand(found, rewriter_of(found), rounds, now=make.at(1000))
    assert (needed.replicas, needed.requeue_after) == (replicas, left)


def test_a_round_with_its_tasks_needs_it_no_longer(make: Make) -> None:
    found = validator(make, spec={"scaleToZeroAfterSeconds": 500})
    ready = make.condition("TasksReady", "True", "TasksReady", at=600)
    done = round_of(make, status={"taskSet": make.TASK_SET, "conditions": [ready]})
    needed = demand(found, rewriter_of(found), [done], now=make.at(1000))
    assert (needed.replicas, needed.requeue_after) == (1, 100)


LOOP: Obj = {"waiting": ("CrashLoopBackOff", "back-off 5m0s restarting failed container")}


def deployment(make: Make, *, available: int = 0, failure: str = "", current: bool = True) -> DeploymentObject:
    status: Obj = {"observedGeneration": int(current), "updatedReplicas": 2, "availableReplicas": available}
    if failure:
        status["conditions"] = [{"type": "ReplicaFailure", "status": "True", "message": failure}]
    return DeploymentObject.parse({"metadata": make.meta("d"), "spec": {"replicas": 2}, "status": status})


def pod(make: Make, **more: Any) -> PodObject:
    return make.pod(make.job("d", owner="x"), **more)


@pytest.mark.parametrize(
    ("case", "status", "reason"),
    [
        pytest.param({"resolved": None}, "False", "Fetching", id="not fetched"),
        pytest.param({"available": 1}, "True", "RewriterReady", id="one of two answers"),
        pytest.param({"available": 1, "current": False}, "False", "RewriterLoading", id="an older spec answers"),
        pytest.param({}, "False", "RewriterLoading", id="no pod yet"),
        pytest.param({"pod": {}}, "False", "RewriterLoading", id="loading"),
        pytest.param({"replicas": 0}, "False", "RewriterIdle", id="no pod expected"),
        pytest.param({"refusal": "403: no"}, "False", "InfrastructureFault", id="refused"),
        pytest.param({"failure": "exceeded quota"}, "False", "InfrastructureFault", id="quota"),
        pytest.param({"pod": {"unschedulable": 0}}, "False", "Unschedulable", id="no GPU"),
        pytest.param({"pod": {"unschedulable": 900}}, "False", "WaitingForNode", id="no GPU yet"),
        pytest.param({"pod": {"waiting": ("ImagePullBackOff", "x")}}, "False", "ImagePullFailed", id="image"),
        pytest.param({"pod": {"code": 1, "message": "CUDA error"}}, "False", "Crashed", id="the server ended"),
        pytest.param({"pod": LOOP}, "False", "InfrastructureFault", id="it ended before it was seen"),
        pytest.param({"pod": LOOP, "last": "Crashed"}, "False", "Crashed", id="it ended and waits"),
        pytest.param({"pod": LOOP, "last": "RewriterLoading"}, "False", "InfrastructureFault", id="it loaded before"),
    ],
)
def test_readiness(make: Make, case: Obj, status: str, reason: str) -> None:
    last = ready(make, "False", case["last"]) if "last" in case else {}
    found = validator(make, spec={"replicas": 2}, resolved=case.get("resolved", 0), status=last)
    assert found.rewriter is not None
    options = {k: case[k] for k in ("available", "failure", "current") if k in case}
    value = readiness(
        rewriter_of(found),
        found.rewriter,
        replicas=case.get("replicas", 2),
        deployment=deployment(make, **options),
        pods=[pod(make, **case["pod"])] if "pod" in case else [],
        refusal=case.get("refusal"),
        last=found.conditions[0] if found.conditions else None,
        pass_=make.pass_(),
    )
    assert (value.status, value.reason) == (status, reason)


def test_a_fetch_that_failed_is_its_trouble(make: Make) -> None:
    found = validator(make, resolved=None)
    known = MinerModelStatus.model_validate(
        {"conditions": [make.condition("Fetched", "False", "RepositoryNotFound", message="no such repository")]}
    )
    value = readiness(
        rewriter_of(found),
        status_after(found, rewriter_of(found), known),
        replicas=1,
        deployment=None,
        pods=[],
        refusal=None,
        last=None,
        pass_=make.pass_(),
    )
    assert (value.status, value.reason, value.message) == ("False", "RepositoryNotFound", "no such repository")


def ready(make: Make, status: str = "True", reason: str = "RewriterReady", *, at: float = 0, **more: Any) -> Obj:
    return {"conditions": [make.condition("RewriterReady", status, reason, at=at, message="m", **more)]}


STARTED: Obj = {"startedAt": "2026-01-01T00:00:00Z"}


@pytest.mark.parametrize(
    ("case", "reason", "failed", "left"),
    [
        pytest.param({"tasks": ELSEWHERE, "name": ""}, None, False, None, id="a url"),
        pytest.param({"tasks": {}, "name": ""}, None, False, None, id="no rewrite"),
        pytest.param({"name": ""}, Reason.NO_REWRITER, True, None, id="a person's round without a Validator"),
        pytest.param({"without": True}, Reason.NO_REWRITER, True, None, id="the Validator has none"),
        pytest.param({"ready": {}}, None, False, None, id="ready"),
        pytest.param({"ready": {}, "label": REWRITER_LABEL}, None, False, None, id="ready for a person's round"),
        pytest.param({"ready": {"generation": 0}}, Reason.WAITING_FOR_REWRITER, False, 600, id="of an older spec"),
        pytest.param(
            {"ready": {"status": "False", "reason": "Fetching"}}, Reason.WAITING_FOR_REWRITER, False, 600, id="waits"
        ),
        pytest.param({}, Reason.WAITING_FOR_REWRITER, False, 600, id="not looked at yet"),
        pytest.param(
            {"ready": {"status": "False", "at": 50}, "now": 640},
            Reason.WAITING_FOR_REWRITER,
            False,
            10,
            id="was ready after the start",
        ),
        pytest.param(
            {"ready": {"status": "False"}, "now": 600}, Reason.REWRITER_UNAVAILABLE, True, None, id="too long"
        ),
        pytest.param(
            {"ready": {"status": "False"}, "now": 600, "suspend": True},
            Reason.WAITING_FOR_REWRITER,
            False,
            None,
            id="suspended",
        ),
        pytest.param(
            {"ready": {"generation": 0}, "now": 10**5},
            Reason.WAITING_FOR_REWRITER,
            False,
            600,
            id="ready for long, and its spec was changed a moment ago",
        ),
        pytest.param({"gone": True}, Reason.WAITING_FOR_REWRITER, False, 3600, id="the Validator is not there"),
        pytest.param({"gone": True, "now": 3600}, Reason.REWRITER_UNAVAILABLE, True, None, id="not there for long"),
    ],
)
def test_a_round_waits_with_a_bound(
    make: Make, case: Obj, reason: Reason | None, failed: bool, left: float | None
) -> None:
    options = {k: case[k] for k in ("tasks", "name", "label", "suspend") if k in case}
    observed = round_of(make, status=STARTED, **options)
    conditions = ready(make, **case["ready"]) if "ready" in case else {}
    found: ValidatorObject | None = validator(make, spec={"startTimeoutSeconds": 600}, status=conditions)
    if case.get("without"):
        found = make.validator()
    wait = wait_for_rewriter(observed, None if case.get("gone") else found, now=make.at(case.get("now", 0)))
    assert (wait and wait.reason) == reason
    if wait is not None:
        assert (wait.failed, wait.requeue_after) == (failed, left)


def test_events_follow_changes(make: Make) -> None:
    found = validator(make, status=ready(make))
    (good,) = found.conditions
    bad = good.model_copy(update={"status": "False", "reason": Reason.CRASHED})
    loading = good.model_copy(update={"status": "False", "reason": Reason.REWRITER_LOADING})
    assert [e.reason for e in rewriter_events(None, good)] == ["RewriterReady"]
    assert [(e.reason, e.warning) for e in rewriter_events(good, bad)] == [("RewriterNotReady", True)]
    assert rewriter_events(good, loading) == rewriter_events(good, good) == rewriter_events(good, None) == ()


def test_the_bound_is_the_validators(make: Make) -> None:
    observed = round_of(make, status=STARTED)
    wait = wait_for_rewriter(observed, validator(make), now=make.at(0))
    assert wait is not None
    assert wait.requeue_after == timedelta(hours=1).total_seconds()
