"""Random specs on a real API server: what the definitions accept, the operator reads, and the Job API accepts its Jobs.

Requests are dry runs: nothing is stored.
"""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, event, given, settings
from tests.unit.operator.conftest import Make
from tests.unit.schema_strategies import examples, part

from bitagent_crds.evalround import EvalRound
from bitagent_crds.minermodel import MinerModel
from bitagent_crds.schema import Resource
from bitagent_crds.validator import Validator
from bitagent_kube.resources import resource_of
from bitagent_local.cluster.api import ApiError
from bitagent_operator.config import Config
from bitagent_operator.manifests.evaluate import evaluation_job
from bitagent_operator.manifests.fetch import fetch_job
from bitagent_operator.manifests.rewriter import rewriter_objects
from bitagent_operator.manifests.task_set import task_set_job
from bitagent_operator.manifests.validator import validator_objects
from bitagent_operator.observed.objects import ModelObject, RoundObject, ValidatorObject
from bitagent_operator.plan.files.cache_room import room_for
from bitagent_operator.plan.models.model import plan as plan_model
from bitagent_operator.plan.rounds.round import plan as plan_round

if TYPE_CHECKING:
    from tests.integration.operator.conftest import World

pytestmark = [pytest.mark.integration, pytest.mark.timeout(900)]
Obj = dict[str, Any]
MAKE = Make()
NAMES = itertools.cycle(["llama-3.1-8b", "plain", "a.b"])


def of_one_world(few: int) -> settings:
    """So many examples in the namespace of the test: dry runs leave nothing in it."""
    return settings(examples(few), suppress_health_check=list(HealthCheck))


def config(world: World) -> Config:
    return MAKE.config(namespace=world.namespace)


def accepted(world: World, kind: type[Resource], spec: Obj) -> Obj | None:
    """The object as the API server would store it, None if it refuses it; it always says why."""
    meta = {"name": next(NAMES)}
    body = {"apiVersion": "bitagent.io/v1alpha1", "kind": kind.crd.kind, "metadata": meta, "spec": spec}
    try:
        made: Obj = world.api.create(world.path(kind.crd.plural) + "?dryRun=All&fieldValidation=Strict", body)
    except ApiError as error:
        if error.status not in (400, 422) or "spec" not in str(error):
            raise
        event("refused")
        return None
    event("accepted")
    made["metadata"] |= {"resourceVersion": "1"}
    return made


def takes(world: World, obj: Obj) -> None:
    plural = {"Job": "jobs", "Deployment": "deployments"}[obj["kind"]]
    world.api.create(world.path(plural) + "?dryRun=All&fieldValidation=Strict", obj)


@of_one_world(60)
@given(part(MinerModel, "spec", awkward=True))
def test_a_model_that_is_accepted_is_fetched(world: World, spec: Obj) -> None:
    raw = accepted(world, MinerModel, spec)
    if raw is None:
        return
    model = ModelObject.parse(raw)
    plan = plan_model(model, jobs=[], pods=[], rounds=[], pass_=MAKE.pass_())
    if plan.fetch is not None:
        takes(world, fetch_job(config(world), model, plan.fetch, room_for(model, models=[], rounds=[], share_bytes=0)))


@of_one_world(60)
@given(part(EvalRound, "spec", awkward=True))
def test_a_round_that_is_accepted_has_its_jobs(world: World, spec: Obj) -> None:
    raw = accepted(world, EvalRound, spec)
    if raw is None:
        return
    observed = RoundObject.parse(raw)
    selector = ",".join(f"{key}={value}" for key, value in (observed.spec.models.match_labels or {}).items())
    world.api.get(world.path("minermodels") + f"?labelSelector={selector.replace('/', '%2F')}")
    takes(world, task_set_job(config(world), observed, 1))
    entry = MAKE.admitted("llama-3.1-8b")
    status = {"startedAt": "2026-01-01T00:00:00Z", "taskSet": MAKE.TASK_SET, "results": [entry]}
    started = RoundObject.parse(raw | {"spec": raw["spec"] | {"suspend": False}, "status": status})
    models = {"llama-3.1-8b": MAKE.model("llama-3.1-8b", fetched=True)}
    plan = plan_round(started, models=models, jobs=[], pods=[], pass_=MAKE.pass_())
    for start in plan.evaluate:
        assert plan.status.task_set is not None
        takes(world, evaluation_job(config(world), started, start, plan.status.task_set))


@of_one_world(20)
@given(part(Validator, "spec", awkward=True))
def test_a_validator_that_is_accepted_has_its_deployment_and_its_rewriter(world: World, spec: Obj) -> None:
    raw = accepted(world, Validator, spec)
    if raw is None:
        return
    observed = ValidatorObject.parse(raw)
    takes(world, validator_objects(config(world), observed)[-1])
    if observed.spec.rewriter is not None:
        for obj in rewriter_objects(config(world), observed, observed.spec.rewriter, commit="a" * 40, replicas=1):
            path = resource_of(obj["apiVersion"], obj["kind"]).path(world.namespace)
            world.api.create(f"{path}?dryRun=All&fieldValidation=Strict", obj)
