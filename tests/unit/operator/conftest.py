"""Short builders of objects as the API server sends them, `make.model("a", fetched=True)`, and plans for a round."""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from bitagent_crds.jobs import EvaluateSummary, FetchSummary, TaskSetSummary, termination_message
from bitagent_crds.model_result import ModelResult
from bitagent_crds.names import (
    ATTEMPT_LABEL,
    COMMIT_LABEL,
    GENERATION_LABEL,
    KEY_LABEL,
    MODEL_LABEL,
    NEED_LABEL,
    RESOLVE_LABEL,
    ROUND_LABEL,
    SINCE_LABEL,
    TEMPLATE_ANNOTATION,
    VERIFY_LABEL,
    Component,
)
from bitagent_crds.progress import ProgressDocument
from bitagent_crds.seeds import secret_digest
from bitagent_crds.status import Condition
from bitagent_operator import naming
from bitagent_operator.config import Config
from bitagent_operator.observed.objects import ModelObject, RoundObject, ValidatorObject
from bitagent_operator.observed.queues import QueueState
from bitagent_operator.observed.workloads import JobObject, PodObject
from bitagent_operator.plan.inputs import LastEvent, LiveReadResults, Pass, PodProgress, Refusal, Settings
from bitagent_operator.plan.interface import RoundPlan
from bitagent_operator.plan.jobs.counts import INDEX_LABEL
from bitagent_operator.plan.rounds.round import plan as plan_round
from bitagent_operator.plan.shares import Share

Obj = dict[str, Any]
T0 = datetime(2026, 1, 1, tzinfo=UTC)
TASK_SET = {"digest": "sha256:" + "7" * 64, "count": 200, "uri": "pvc://artifacts/rounds/u/tasks"}
COMMIT = "a" * 40
SECRET = "5" * 64


def hotkey_of(name: str) -> str:
    """Return an address that differs for each name."""
    digits = hashlib.sha256(name.encode()).hexdigest().translate(str.maketrans("0", "g"))
    return "5" + (digits[:47] if name else "5" * 47)


