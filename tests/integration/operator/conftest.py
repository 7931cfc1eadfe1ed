"""A double of the kubelet: pods run no process, a script says how they end.

The operator runs in a process of its own with only the rights of `rbac.OPERATOR_RULES`, each test in a namespace of
its own.
"""

from __future__ import annotations

import hashlib
import json
import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.programs import KUBECONFIG, Program

from bitagent_crds.jobs import (
    EXIT_LATER,
    EXIT_NOT_BEGUN,
    EXIT_PACK_LOST,
    JOB_ANNOTATION,
    EvaluateSummary,
    FetchSummary,
    TaskSetSummary,
    outcome_container,
    termination_message,
)
from bitagent_local.cluster.api import Api, ApiError
from bitagent_local.cluster.control_plane import ControlPlane
from bitagent_operator.manifests.rbac import OPERATOR_RULES

GROUP = "/apis/bitagent.io/v1alpha1"
TASKS_DIGEST = "sha256:" + "7" * 64
Obj = dict[str, Any]


@dataclass(frozen=True)
class Exit:
    """How a pod ends."""

    code: int = 0
    message: str = ""
    reason: str = "Completed"
    pod: Obj = field(default_factory=dict)
    """Further members of the pod's status."""
    engine: bool = False
    """Of a model of a pack: whether the container of the engine ends so, and with it the pack."""


Script = Callable[[Obj, Obj], Exit | None]
"""Given a pod and its Job document: how it ends, or None while it runs."""


def facts(repo: str, *, weights: str = "", commit: str = "a" * 40, parameters: int = 1_000_000, files: str = "") -> Obj:
    """The facts of a fetch Job; equal `weights` are equal weights, equal `files` are equal files."""
    digest = hashlib.sha256(f"weights {weights or repo}".encode()).hexdigest()
    return {
        "commit": commit,
        "sizeBytes": 1000,
        "parameters": parameters,
        "architecture": "LlamaForCausalLM",
        "license": "mit",
        "weightsDigest": f"sha256:{digest}",
        "engineShape": "e" * 16,
        "modelDigest": "sha256:" + hashlib.sha256((files or weights or repo).encode()).hexdigest(),
    }


class Outcomes:
    """How pods may end, for the scripts of tests."""

    crashed = Exit

    @staticmethod
    def fetched(repo: str, **found: Any) -> Exit:
        summary = {"reason": "Fetched", "facts": facts(repo, **found)}
        return Exit(0, termination_message(FetchSummary.model_validate(summary)))

    @staticmethod
    def resolved(commit: str) -> Exit:
        summary = {"reason": "Resolved", "commit": commit}
        return Exit(0, termination_message(FetchSummary.model_validate(summary)))

    @staticmethod
    def refused(reason: str, message: str) -> Exit:
        summary = FetchSummary.model_validate({"reason": reason, "message": message})
        return Exit(78, termination_message(summary), "Error")

    @staticmethod
    def postponed(reason: str, *, retry_after_seconds: int | None = None) -> Exit:
        """A fetch whose next pod would meet the same."""
        summary = FetchSummary.model_validate({"reason": reason, "retryAfterSeconds": retry_after_seconds})
        return Exit(EXIT_LATER, termination_message(summary), "Error")

    @staticmethod
    def built(count: int = 200, *, message: str = "") -> Exit:
        summary = {"reason": "TasksReady", "digest": TASKS_DIGEST, "count": count, "message": message}
        return Exit(0, termination_message(TaskSetSummary.model_validate(summary)))

    @staticmethod
    def scored(score: str) -> Exit:
        seconds = {"load": "1.0", "generate": "2.0", "score": "0.1"}
        summary = {"reason": "Evaluated", "score": score, "passed": 1, "total": 2, "seconds": seconds}
        return Exit(0, termination_message(EvaluateSummary.model_validate(summary | {"resultDigest": TASKS_DIGEST})))

    @staticmethod
    def refused_evaluation(reason: str, message: str) -> Exit:
        summary = EvaluateSummary.model_validate({"reason": reason, "message": message})
        return Exit(78, termination_message(summary), "Error")

    @staticmethod
    def postponed_evaluation(reason: str) -> Exit:
        """An evaluation whose next pod would meet the same."""
        summary = EvaluateSummary.model_validate({"reason": reason})
        return Exit(EXIT_LATER, termination_message(summary), "Error")

    @staticmethod
    def failed_evaluation(reason: str, message: str) -> Exit:
        summary = EvaluateSummary.model_validate({"reason": reason, "message": message})
        return Exit(1, termination_message(summary), "Error")

    @staticmethod
    def usual(pod: Obj, document: Obj) -> Exit | None:
        """Everything works; a model's score is in its repository's name: `org/m-375` scores 0.375."""
        match document["kind"]:
            case "Fetch":
                return Outcomes.fetched(document["repo"])
            case "TaskSet":
                return Outcomes.built()
            case _:
                return Outcomes.scored(f"0.{document['repo'].rpartition('-')[2]:0<6}")


