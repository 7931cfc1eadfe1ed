"""Random objects that are stored while the operator runs: each comes to an end, or its status says what it waits for.

A few in every run; `make fuzz` stores about 5,000, by creations and by changes to another random spec.
"""

from __future__ import annotations

import hashlib
import os
import re
import urllib.request
from collections import Counter
from datetime import timedelta
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from hypothesis import HealthCheck, Phase, given, seed, settings
from tests.integration.operator.conftest import facts
from tests.unit.schema_strategies import part

from bitagent_crds.evalround import EvalRound
from bitagent_crds.jobs import ArchiveSummary, FetchSummary, termination_message
from bitagent_crds.minermodel import MinerModel
from bitagent_crds.schema import Resource
from bitagent_crds.validator import Validator
from bitagent_local.cluster.api import ApiError
from bitagent_local.cluster.ports import free_ports
from bitagent_operator.manifests.rbac import OPERATOR_RULES, VOLUME_RULES

if TYPE_CHECKING:
    from tests.integration.operator.conftest import Exit, Outcomes, World

FUZZ = os.environ.get("HYPOTHESIS_PROFILE") == "fuzz"
PARTS, SHARE = (85, 1.0) if FUZZ else (1, 0.4)
"""Tests, and how much of a batch each of them stores."""
BATCH: tuple[tuple[type[Resource], int], ...] = ((MinerModel, 32), (EvalRound, 32), (Validator, 16))
"""Objects of each kind; some are refused, and half of the others are changed: some 60 are stored in all."""
NAMES = ["llama-3.1-8b", "plain", "a.b", "0"]
READY_MODELS = ["ready-1", "ready-2.5"]
"""Models that half of the rounds select, so that these run."""
OTHER_WAYS: dict[str, Any] = {
    "cache": {"mode": "VolumePerModel"},
    "evaluations": {"maxParallel": 2},
    "archive": {"url": "s3://bucket/x", "secretName": "s3"},
}
"""Configuration of the operator in every other test."""

pytestmark = [pytest.mark.integration, pytest.mark.timeout(600 if FUZZ else 300)]
Obj = dict[str, Any]


def random_specs(kind: type[Resource], number: int, *, origin: int) -> list[Obj]:
    """Specs from the kind's schema; of an even origin most have a text that the definition may refuse."""
    found: list[Obj] = []

    @seed(origin)
    @settings(max_examples=number, database=None, phases=[Phase.generate], suppress_health_check=list(HealthCheck))
    @given(part(kind, "spec", awkward=origin % 2 == 0))
    def collect(spec: Obj) -> None:
        found.append(spec)

    collect()
    return found[-number:]  # the first are the smallest


class Stored:
    """What the API server took of random objects."""

    def __init__(self, world: World, random: Random) -> None:
        self.world, self._random = world, random
        self.count: Counter[str] = Counter()
        self.serial = 0

    def create(self, kind: type[Resource], spec: Obj) -> None:
        self.serial += 1
        name = f"{self._random.choice(NAMES)}-{self.serial}"
        body = {"apiVersion": "bitagent.io/v1alpha1", "kind": kind.crd.kind, "metadata": {"name": name}, "spec": spec}
        made = self._send(lambda: self.world.api.create(self.world.path(kind.crd.plural), body))
        if made is not None:
            self.count["created"] += 1

    def change(self, kind: type[Resource], obj: Obj, spec: Obj) -> None:
        """Give an object another spec; where that is immutable, only what may be changed of it."""
        old = obj["spec"]
        tries = [spec]
        if kind is EvalRound:
            run = {k: v for k, v in spec.items() if k in ("suspend", "packing", "activeDeadlineSeconds")}
            workload = {k: v for k, v in spec.get("workload", {}).items() if k in _MUTABLE}
            tries.append(old | run | {"workload": old.get("workload", {}) | workload})
        path = self.world.path(kind.crd.plural, obj["metadata"]["name"])
        for each in tries:
            if self._send(lambda each=each: self.world.api.merge(path, {"spec": changes(old, each)})) is not None:
                self.count["changed"] += 1
                return

    def _send(self, request: Any) -> Obj | None:
        """Make the request; a refusal must name the field."""
        try:
            made: Obj = request()
        except ApiError as error:
            if error.status not in (400, 422) or "spec" not in str(error):
                raise
            self.count["refused"] += 1
            return None
        return made


