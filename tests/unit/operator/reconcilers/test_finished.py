"""Work after the end of a round, between configuration, cache and plan."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
from tests.unit.operator.reconcilers.test_reconcile import Operator, Server

from bitagent_crds.jobs import JOB_ANNOTATION
from bitagent_crds.names import ATTEMPT_LABEL, KEY_LABEL, ROUND_LABEL, Component
from bitagent_operator import naming
from bitagent_operator.observed.cache import Cache, Key, Kind
from bitagent_operator.observed.objects import RoundObject
from bitagent_operator.plan.files.repeated import PARALLEL
from bitagent_operator.plan.inputs import RetentionPolicy
from bitagent_operator.plan.interface import RoundPlan
from bitagent_operator.reconcilers.finished import jobs_after_the_end, with_work_after_the_end
from bitagent_operator.reconcilers.reconcile import reconcile

if TYPE_CHECKING:
    from tests.unit.operator.conftest import Make

Obj = dict[str, Any]
ARCHIVE = {"url": "s3://bucket/x", "secretName": "s3"}
ENDED = {"finishedAt": "2026-01-01T00:01:40Z", "phase": "Complete"}
ARCHIVED = {"archive": {"uri": "s3://x", "digest": "sha256:" + "d" * 64, "at": "2026-01-01T00:02:00Z"}}


class Stage:
    """An operator's cache and configuration."""

    def __init__(self, make: Make, **config: Any) -> None:
        self.make, self.cache = make, Cache()
        self.context: Any = SimpleNamespace(config=make.config(**config), cache=self.cache)

    def round(self, name: str, **status: Any) -> None:
        self.cache.put("EvalRound", self.make.round_raw(name, status=ENDED | status))

    def job(self, round_name: str, component: Component, key: str) -> None:
        labels = naming.labels(component, {ROUND_LABEL: round_name, KEY_LABEL: key, ATTEMPT_LABEL: "1"})
        owner = [{"uid": f"uid-{round_name}", "controller": True}]
        meta = self.make.meta(f"{round_name}-{key}", labels=labels, ownerReferences=owner)
        self.cache.put("Job", {"metadata": meta, "spec": {}, "status": {}})

    def plan(self, name: str) -> tuple[RoundObject, RoundPlan]:
        observed = next(r for r in self.cache.rounds if r.meta.name == name)
        config = self.context.config
        policy = RetentionPolicy() if config.retention is not None else None
        pass_ = self.make.pass_(now=200, archive_uri=config.archive_uri, retention=policy)
        plan = RoundPlan(status=observed.status)
        return observed, with_work_after_the_end(self.context, plan, observed, jobs=(), pods=(), pass_=pass_)

    def documents(self, name: str) -> list[Obj]:
        made = jobs_after_the_end(self.context, *self.plan(name))
        return [json.loads(j["spec"]["template"]["metadata"]["annotations"][JOB_ANNOTATION]) for j in made]


def test_an_archive_comes_first(make: Make) -> None:
    stage = Stage(make, archive=ARCHIVE, retention={})
    stage.round("r")
    assert [document["kind"] for document in stage.documents("r")] == ["Archive"]


def test_then_the_retention_with_the_digest_of_the_archive(make: Make) -> None:
    stage = Stage(make, archive=ARCHIVE, retention={})
    stage.round("r", **ARCHIVED)
    (document,) = stage.documents("r")
    assert (document["kind"], document["archive"], document["requireArchive"]) == (
        "Retention", ARCHIVED["archive"]["digest"], True,
    )  # fmt: skip


def test_a_retention_alone(make: Make) -> None:
    stage = Stage(make, retention={})
    stage.round("r")
    (document,) = stage.documents("r")
    assert (document["kind"], document.get("archive"), document["requireArchive"]) == ("Retention", None, False)


def test_nothing_is_configured(make: Make) -> None:
    stage = Stage(make)
    stage.round("r")
    assert stage.documents("r") == []


def test_rounds_that_cannot_be_read_are_known_too(make: Make) -> None:
    stage = Stage(make, retention={})
    stage.round("r")
    broken = make.round_raw("broken")
    broken["spec"] = {"models": 7}
    stage.cache.put("EvalRound", broken)
    (document,) = stage.documents("r")
    assert document["known"] == ["uid-broken", "uid-r"]


@pytest.mark.parametrize(
    ("component", "key", "starts"),
    [
        pytest.param(Component.ARCHIVE, naming.ARCHIVE_KEY, False, id="archives of others"),
        pytest.param(Component.RETENTION, naming.SWEEP_KEY, True, id="other Jobs of others"),
    ],
)
def test_jobs_of_other_rounds_count_by_their_component(
    make: Make, component: Component, key: str, starts: bool
) -> None:
    stage = Stage(make, archive=ARCHIVE)
    stage.round("r")
    for number in range(PARALLEL):
        stage.job(f"other-{number}", component, key)
    assert bool(stage.documents("r")) is starts


async def test_a_retry_begins_when_the_removal_of_its_files_is_gone(make: Make) -> None:
    server = Server(make)
    operator = Operator(server)
    files = {"files": {"freeBytes": 1, "checkedAt": "2026-01-01T00:02:00Z"}}
    failed = {"conditions": [make.condition("Failed", "True", "InfrastructureFaults", at=100)], "phase": "Failed"}
    raw = make.started("m", results={"m": {"state": "InfraFault", "reason": "Crashed"}}).status.to_wire()
    server.put("EvalRound", make.round_raw(status=raw | ENDED | files | failed, retry=1) | {"kind": "EvalRound"})
    labels = naming.labels(Component.RETENTION, {ROUND_LABEL: "r", KEY_LABEL: naming.REMOVE_KEY, ATTEMPT_LABEL: "1"})
    owner = [{"uid": server.objects["EvalRound", "r"]["metadata"]["uid"], "controller": True}]
    meta = make.meta("r-remove", labels=labels, ownerReferences=owner)
    server.put("Job", {"kind": "Job", "metadata": meta, "spec": {}, "status": {"active": 1}})

    async def work() -> Obj:
        for kind in ("EvalRound", "Job", "Pod"):
            operator.deliver(kind, 100)
        await reconcile(operator.context, Key(Kind.ROUND, "r"))
        status: Obj = server.objects["EvalRound", "r"]["status"]
        return status

    status = await work()
    assert (status["retry"], "removedAt" in status["files"], server.of("Job")) == (0, True, [])
    status = await work()
    assert (status["retry"], status.get("taskSet")) == (1, None)