class Kubelet:
    """Binds pods to the node and ends them as the script says."""

    def __init__(self, api: Api, namespace: str) -> None:
        self._api, self._path = api, f"/api/v1/namespaces/{namespace}/pods"
        self.script: Script = Outcomes.usual
        self.unpullable: frozenset[str] = frozenset()
        """Images that no registry has."""
        self.mute: set[str] = set()
        """Repositories whose containers in packs cannot start."""
        self.neglects: Callable[[Obj], bool] = lambda pod: False
        """Pods for which it does nothing: no node takes them, or theirs is gone."""
        self.stopped: Exit | None = None
        """How a container of a deleted pod ends, before the pod is gone; None: the pod is just gone."""
        self.address = ""
        """IP address of all pods."""
        self.age = 0
        """Seconds for which containers have run when they are reported to run."""
        self._pods: dict[str, Obj] = {}
        """Pods by uid, as last seen."""
        self._ended: set[str] = set()
        self._stop, self._changed = threading.Event(), threading.Event()
        self._watcher = threading.Thread(target=self._watch, daemon=True)
        self._worker = threading.Thread(target=self._work, daemon=True)

    def __enter__(self) -> Kubelet:
        self._watcher.start()
        self._worker.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._worker.join()

    def _watch(self) -> None:
        """List, then watch for some seconds, and again; this ends by itself within those of the exit."""
        while not self._stop.is_set():
            try:
                self._follow()
            except ApiError:  # of a server that is busy: as a kubelet does, until it answers
                self._stop.wait(0.2)

    def _follow(self) -> None:
        found = self._api.get(self._path)
        self._pods = {pod["metadata"]["uid"]: pod for pod in found["items"]}
        version = found["metadata"]["resourceVersion"]
        self._changed.set()
        for event in self._api.watch(self._path, resource_version=version, seconds=5):
            if event["type"] in ("ADDED", "MODIFIED"):
                self._pods[event["object"]["metadata"]["uid"]] = event["object"]
            elif event["type"] == "DELETED":
                self._pods.pop(event["object"]["metadata"]["uid"], None)
            self._changed.set()

    def _work(self) -> None:
        """Look at all pods after each change, and now and then: a script may change its mind."""
        while not self._stop.wait(0.02):
            self._changed.wait(0.1)
            self._changed.clear()
            for pod in list(self._pods.values()):
                try:
                    self._step(pod)
                except ApiError as error:
                    if error.status not in (0, 403, 404, 409, 422, 429):  # 403: its namespace is being deleted
                        raise

    def _step(self, pod: Obj) -> None:
        uid, path, status = pod["metadata"]["uid"], f"{self._path}/{pod['metadata']['name']}", pod.get("status", {})
        if self.neglects(pod):
            return
        if "deletionTimestamp" in pod["metadata"]:
            if self.stopped is not None and uid not in self._ended and status.get("phase") == "Running":
                now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
                ended = {"exitCode": self.stopped.code, "reason": "Error", "message": self.stopped.message}
                self._report(path, "Failed", pod, {"terminated": ended | {"startedAt": now, "finishedAt": now}})
                self._ended.add(uid)
                return  # the Job's controller has seen it fail when it is gone
            self._api.delete(f"{path}?gracePeriodSeconds=0")
            self._pods.pop(uid, None)
            return
        if not pod["spec"].get("nodeName"):
            target = {"apiVersion": "v1", "kind": "Node", "name": "fake-0"}
            self._api.create(f"{path}/binding", {"metadata": {"name": pod["metadata"]["name"]}, "target": target})
            pod["spec"]["nodeName"] = target["name"]
        document = json.loads(pod["metadata"].get("annotations", {}).get(JOB_ANNOTATION, "null"))
        if document is None or uid in self._ended:
            return  # A pod without a document is not a Job's: its containers never start.
        if pod["spec"]["containers"][0]["image"] in self.unpullable:
            if not status.get("containerStatuses"):
                self._report(path, "Pending", pod, {"waiting": {"reason": "ErrImagePull", "message": "not found"}})
            return
        now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        running = status.get("containerStatuses", [{"state": {}}])[0]["state"].get("running")
        if document["kind"] == "Pack":
            self._step_pack(path, pod, document, now)
            return
        end = self.script(pod, document)
        if end is not None:
            times = {"startedAt": (running or {}).get("startedAt", now), "finishedAt": now}
            state = {"terminated": {"exitCode": end.code, "message": end.message, "reason": end.reason} | times}
            self._report(path, "Succeeded" if end.code == 0 else "Failed", pod, state, end.pod)
            self._ended.add(uid)
        elif running is None:
            self._report(path, "Running", pod, {"running": {"startedAt": self._began()}}, self._addresses())

    def _step_pack(self, path: str, pod: Obj, document: Obj, now: str) -> None:
        """Run the models of a pack one after the other, each as the script says of a Job of its own."""
        before = {c["name"]: c["state"] for c in pod.get("status", {}).get("containerStatuses", [])}
        names = [c["name"] for c in pod["spec"]["containers"]]
        states = before or {name: {"running": {"startedAt": self._began()}} for name in names}
        engine = names[0]
        mute = {outcome_container(m["key"]) for m in document["members"] if m["job"]["repo"] in self.mute}
        if not before:
            states |= {name: {"waiting": {"reason": "ErrImagePull", "message": "not found"}} for name in mute}

        def ends(name: str, code: int, message: str = "", reason: str = "Error") -> None:
            times = {"startedAt": states[name]["running"]["startedAt"], "finishedAt": now}
            states[name] = {"terminated": {"exitCode": code, "message": message, "reason": reason} | times}

        left = [m for m in document["members"] if "running" in states[outcome_container(m["key"])]]
        end = self.script(pod, {"kind": "Evaluate"} | left[0]["job"]) if before and left else None
        if end is not None and end.engine:
            ends(engine, end.code, end.message, end.reason)
            ends(outcome_container(left[0]["key"]), EXIT_PACK_LOST)
            text = json.dumps({"reason": "PackEnded", "message": "before its turn"})
            for member in left[1:]:
                ends(outcome_container(member["key"]), EXIT_NOT_BEGUN, text)
        elif end is not None:
            ends(outcome_container(left[0]["key"]), end.code, end.message, end.reason)
            if len(left) == 1:
                good = all(s["terminated"]["exitCode"] in (0, 78) for s in states.values() if "terminated" in s)
                ends(engine, 0 if good else 1, "{}", "Completed")
        elif before:
            return
        ended = all("terminated" in state for state in states.values())
        codes = {state["terminated"]["exitCode"] for state in states.values()} if ended else {None}
        phase = "Running" if not ended else "Succeeded" if codes == {0} else "Failed"
        if any("waiting" in state for state in states.values()):
            phase = "Pending"  # as a kubelet says of a pod of which any container has not started
        image = pod["spec"]["containers"][0]["image"]
        rest = {"image": image, "imageID": "", "ready": False, "restartCount": 0}
        status = {"phase": phase, "containerStatuses": [{"name": n, "state": s} | rest for n, s in states.items()]}
        self._pods[pod["metadata"]["uid"]] = self._api.merge(f"{path}/status", {"status": status})
        if ended:
            self._ended.add(pod["metadata"]["uid"])

    def _began(self) -> str:
        return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() - self.age))

    def _addresses(self) -> Obj:
        return {"podIP": self.address, "podIPs": [{"ip": self.address}]} if self.address else {}

    def _report(self, path: str, phase: str, pod: Obj, state: Obj, more: Obj | None = None) -> None:
        container = {k: pod["spec"]["containers"][0][k] for k in ("name", "image")}
        container |= {"imageID": "", "ready": False, "restartCount": 0, "state": state}
        status = {"phase": phase, "containerStatuses": [container], **(more or {})}
        reported = self._api.merge(f"{path}/status", {"status": status})
        self._pods[pod["metadata"]["uid"]] = reported