def changes(old: Obj, new: Obj) -> Obj:
    """The merge patch that makes one object the other."""
    both = {
        k: changes(old[k], v) if isinstance(v, dict) and isinstance(old.get(k), dict) else v for k, v in new.items()
    }
    return dict.fromkeys(old.keys() - new.keys()) | both


_MUTABLE = ("parallelism", "tolerations", "nodeSelector", "weight", "stallSeconds", "queuePriorityClassName")


def conditions(obj: Obj) -> dict[str, Obj]:
    return {c["type"]: c for c in obj.get("status", {}).get("conditions", ())}


def what_is_left(obj: Obj) -> str:
    """Why an object is not at its end, if that is no true reason; empty if there is one, or if it is at its end."""
    status, spec, found = obj.get("status", {}), obj["spec"], conditions(obj)
    reasons = {c["reason"] for c in found.values()}
    if bad := reasons & {"Invalid", "JobInvalid"}:
        return f"the definition took it, but {bad}: {[c['message'] for c in found.values() if c['reason'] in bad]}"
    if obj["kind"] == "Validator":
        deployed = found.get("Deployed", {})
        if deployed.get("observedGeneration") != obj["metadata"]["generation"]:
            return "its generation was not observed"
        true = {"DeploymentProgressing", "SecretNotFound", "Suspended"}
        return "" if deployed["reason"] in true else f"Deployed: {deployed['reason']}"
    if obj["kind"] == "MinerModel":
        if spec.get("suspend") and found.get("Fetched", {}).get("reason") == "Suspended":
            return ""
        fetched = found.get("Fetched", {})
        if fetched.get("observedGeneration") != obj["metadata"]["generation"]:
            return "its generation was not observed"
        return "" if fetched["reason"] in ("Fetched", "Suspended", "BadConfig", "TooManyModels") else fetched["reason"]
    return "" if "finishedAt" in status else what_a_round_waits_for(spec, status, reasons)


def what_a_round_waits_for(spec: Obj, status: Obj, reasons: set[str]) -> str:
    """What an unfinished round waits for, unless its spec explains it; its status must have the reason."""
    workload, tasks = spec.get("workload", {}), spec["tasks"]
    seed_from = tasks.get("seedFrom")
    reasons = reasons | {r["reason"] for r in status.get("results", ())}
    true = {
        "RoundSuspended": spec.get("suspend", False),
        "QueueNotFound": "queueName" in workload,
        "PodRefused": not workload.keys().isdisjoint(("priorityClassName", "runtimeClassName")),
        "WaitingForSeed": seed_from is not None and ("blockHash" not in seed_from or "secret" not in seed_from),
    }
    if any(holds and reason in reasons for reason, holds in true.items()):
        return ""
    return f"waits, and says {sorted(reasons)}"


def stored(world: World) -> list[Obj]:
    return [
        obj | {"kind": kind.crd.kind, "apiVersion": "bitagent.io/v1alpha1"}
        for kind, _ in BATCH
        for obj in world.all(kind.crd.plural)
    ]


def until_at_rest(world: World) -> list[Obj]:
    """Wait until nothing is left to do or nothing changes; return the objects."""
    seen: tuple[Any, float] = (None, 0.0)
    quiet = 0
    while quiet < 40:
        objects = stored(world)
        versions = {o["metadata"]["uid"]: o["metadata"]["resourceVersion"] for o in objects}
        if not any(map(what_is_left, objects)):
            return objects
        quiet = quiet + 1 if versions == seen[0] else 0
        seen = (versions, 0.0)
        assert world.operators[-1].poll() is None, world.log.read_text()[-4000:]
        world.pause(0.25)
    return objects


