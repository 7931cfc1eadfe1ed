"""A fetch where each model has a volume of its own: its size first, then the volume, then its files."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from bitagent_crds.conditions import ConditionType, Reason
from bitagent_crds.jobs import CacheRoom, FetchSummary, termination_message
from bitagent_crds.names import CACHE_LABEL, FACTS_LABEL, cache_id, cached_model_path
from bitagent_kube.conditions import find
from bitagent_operator.observed.objects import ModelObject
from bitagent_operator.observed.workloads import JobObject
from bitagent_operator.plan.inputs import ModelVolume
from bitagent_operator.plan.interface import ModelPlan, StartFetch, VolumePlan
from bitagent_operator.plan.models.model import plan as plan_model
from bitagent_operator.plan.models.model_volumes import volume_bytes
from bitagent_operator.plan.models.volume_step import needs_volume, releasing, with_volume

if TYPE_CHECKING:
    from tests.unit.operator.conftest import Make

COMMIT = "a" * 40
ID = cache_id(cached_model_path("org/a", COMMIT))
SIZE = volume_bytes(1000)


def plan(make: Make, model: ModelObject, *jobs: JobObject, pods: Any = (), now: float = 100) -> ModelPlan:
    pass_ = make.pass_(now=now, listed=jobs, volume_per_model=True, cache_is_bounded=True)
    return plan_model(model, jobs=jobs, pods=list(pods), rounds=[], pass_=pass_)


def labelled(job: JobObject, **labels: str) -> JobObject:
    return replace(job, meta=replace(job.meta, labels={**job.meta.labels, **labels}))


def facts_job(make: Make, **more: Any) -> JobObject:
    return labelled(make.fetch("a", **more), **{FACTS_LABEL: "true"})


def size_found(make: Make, **facts: Any) -> str:
    found = {"reason": "Resolved", "facts": make.facts(**facts) | {"weightsDigest": None}}
    return termination_message(FetchSummary.model_validate(found))


@pytest.mark.parametrize("revision", ["main", COMMIT])
def test_the_size_is_found_first(make: Make, revision: str) -> None:
    found = plan(make, make.model("a", revision=revision))
    assert found.fetch is not None
    assert (found.fetch.facts_only, needs_volume(found)) == (True, False)


def test_then_its_files_are_fetched(make: Make) -> None:
    job = facts_job(make, need="n", ended="Complete")
    pods = [make.pod(job, code=0, message=size_found(make))]
    found = plan(make, make.model("a", revision="main"), job, pods=pods)
    assert found.fetch is not None
    assert (found.fetch.commit, found.fetch.size_bytes, found.fetch.facts_only) == (COMMIT, 1000, False)
    assert found.fetch.need != "n", "a Job of its own"
    assert found.status.inspection is not None
    assert (found.status.inspection.size_bytes, found.status.resolved) == (1000, None)
    assert not found.delete, "the Job is the memory until the next one exists"

    files = make.fetch("a", need=found.fetch.need, commit=COMMIT, created=10)
    recorded = make.model("a", revision="main", status=found.status.to_wire())
    running = plan(make, recorded, job, files, pods=[*pods, make.pod(files, at=15)])
    assert (running.fetch, [d.uid for d in running.delete]) == (None, [job.meta.uid])


def test_a_model_that_is_refused_gets_no_volume(make: Make) -> None:
    job = facts_job(make, ended="Failed", reason="PodFailurePolicy")
    found = plan(make, make.model("a"), job, pods=[make.pod(job, code=78, message=make.fetch_fault("NoSafetensors"))])
    condition = find(found.status.conditions, ConditionType.FETCHED)
    assert condition is not None
    assert (found.fetch, condition.status, condition.reason) == (None, "False", "NoSafetensors")


def test_the_size_of_files_that_were_fetched_before_is_known(make: Make) -> None:
    """A round proves that they are still there."""
    model = make.model("a", fetched=True, at=0)
    observed = make.started("a", at=10_000)
    pass_ = make.pass_(now=10_001, volume_per_model=True, cache_is_bounded=True)
    found = plan_model(model, jobs=[], pods=[], rounds=[observed], pass_=pass_)
    assert found.fetch is not None
    assert (found.fetch.commit, found.fetch.size_bytes) == (COMMIT, 1000)


def test_a_directory_that_has_changed_gets_another_volume(make: Make) -> None:
    source = {"source": {"volume": {"claimName": "c", "path": "p"}}}
    job = labelled(make.fetch("a", commit="b" * 40, ended="Complete"), **{CACHE_LABEL: "0" * 12})
    pods = [make.pod(job, code=0, message=make.fetched())]
    model = make.model("a", raw_spec=source)
    waits = plan(make, model, job, pods=pods, now=20)
    condition = find(waits.status.conditions, ConditionType.FETCHED)
    assert condition is not None
    assert (waits.fetch, condition.reason) == (None, Reason.FILES_CHANGED)
    again = plan(make, model, job, pods=pods, now=100)
    assert again.fetch is not None
    assert (again.fetch.facts_only, again.fetch.commit) == (True, None)


@pytest.mark.parametrize("lost", [True, False])
def test_a_claim_whose_volume_is_gone_is_made_again(make: Make, lost: bool) -> None:
    model, pass_ = make.model("a"), make.pass_(now=100_000, volume_per_model=True)
    own = ModelVolume(ID, "c", "u", SIZE, make.at(0), lost=lost)
    pass_ = replace(pass_, live=replace(pass_.live, volumes=(own, replace(own, id="other", lost=True))))
    start = ModelPlan(status=model.status, fetch=StartFetch("n", make.T0, 1, COMMIT, size_bytes=1000))
    found = with_volume(model, start, limit=0, room=CacheRoom(), busy=frozenset({ID}), used={}, pass_=pass_)
    assert found.volume is not None
    assert found.volume.delete == ((own,) if lost else ())


@pytest.mark.parametrize(
    ("volumes", "limit", "share", "outcome"),
    [
        pytest.param(None, 0, 0, "reads", id="the claims are listed first"),
        pytest.param([], 0, 0, "made", id="no limit"),
        pytest.param([], SIZE, 0, "made", id="it fits"),
        pytest.param(["new"], SIZE, 0, "waits", id="no room"),
        pytest.param([], SIZE - 1, 0, "refused", id="larger than all volumes together"),
        pytest.param([], 10 * SIZE, SIZE - 1, "refused", id="larger than its hotkey's share"),
        pytest.param([ID], 1, 0, "made", id="it has one already"),
        pytest.param(["0" * 12], SIZE, 0, "evicts", id="another gives way"),
    ],
)
def test_what_its_volume_takes(make: Make, volumes: list[str] | None, limit: int, share: int, outcome: str) -> None:
    model, pass_ = make.model("a"), make.pass_(now=100_000, volume_per_model=True)
    known = None
    if volumes is not None:
        ages = {"new": 99_000}
        known = tuple(ModelVolume(i, f"c-{i}", "u", SIZE, make.at(ages.get(i, 0))) for i in volumes)
    pass_ = replace(pass_, live=replace(pass_.live, volumes=known))
    start = ModelPlan(status=model.status, fetch=StartFetch("n", make.T0, 1, COMMIT, size_bytes=1000))
    room = CacheRoom(share_bytes=share)
    found = with_volume(model, start, limit=limit, room=room, busy=frozenset(), used={}, pass_=pass_)
    if outcome == "reads":
        assert found.reads.volumes
    elif outcome == "refused":
        condition = find(found.status.conditions, ConditionType.FETCHED)
        assert condition is not None
        assert (found.fetch, condition.status, condition.reason) == (None, "False", Reason.TOO_LARGE)
    elif outcome == "waits":
        condition = find(found.status.conditions, ConditionType.FETCHED)
        assert condition is not None
        assert (found.fetch, condition.reason, found.requeue_after) == (None, Reason.CACHE_FULL, 30)
        assert [e.reason for e in found.events] == ["FetchDelayed"]
    else:
        assert found.volume is not None
        assert (found.volume.id, found.volume.bytes) == (ID, SIZE)
        assert [each.id for each in found.volume.delete] == (["0" * 12] if outcome == "evicts" else [])


@pytest.mark.parametrize(
    ("job", "goes", "now_deleted", "deleted"),
    [
        pytest.param({"ended": "Complete"}, False, True, True, id="its claim is deleted now"),
        pytest.param({"ended": "Complete"}, True, False, True, id="its claim waits for its pod"),
        pytest.param({"ended": "Complete"}, False, False, False, id="its claim stays"),
        pytest.param({"ended": "Complete", "at": 995}, True, False, False, id="what it found may be unrecorded"),
        pytest.param({}, True, False, False, id="it has not ended"),
        pytest.param({"ended": "Complete", "deletionTimestamp": "2026-01-01T00:00:00Z"}, True, False, False, id="gone"),
    ],
)
def test_ended_jobs_go_with_the_claim_that_they_have_used(
    make: Make, job: dict[str, Any], goes: bool, now_deleted: bool, deleted: bool
) -> None:
    """Kubernetes keeps a claim while there is a pod that mounts it, also one that has ended."""
    made = labelled(make.evaluation("k", **job), **{CACHE_LABEL: "0" * 12})
    other = labelled(make.evaluation("other", ended="Complete"), **{CACHE_LABEL: "1" * 12})
    claim = ModelVolume("0" * 12, "claim", "uid-claim", SIZE, make.at(0), deleting=goes)
    start = VolumePlan(ID, SIZE, (claim,) if now_deleted else ())
    pass_ = make.pass_(listed=(), volume_per_model=True)
    pass_ = replace(pass_, live=replace(pass_.live, volumes=(claim,)))
    found = releasing(ModelPlan(status=make.model("a").status, volume=start), [made, other], pass_)
    assert [d.uid for d in found.delete] == ([made.meta.uid] if deleted else [])