@dataclass
class World:
    """One namespace: its API, its kubelet, and the operator that works in it."""

    api: Api
    plane: ControlPlane
    namespace: str
    kubelet: Kubelet
    environment: dict[str, str]
    log: Path
    operators: list[Program] = field(default_factory=list)
    constants: dict[str, Any] = field(default_factory=dict)
    """Times of the operator that a test shortens, as `module:name`."""

    def path(self, plural: str, name: str = "") -> str:
        roots = {"jobs": "/apis/batch/v1", "deployments": "/apis/apps/v1"}
        roots |= dict.fromkeys(("roles", "rolebindings"), "/apis/rbac.authorization.k8s.io/v1")
        roots |= dict.fromkeys(("minermodels", "evalrounds", "validators"), GROUP)
        return f"{roots.get(plural, '/api/v1')}/namespaces/{self.namespace}/{plural}" + (f"/{name}" if name else "")

    def get(self, plural: str, name: str) -> Obj:
        found: Obj = self.api.get(self.path(plural, name))
        return found

    def all(self, plural: str, **labels: str) -> list[Obj]:
        expected = labels.items()
        items: list[Obj] = self.api.get(self.path(plural))["items"]
        return [o for o in items if expected <= o["metadata"].get("labels", {}).items()]

    def create(self, plural: str, kind: str, name: str, spec: Obj, labels: dict[str, str] | None = None) -> Obj:
        meta = {"name": name, "labels": labels or {}}
        body = {"apiVersion": "bitagent.io/v1alpha1", "kind": kind, "metadata": meta, "spec": spec}
        made: Obj = self.api.create(self.path(plural), body)
        return made

    def model(self, name: str, *, repo: str = "", revision: str = "a" * 40, **spec: Any) -> Obj:
        source = {"huggingFace": {"repo": repo or f"org/{name}", "revision": revision}}
        return self.create("minermodels", "MinerModel", name, {"source": source} | spec)

    def round(self, name: str, **spec: Any) -> Obj:
        tasks = {"sources": [{"bfcl": {"categories": ["simple_python"]}}], "count": 200, "seed": "1"}
        return self.create("evalrounds", "EvalRound", name, {"models": {"matchLabels": {}}, "tasks": tasks} | spec)

    def start_operator(self, *, pod: str = "operator-0", **environment: str) -> Program:
        """Start an operator; one that was killed is followed at once by one in the same pod."""
        own = self.environment | {"POD_NAME": pod} | environment
        constants = self.constants | {KUBECONFIG: own["KUBECONFIG"]}
        main = "bitagent_operator.__main__:main"
        process = Program(main, environment=own, output=self.log, constants=constants)
        self.operators.append(process)
        return process

    def kill_operator(self) -> None:
        process = self.operators.pop()
        process.kill()
        process.wait()

    def until(self, what: str, test: Callable[[], Any], seconds: float = 150) -> Any:
        """The first true value of `test`; a failure shows the end of the operator's log."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            try:
                if found := test():
                    return found
            except (ApiError, KeyError):
                pass
            time.sleep(0.1)
        raise AssertionError(f"not within {seconds} s: {what}\n{self.log.read_text()[-6000:]}")

    def condition(self, plural: str, name: str, kind: str) -> Obj:
        conditions = self.get(plural, name).get("status", {}).get("conditions", [])
        return next((c for c in conditions if c["type"] == kind), {})

    def until_condition(self, plural: str, name: str, kind: str, status: str = "True", *, seconds: float = 150) -> Obj:
        """Wait for a condition; the object."""

        def holds() -> bool:
            return bool(self.condition(plural, name, kind).get("status") == status)

        self.until(f"{plural}/{name} {kind}={status}", holds, seconds)
        return self.get(plural, name)

    def events_of(self, reason: str) -> list[str]:
        """Texts of the Events with that reason."""
        return [e["message"] for e in self.all("events") if e["reason"] == reason]

    def pause(self, seconds: float) -> None:
        """Let real time pass, where nothing can be waited for."""
        time.sleep(seconds)

    def document(self, job: Obj) -> Obj:
        """A Job's document."""
        found: Obj = json.loads(job["spec"]["template"]["metadata"]["annotations"][JOB_ANNOTATION])
        return found

    def results(self, name: str) -> dict[str, Obj]:
        """A round's results by model."""
        return {r["model"]: r for r in self.get("evalrounds", name)["status"]["results"]}