def script(outcomes: Outcomes) -> Any:
    """Everything works, but every tenth model is refused."""

    def end(pod: Obj, document: Obj) -> Exit | None:
        if document["kind"] == "Fetch":
            origin = str(document.get("repo") or document.get("directory"))
            if document.get("resolveOnly"):
                return outcomes.resolved("a" * 40)
            if document.get("factsOnly"):
                found = facts(origin) | {"weightsDigest": None}
                summary = FetchSummary.model_validate({"reason": "Resolved", "facts": found})
                return outcomes.crashed(0, termination_message(summary))
            if hashlib.sha256(origin.encode()).digest()[0] % 10 == 0:
                return outcomes.refused("BadConfig", "of every tenth")
            return outcomes.fetched(origin)
        if document["kind"] == "Archive":
            archived = ArchiveSummary.model_validate({"reason": "Archived", "digest": "sha256:" + "d" * 64})
            return outcomes.crashed(0, termination_message(archived))
        return outcomes.built() if document["kind"] == "TaskSet" else outcomes.scored("0.500000")

    return end


def failing(metrics: int) -> float:
    """The number of objects whose last pass failed."""
    with urllib.request.urlopen(f"http://127.0.0.1:{metrics}/metrics", timeout=60) as answer:
        text = answer.read().decode()
    found = re.search(r"^bitagent_operator_queue_backing_off(?:\{[^}]*\})? (\S+)$", text, re.MULTILINE)
    assert found is not None, text[:500]
    return float(found[1])


@pytest.mark.parametrize("number", range(PARTS))
def test_whatever_is_stored_ends_or_says_what_it_waits_for(world: World, outcomes: Outcomes, number: int) -> None:
    (port,) = free_ports(1)
    path = Path(world.environment["BITAGENT_CONFIG"])
    of_operator: Obj = {"metricsPort": port, "modelsPerHotkey": 2, **(OTHER_WAYS if number % 2 else {})}
    path.write_text(yaml.safe_dump(yaml.safe_load(path.read_text()) | of_operator))
    world.api.merge(world.path("roles", "operator"), {"rules": [*OPERATOR_RULES, *VOLUME_RULES]})
    world.kubelet.script = script(outcomes)
    world.constants["bitagent_operator.plan.rounds.start:MODELS_WAIT"] = timedelta(seconds=2)
    world.constants["bitagent_operator.plan.rounds.holders:LEAVES_SLOT_AFTER"] = timedelta(seconds=2)
    world.start_operator(BITAGENT_DEBUG="1")
    origin = Random().randrange(2**32) if FUZZ else number
    random = Random(origin)
    made = Stored(world, random)
    for name in READY_MODELS:
        source = {"huggingFace": {"repo": f"org/{name}", "revision": "a" * 40}}
        world.create("minermodels", "MinerModel", name, {"source": source}, {"batch": "ready"})
    for kind, number_of_kind in BATCH:
        for spec in random_specs(kind, int(number_of_kind * SHARE), origin=random.randrange(2**32)):
            if kind is EvalRound and random.random() < 0.5:
                spec = spec | {"models": {"matchLabels": {"batch": "ready"}}}
            made.create(kind, spec)
    if random.random() < 0.5:
        until_at_rest(world)  # else what is running is changed
    for kind, number_of_kind in BATCH:
        specs = random_specs(kind, int(number_of_kind * SHARE), origin=random.randrange(2**32))
        for obj, spec in zip(world.all(kind.crd.plural), specs, strict=False):
            if random.random() < 0.5:
                made.change(kind, obj | {"kind": kind.crd.kind, "apiVersion": "bitagent.io/v1alpha1"}, spec)
    left = [(obj, what) for obj in until_at_rest(world) if (what := what_is_left(obj))]
    found = [f"{o['kind']} {o['metadata']['name']}: {what}\n{yaml.safe_dump(o)}" for o, what in left]
    if failing(port):
        world.pause(5.0)
    if failing(port):
        failures = [line for line in world.log.read_text().splitlines() if "failed " in line]
        found.append(f"{failing(port)} objects fail again and again: {failures[-3:]}")
    for kind, _ in BATCH:
        world.api.delete(world.path(kind.crd.plural))

    def gone() -> bool:
        return not any(world.all(plural) for plural in ("minermodels", "evalrounds", "validators", "jobs"))

    world.until("all to be gone", gone, 120)
    log = world.log.read_text()
    print(f"origin {origin}: {dict(made.count)}")
    assert world.operators[-1].poll() is None, log[-4000:]
    assert not found, f"origin {origin}, {made.count}\n" + "\n".join(found[:20])
    assert "Traceback" not in log, log[log.index("Traceback") - 1000 :][:4000]