def text(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


class Make:
    """Builders; `version` counts up so that later objects are newer."""

    T0 = T0
    hotkey = staticmethod(hotkey_of)
    TASK_SET = TASK_SET

    def __init__(self) -> None:
        self._version = itertools.count(1)

    def at(self, seconds: float) -> datetime:
        return T0 + timedelta(seconds=seconds)

    def meta(self, name: str, *, uid: str = "", created: float = 0, **more: Any) -> Obj:
        made = {"name": name, "uid": uid or f"uid-{name}", "resourceVersion": str(next(self._version)), "generation": 1}
        return made | {"creationTimestamp": text(self.at(created))} | more

    def condition(
        self, kind: str, status: str, reason: str, *, at: float = 0, generation: int = 1, message: str = ""
    ) -> Obj:
        out = {"type": kind, "status": status, "reason": reason, "message": message}
        return out | {"observedGeneration": generation, "lastTransitionTime": text(self.at(at))}

    def facts(self, *, weights: str = "1", **more: Any) -> Obj:
        made = {"commit": COMMIT, "sizeBytes": 1000, "parameters": 1000, "architecture": "LlamaForCausalLM"}
        return made | {"license": "mit", "weightsDigest": self.digest(weights)} | more

    def model_raw(
        self,
        name: str,
        *,
        fetched: bool | str = False,
        at: float = 0,
        weights: str = "1",
        revision: str = COMMIT,
        commit_block: int | None = None,
        hotkey: str = "",
        raw_spec: Obj | None = None,
        facts: Obj | None = None,
        status: Obj | None = None,
        suspend: bool = False,
        **meta: Any,
    ) -> Obj:
        """A MinerModel. `fetched`: True, or the reason why not; `at`: when that was found; `hotkey`: any short name."""
        spec: Obj = {"source": {"huggingFace": {"repo": f"org/{name}", "revision": revision}}, "suspend": suspend}
        if hotkey or commit_block is not None:
            spec["miner"] = {"hotkey": hotkey_of(hotkey)} | (
                {} if commit_block is None else {"commitBlock": commit_block}
            )
        spec |= raw_spec or {}
        made: Obj = {}
        if fetched is True:
            made["resolved"] = self.facts(weights=weights, **(facts or {})) | {"at": text(self.at(at))}
            made["conditions"] = [self.condition("Fetched", "True", "Fetched", at=at)]
        elif fetched:
            made["conditions"] = [self.condition("Fetched", "False", fetched, at=at, message="why")]
        return {"metadata": self.meta(name, **meta), "spec": spec, "status": made | (status or {})}

    def model(self, name: str, **more: Any) -> ModelObject:
        return ModelObject.parse(self.model_raw(name, **more))

    def round_raw(
        self, name: str = "r", *, names: list[str] | None = None, status: Obj | None = None, **more: Any
    ) -> Obj:
        tasks = {"sources": [{"bfcl": {"categories": ["simple_python"]}}], "count": 200}
        tasks |= more.pop("spec_tasks", {"seed": "1"})
        meta = {k: more.pop(k) for k in ("uid", "created") if k in more}
        models: Obj = {"names": names} if names else {"matchLabels": {}}
        spec = {"models": models, "tasks": tasks} | more
        return {"metadata": self.meta(name, **meta), "spec": spec, "status": status or {}}

    def seed_from(self, *, published: bool = False, block: int = 1000, secret: str = SECRET) -> Obj:
        """A round's tasks with a seed of a block and a secret, `make.round(spec_tasks=make.seed_from())`."""
        made = {"block": block, "secretDigest": secret_digest(SECRET)}
        return {"seedFrom": made | ({"blockHash": "0x" + "b" * 64, "secret": secret} if published else {})}

    def started(
        self, *models: str, at: float = 0, tasks: bool = True, results: dict[str, Obj] | None = None, **more: Any
    ) -> RoundObject:
        """A round that has frozen these models; `results` has more fields of an entry by model."""
        entries = [{"model": m} | (results or {}).get(m, {}) for m in models]
        status = {"startedAt": text(self.at(at)), "results": entries} | ({"taskSet": TASK_SET} if tasks else {})
        return self.round(status=status | more.pop("status", {}), **more)

    def round(self, name: str = "r", **more: Any) -> RoundObject:
        return RoundObject.parse(self.round_raw(name, **more))

    def validator_raw(
        self, name: str = "v", *, conditions: list[Obj] | None = None, status: Obj | None = None, **more: Any
    ) -> Obj:
        tasks = {"sources": [{"bfcl": {"categories": ["simple_python"]}}], "count": 200}
        template = {"models": {"matchLabels": {}}, "tasks": tasks}
        spec = {
            "netuid": 20,
            "chain": {"endpoints": ["ws://chain:9944"]},
            "wallet": {"hotkeySecretRef": {"name": "wallet", "key": "hotkey"}},
            "competitions": [{"id": "main", "schedule": {"everyBlocks": 360}, "round": template}],
        }
        made = {"conditions": conditions or []} | (status or {})
        return {"metadata": self.meta(name), "spec": spec | more, "status": made}

    def validator(self, name: str = "v", **more: Any) -> ValidatorObject:
        return ValidatorObject.parse(self.validator_raw(name, **more))

    def job(
        self,
        name: str,
        *,
        owner: str,
        ended: str = "",
        reason: str = "",
        at: float = 10,
        labels: dict[str, str] | None = None,
        suspended: bool = False,
        failed: int = 0,
        active: int = 0,
        started: float | None = None,
        ending: str = "",
        template: str = "",
        shards: int = 1,
        parallelism: int | None = None,
        **meta: Any,
    ) -> JobObject:
        """A Job owned by the uid `owner`; `ended`: Complete or Failed; `template`: digest of its pod's spec.

        `ending`: reason of its FailureTarget.
        """
        reference = [{"uid": owner, "controller": True}]
        status: Obj = {"failed": failed, "active": active}
        status |= {"startTime": text(self.at(started))} if started is not None else {}
        if ended:
            status["conditions"] = [
                {"type": ended, "status": "True", "reason": reason, "lastTransitionTime": text(self.at(at))}
            ]
        if ending:
            status.setdefault("conditions", []).append({"type": "FailureTarget", "status": "True", "reason": ending})
        annotations = {TEMPLATE_ANNOTATION: template} if template else {}
        made = self.meta(name, ownerReferences=reference, labels=labels or {}, annotations=annotations, **meta)
        spec = {
            "suspend": suspended,
            "completions": shards,
            "parallelism": shards if parallelism is None else parallelism,
        }
        return JobObject.parse({"metadata": made, "spec": spec, "status": status})

    def digest(self, weights: str) -> str:
        """Digest of the weights of `make.model(..., weights=weights)`."""
        return "sha256:" + weights.rjust(64, "0")

    def key(self, weights: str, **frozen: Any) -> str:
        """Name of the evaluation of `make.model(..., weights=weights)` by default choices."""
        key = ModelResult.model_validate(self.admitted("m", weights=weights, **frozen)).evaluation_key
        assert key is not None
        return key

    def admitted(self, model: str, *, weights: str = "1", **more: Any) -> Obj:
        """Fields of an entry whose `make.model(model, weights=weights)` was admitted."""
        made = {"model": model, "commit": COMMIT, "weightsDigest": self.digest(weights), "repo": f"org/{model}"}
        return made | {"promptFormat": "Auto", "engine": {}, "modelUid": f"uid-{model}"} | more

    def evaluation(
        self, key: str, *, attempt: int = 1, owner: str = "uid-r", series: int = 0, **more: Any
    ) -> JobObject:
        purpose = {ROUND_LABEL: "r", KEY_LABEL: key, ATTEMPT_LABEL: str(attempt)} | naming.series_label(series)
        labels = naming.labels(Component.EVALUATE, purpose)
        name = naming.round_job_name("r", key=key, attempt=attempt, series=series)
        return self.job(name, owner=owner, labels=labels, **more)

    def fetch(
        self,
        model: str,
        *,
        need: str = "n",
        attempt: int = 1,
        since: float | None = None,
        generation: int = 1,
        commit: str = "",
        resolve: bool = False,
        verify: bool = False,
        **more: Any,
    ) -> JobObject:
        moment = 0 if since is None else int(self.at(since).timestamp())
        purpose = {MODEL_LABEL: model, NEED_LABEL: need, ATTEMPT_LABEL: str(attempt)}
        purpose |= {SINCE_LABEL: str(moment), GENERATION_LABEL: str(generation)}
        purpose |= {COMMIT_LABEL: commit} if commit else {}
        purpose |= {RESOLVE_LABEL: "true"} if resolve else {}
        purpose |= {VERIFY_LABEL: "true"} if verify else {}
        labels = naming.labels(Component.FETCH, purpose)
        name = naming.fetch_job_name(model, need=need, attempt=attempt)
        return self.job(name, owner=f"uid-{model}", labels=labels, **more)

    def pod(
        self,
        job: JobObject,
        *,
        code: int | None = None,
        message: str = "",
        node: str = "",
        phase: str = "",
        waiting: tuple[str, str] | None = None,
        terminated_reason: str = "Completed",
        unschedulable: float | None = None,
        at: float = 5,
        status: Obj | None = None,
        name: str = "",
        gates: Iterable[str] = (),
        deleted: float | None = None,
        index: int | None = None,
        **meta: Any,
    ) -> PodObject:
        """A pod of the Job, ended with `code`, or waiting, or running; `deleted`: end of its grace period.

        `index`: its shard.
        """
        state: Obj = {"running": {"startedAt": text(self.at(at))}}
        if code is not None:
            state = {"terminated": {"exitCode": code, "message": message, "reason": terminated_reason}}
            state["terminated"] |= {"startedAt": text(self.at(at - 1)), "finishedAt": text(self.at(at))}
            phase = phase or ("Succeeded" if code == 0 else "Failed")
        elif waiting is not None:
            state, phase = {"waiting": {"reason": waiting[0], "message": waiting[1]}}, "Pending"
        made: Obj = {"phase": phase or "Running", "containerStatuses": [{"state": state}]}
        if unschedulable is not None:
            made = {"phase": "Pending"}
            made["conditions"] = [
                {
                    "type": "PodScheduled",
                    "status": "False",
                    "reason": "Unschedulable",
                    "message": "no GPUs",
                    "lastTransitionTime": text(self.at(unschedulable)),
                }
            ]
        reference = [{"uid": job.meta.uid, "controller": True}]
        labels = dict(job.meta.labels) | ({INDEX_LABEL: str(index)} if index is not None else {})
        raw = {"metadata": self.meta(name or f"{job.meta.name}-pod", ownerReferences=reference, labels=labels, **meta)}
        if deleted is not None:
            raw["metadata"]["deletionTimestamp"] = text(self.at(deleted))
        spec = {"nodeName": node, "schedulingGates": [{"name": gate} for gate in gates]}
        return PodObject.parse(raw | {"spec": spec, "status": made | (status or {})})

    def serving_pod(
        self, job: JobObject, *, port: int | None = 8081, address: str = "127.0.0.1", scheduled: float = 2, **more: Any
    ) -> PodObject:
        """A pod of an evaluation that serves its progress."""
        pod = self.pod(job, **more)
        return replace(pod, address=address, progress_port=port, scheduled=self.at(scheduled))

    def said(self, *, read: float = 100, advanced: float = 100, mute: bool = False, **document: Any) -> PodProgress:
        """What a pod has said of its progress at `read`; `advanced`: its last progress."""
        found = ProgressDocument.model_validate({"phase": "Generating", "total": 200} | document)
        return PodProgress(self.at(read), self.at(advanced), found, mute=mute)

    def fetched(self, **facts: Any) -> str:
        return termination_message(FetchSummary.model_validate({"reason": "Fetched", "facts": self.facts(**facts)}))

    def fetch_fault(self, reason: str, message: str = "why") -> str:
        return termination_message(FetchSummary.model_validate({"reason": reason, "message": message}))

    def built(self) -> str:
        summary = {"reason": "TasksReady", "digest": TASK_SET["digest"], "count": 200}
        return termination_message(TaskSetSummary.model_validate(summary))

    def scored(self, score: str = "0.500000") -> str:
        return termination_message(
            EvaluateSummary.model_validate({"reason": "Evaluated", "score": score, "total": 2, "passed": 1})
        )

    def evaluate_fault(self, reason: str, message: str = "why") -> str:
        return termination_message(EvaluateSummary.model_validate({"reason": reason, "message": message}))

    def pass_(
        self,
        *,
        now: float = 1000,
        listed: Iterable[JobObject] = (),
        missing: Iterable[str] = (),
        candidates: Iterable[ModelObject] | None = None,
        events: Mapping[str, LastEvent | None] | None = None,
        **settings: Any,
    ) -> Pass:
        """A planning pass; `listed`: Jobs whose pods were listed live; `missing` and `candidates`: models.

        `events`: newest Events that were read, by the uid of their object.
        """
        live = LiveReadResults(
            frozenset(job.meta.uid for job in listed),
            frozenset(missing),
            tuple(candidates) if candidates is not None else None,
            events=events or {},
        )
        return Pass(now=self.at(now), settings=Settings("artifacts", timedelta(seconds=300), **settings), live=live)

    def config(self, **more: Any) -> Config:
        base: Obj = {
            "namespace": "ns",
            "images": {"evaluator": "e:1", "validator": "v:1"},
            "cache": {"claimName": "cache"},
            "artifacts": {"claimName": "artifacts"},
        }
        return Config.model_validate(base | more)


@pytest.fixture
def make() -> Make:
    return Make()


@dataclass(frozen=True, kw_only=True)
class Planned(RoundPlan):
    """The plan for a round, and short ways to look at its status."""

    @property
    def results(self) -> dict[str, ModelResult]:
        return {result.model: result for result in self.status.results}

    @property
    def states(self) -> dict[str, tuple[str, str]]:
        return {result.model: (result.state.value, result.reason.value) for result in self.status.results}

    def condition(self, kind: str) -> Condition:
        return next(condition for condition in self.status.conditions if condition.type == kind)


Plan = Callable[..., Planned]


@pytest.fixture
def plan(make: Make) -> Plan:
    """The plan for a round, 100 seconds after T0 unless `now` is given."""

    def planned(
        observed: RoundObject,
        models: Iterable[ModelObject] = (),
        *,
        jobs: Iterable[JobObject] = (),
        pods: Iterable[PodObject] = (),
        selected: bool = False,
        gone: Iterable[str] = (),
        sure: bool = True,
        now: float = 100,
        image: str = "",
        refusals: Mapping[str, Refusal] | None = None,
        queues: QueueState | None = None,
        progress: Mapping[str, PodProgress] | None = None,
        share: Share | None = None,
        events: Mapping[str, LastEvent | None] | None = None,
    ) -> Planned:
        models, jobs = list(models), list(jobs)
        candidates = models if selected else None
        pass_ = make.pass_(
            now=now, listed=jobs if sure else (), missing=gone, candidates=candidates, events=events, image=image
        )
        pass_ = replace(
            pass_, refusals=refusals or {}, queues=queues or QueueState(), progress=progress or {}, share=share
        )
        found = plan_round(
            observed, models={model.meta.name: model for model in models}, jobs=jobs, pods=list(pods), pass_=pass_
        )
        return Planned(**vars(found))

    return planned