@pytest.fixture
def plane(
    plane: ControlPlane,
    start_plane: Callable[[], AbstractContextManager[ControlPlane]],
    request: pytest.FixtureRequest,
) -> Iterator[ControlPlane]:
    """The API server of all tests, or one of its own for a test that changes definitions."""
    if request.node.get_closest_marker("changes_definitions") is None:
        yield plane
        return
    with start_plane() as own:
        yield own


@pytest.fixture
def world(plane: ControlPlane, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[World]:
    """A fresh namespace, its kubelet, and credentials for an operator, which the test starts."""
    name = f"t{hashlib.sha256(request.node.nodeid.encode()).hexdigest()}"[:12]
    plane.api.create("/api/v1/namespaces", {"metadata": {"name": name}})
    kubeconfig = _service_account(plane, name, tmp_path)
    config = {
        "namespace": name,
        "images": {"evaluator": "example/evaluator:1", "validator": "example/validator:1"},
        "cache": {"claimName": "cache"},
        "artifacts": {"claimName": "artifacts"},
        "healthPort": 0,
        "metricsPort": 0,
    }
    path = tmp_path / "config.yaml"
    path.write_text(yaml.safe_dump(config))
    environment = os.environ | {"KUBECONFIG": str(kubeconfig), "BITAGENT_CONFIG": str(path), "BITAGENT_DEBUG": ""}
    environment.pop("KUBERNETES_SERVICE_HOST", None)
    with Kubelet(plane.api, name) as kubelet:
        made = World(plane.api, plane, name, kubelet, environment, tmp_path / "operator.log")
        yield made
        for process in made.operators:
            process.kill()
            process.wait()


@pytest.fixture
def outcomes() -> Outcomes:
    """How pods may end."""
    return Outcomes()


@pytest.fixture
def operator(world: World) -> World:
    """The world with a running operator."""
    world.start_operator()
    return world


def _service_account(plane: ControlPlane, namespace: str, folder: Path) -> Path:
    """A kubeconfig of a service account that may do what the operator's Role says."""
    core, rbac = f"/api/v1/namespaces/{namespace}", f"/apis/rbac.authorization.k8s.io/v1/namespaces/{namespace}"
    plane.api.create(f"{core}/serviceaccounts", {"metadata": {"name": "operator"}})
    plane.api.create(f"{rbac}/roles", {"metadata": {"name": "operator"}, "rules": OPERATOR_RULES})
    reference = {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "operator"}
    subject = {"kind": "ServiceAccount", "name": "operator", "namespace": namespace}
    plane.api.create(
        f"{rbac}/rolebindings", {"metadata": {"name": "operator"}, "roleRef": reference, "subjects": [subject]}
    )
    token = plane.api.create(f"{core}/serviceaccounts/operator/token", {"spec": {"expirationSeconds": 3600}})
    config = json.loads(plane.kubeconfig.read_text())
    config["users"][0]["user"] = {"token": token["status"]["token"]}
    path = folder / "kubeconfig"
    path.write_text(json.dumps(config))
    return path
