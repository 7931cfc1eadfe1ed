"""Random objects from the schemas: they are planned, and every Job that follows is one that Kubernetes accepts."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.kubernetes_rules import pod, violations
from tests.unit.operator.conftest import Make
from tests.unit.schema_strategies import examples, part

from bitagent_crds.evalround import EvalRound
from bitagent_crds.fields import Name
from bitagent_crds.minermodel import MinerModel
from bitagent_crds.model_result import FINAL_STATES
from bitagent_crds.validator import Validator
from bitagent_operator.manifests.evaluate import evaluation_job
from bitagent_operator.manifests.fetch import fetch_job
from bitagent_operator.manifests.task_set import task_set_job
from bitagent_operator.manifests.validator import validator_objects
from bitagent_operator.observed.cache import Cache
from bitagent_operator.observed.objects import ModelObject, RoundObject, ValidatorObject
from bitagent_operator.plan.files.cache_room import room_for
from bitagent_operator.plan.models.model import plan as plan_model
from bitagent_operator.plan.rounds.round import plan as plan_round

pytestmark = pytest.mark.timeout(900)  # of `make fuzz`
Obj = dict[str, Any]
MAKE = Make()
CONFIG = MAKE.config()


def names(longest: int) -> st.SearchStrategy[str]:
    pattern = Name.__metadata__[0].metadata[1].pattern  # type: ignore[attr-defined]
    return st.from_regex(pattern.removeprefix("^").removesuffix("$"), fullmatch=True).filter(
        lambda name: len(name) <= longest
    ) | st.sampled_from(["llama-3.1-8b", "a" * longest, ("a.b-" * longest)[: longest - 1] + "c"])


def model_of(name: str, spec: Obj, status: Obj) -> ModelObject:
    return ModelObject.parse({"metadata": MAKE.meta(name), "spec": spec, "status": status})


@examples(30)
@given(names(52), part(MinerModel, "spec"), part(MinerModel, "status", later=True) | st.just({}))
def test_any_model_is_planned(name: str, spec: Obj, status: Obj) -> None:
    model = model_of(name, spec, status)
    running = MAKE.started(name, results={name: {"modelUid": model.meta.uid}})
    seeded = MAKE.started(name, tasks=False, spec_tasks=MAKE.seed_from(), uid="uid-s")
    plan = plan_model(model, jobs=[], pods=[], rounds=[running, seeded], pass_=MAKE.pass_())
    room = room_for(model, models=[model], rounds=[running], share_bytes=1)
    for start in (plan.fetch, plan.resolve):
        if start is not None:
            assert violations(fetch_job(CONFIG, model, start, room)) == []
    assert ModelObject.parse({"metadata": MAKE.meta(name), "spec": spec, "status": plan.status.to_wire()})


@examples(20)
@given(names(48), names(52), part(EvalRound, "spec"), part(MinerModel, "spec"))
def test_any_round_runs(name: str, model_name: str, spec: Obj, model_spec: Obj) -> None:
    facts = MAKE.model_raw(model_name, fetched=True, at=1000)["status"]
    model = model_of(model_name, model_spec | {"suspend": False}, facts)
    labels, selected = spec["models"].get("matchLabels"), spec["models"].get("names")
    raw: Obj = {"metadata": MAKE.meta(name), "spec": spec | {"suspend": False}, "status": {}}
    everything: Obj = {"matchLabels": {}}
    raw["spec"]["models"] = everything if labels is not None else {"names": [*selected[:2], model_name]}
    for step in range(3):
        observed = RoundObject.parse(raw)
        pass_ = MAKE.pass_(now=1000 + step, candidates=[model], missing=selected or ())
        plan = plan_round(observed, models={model_name: model}, jobs=[], pods=[], pass_=pass_)
        assert not plan.reads
        if plan.task_set_attempt is not None:
            assert violations(task_set_job(CONFIG, observed, plan.task_set_attempt)) == []
        for start in plan.evaluate:
            assert plan.status.task_set is not None
            assert violations(evaluation_job(CONFIG, observed, start, plan.status.task_set)) == []
        raw["status"] = plan.status.to_wire()
        if "taskSet" not in raw["status"] and "startedAt" in raw["status"]:
            raw["status"]["taskSet"] = MAKE.TASK_SET
    if observed.spec.tasks_only:
        assert (plan.status.phase, plan.status.results) == ("Complete", [])
        return
    result = next(r for r in plan.status.results if r.model == model_name)
    assert plan.evaluate or result.state in FINAL_STATES or result.reason in ("FreezingModels", "WaitingForModel")


@examples(20)
@given(part(EvalRound, "status", later=True), st.booleans())
def test_a_round_is_planned_whatever_its_status_says(status: Obj, ended: bool) -> None:
    status = {k: v for k, v in status.items() if ended or k != "finishedAt"}
    cache = Cache()
    cache.put("EvalRound", MAKE.round_raw(status=status))
    found = {r["model"] for r in status.get("results", ())}
    models = {name: MAKE.model(name, fetched=True) for name in found if len(name) % 2}
    pass_ = MAKE.pass_(candidates=models.values(), missing=found - set(models))
    for observed in cache.rounds:
        plan = plan_round(observed, models=models, jobs=[], pods=[], pass_=pass_)
        assert plan.reads or RoundObject.parse(MAKE.round_raw(status=plan.status.to_wire())).status == plan.status
        if "finishedAt" in status:
            assert plan.status == observed.status, "a finished round stays as it is"
    assert len(cache.rounds) == 1


@examples(10)
@given(names(24), part(Validator, "spec"))
def test_any_validator_has_objects(name: str, spec: Obj) -> None:
    validator = ValidatorObject.parse({"metadata": MAKE.meta(name), "spec": spec})
    deployment = validator_objects(CONFIG, validator)[-1]
    assert list(pod(deployment["spec"]["template"]["spec"])) == []
