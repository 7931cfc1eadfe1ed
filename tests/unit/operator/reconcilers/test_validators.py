"""Requests for Validators: none in a pass in which nothing is new."""

from __future__ import annotations

import json
from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest
from tests.unit.operator.reconcilers.test_reconcile import Operator, Server

from bitagent_crds.names import VALIDATOR_LABEL, Component
from bitagent_kube.errors import ApiError
from bitagent_operator import naming
from bitagent_operator.observed.cache import Key, Kind
from bitagent_operator.reconcilers.reconcile import reconcile

if TYPE_CHECKING:
    from tests.unit.operator.conftest import Make

    from bitagent_kube.resources import ApiResource

Obj = dict[str, Any]
KEY = Key(Kind.VALIDATOR, "v")
NAME = "bitagent-validator-v"
OBJECTS = ["Deployment", "Role", "RoleBinding", "ServiceAccount"]


class Applying(Server):
    """A server that applies objects and counts all requests."""

    def __init__(self, make: Make) -> None:
        super().__init__(make)
        self.requests: Counter[str] = Counter()
        self.refuses: ApiError | None = None

    async def apply(self, obj: Obj) -> Obj:
        self.requests[f"apply {obj['kind']}"] += 1
        if self.refuses is not None:
            raise self.refuses
        old = self.objects.get((obj["kind"], obj["metadata"]["name"]), {"metadata": {"generation": 0}})
        content = {k: v for k, v in old.items() if k != "metadata"} | {k: v for k, v in obj.items() if k != "metadata"}
        same = all(old.get(k) == v for k, v in content.items())
        metadata = old["metadata"] | obj["metadata"]
        if same and metadata == old["metadata"]:
            return old
        return self.put(obj["kind"], content | {"metadata": metadata | {"generation": metadata["generation"] + 1}})

    async def get(self, resource: ApiResource, name: str) -> Obj | None:
        self.requests[f"get {resource.kind}"] += 1
        return await super().get(resource, name)

    async def list(self, resource: ApiResource, *, labels: str = "", fields: str = "") -> list[Obj]:
        self.requests[f"list {resource.kind}"] += 1
        return await super().list(resource, labels=labels)

    async def write_status(self, *args: Any, **kwargs: Any) -> Obj | None:
        self.requests["status"] += 1
        return await super().write_status(*args, **kwargs)

    def change(self, kind: str, name: str, content: Obj) -> None:
        """Change an object as somebody else would."""
        old = json.loads(json.dumps(self.objects[kind, name]))
        old["metadata"]["generation"] += 1
        self.put(kind, old | content)


class Watched(Operator):
    """An operator that sees every change at once."""

    async def work(self) -> float | None:
        for kind in ("Validator", "Deployment", "Pod"):
            self.deliver(kind, 1000)
        wait = await reconcile(self.context, KEY)
        for kind in ("Validator", "Deployment", "Pod"):
            self.deliver(kind, 1000)
        return wait

    async def requests_of(self, passes: int, *, seconds: float = 0) -> Counter[str]:
        """The requests of some passes, with pauses between them."""
        server = self.server
        assert isinstance(server, Applying)
        server.requests.clear()
        for _ in range(passes):
            server.time += seconds
            await self.work()
        return Counter(server.requests)


@pytest.fixture
def server(make: Make) -> Applying:
    return Applying(make)


@pytest.fixture
async def operator(make: Make, server: Applying) -> Watched:
    made = Watched(server)
    server.put("Validator", make.validator_raw("v") | {"kind": "Validator"})
    await made.work()
    return made


def waiting_pod(server: Applying) -> None:
    labels = naming.labels(Component.VALIDATOR, {VALIDATOR_LABEL: "v"})
    state = {"waiting": {"reason": "ContainerCreating", "message": ""}}
    status = {"phase": "Pending", "containerStatuses": [{"name": "validator", "state": state}]}
    server.put("Pod", {"metadata": {"name": "p", "labels": labels}, "spec": {}, "status": status})
    event = {"reason": "FailedMount", "message": 'MountVolume.SetUp failed: secret "wallet" not found'}
    server.put("Event", event | {"metadata": {"name": "e"}})


async def test_a_new_process_applies_each_object_once(server: Applying, operator: Watched) -> None:
    assert {k: n for k, n in server.requests.items() if k.startswith("apply")} == {f"apply {k}": 1 for k in OBJECTS}


async def test_a_pass_in_which_nothing_is_new_makes_no_request(operator: Watched) -> None:
    await operator.work()
    assert await operator.requests_of(50) == {}


async def test_waiting_for_a_secret_writes_nothing_and_reads_ever_more_rarely(
    server: Applying, operator: Watched
) -> None:
    waiting_pod(server)
    server.time += 6
    await operator.work()
    assert server.objects["Validator", "v"]["status"]["conditions"][0]["reason"] == "SecretNotFound"
    requests = await operator.requests_of(24, seconds=5)
    assert {k for k in requests if not k.startswith("get") and k != "list Event"} == set()
    assert 2 <= requests["list Event"] <= 6, "24 passes in two minutes"
    assert server.objects["Validator", "v"]["status"]["conditions"][0]["reason"] == "SecretNotFound"


@pytest.mark.parametrize("kind", OBJECTS)
async def test_a_change_by_others_is_reverted_with_the_next_full_list(
    server: Applying, operator: Watched, kind: str
) -> None:
    before = server.objects[kind, NAME]["metadata"]["labels"]
    changed = json.loads(json.dumps(server.objects[kind, NAME]))
    changed["metadata"]["labels"] = before | {"app.kubernetes.io/component": "other"}
    server.put(kind, changed)
    requests = await operator.requests_of(1, seconds=300)
    assert requests[f"apply {kind}"] == 1
    assert server.objects[kind, NAME]["metadata"]["labels"] == before
    assert sum(n for k, n in requests.items() if k.startswith("apply")) == 1, "only what was changed"


async def test_a_changed_deployment_is_reverted_at_once(server: Applying, operator: Watched) -> None:
    spec = server.objects["Deployment", NAME]["spec"]
    server.change("Deployment", NAME, {"spec": spec | {"replicas": 3}})
    assert (await operator.requests_of(1))["apply Deployment"] == 1
    assert server.objects["Deployment", NAME]["spec"]["replicas"] == 1
    server.remove("Deployment", NAME)
    assert (await operator.requests_of(1))["apply Deployment"] == 1


async def test_what_was_refused_is_applied_again(server: Applying, operator: Watched) -> None:
    server.refuses = ApiError(code=403, reason="Forbidden", message="exceeded quota")
    server.remove("Deployment", NAME)
    for _ in range(2):
        with pytest.raises(ApiError):
            await operator.work()
    server.refuses = None
    await operator.work()
    assert ("Deployment", NAME) in server.objects


async def test_a_hundred_that_wait_make_no_request(make: Make, server: Applying, operator: Watched) -> None:
    names = [f"v{i}" for i in range(100)]
    for name in names:
        server.put("Validator", make.validator_raw(name) | {"kind": "Validator"})
    for kind in ("Validator", "Deployment"):
        operator.deliver(kind, 1000)
    keys = [Key(Kind.VALIDATOR, name) for name in names]
    for _ in range(2):
        for key in keys:
            await reconcile(operator.context, key)
            operator.deliver("Validator", 1000)
            operator.deliver("Deployment", 1000)
    server.requests.clear()
    for key in keys:
        await reconcile(operator.context, key)
    assert server.requests == {}


async def test_the_operator_says_whether_a_validator_works_for_every_generation(
    make: Make, server: Applying, operator: Watched
) -> None:
    """Also one whose pod does not run, and cannot say so."""
    waiting_pod(server)
    server.time += 60
    await operator.work()
    assert summary(server) == {"Ready": ("False", "SecretNotFound"), "Stalled": ("True", "SecretNotFound")}
    server.change("Validator", "v", {"spec": make.validator_raw("v")["spec"] | {"suspend": True}})
    await operator.work()
    assert summary(server) == {"Ready": ("False", "Suspended")}
    written = server.objects["Validator", "v"]
    assert written["status"]["observedGeneration"] == written["metadata"]["generation"] == 2
    assert await operator.requests_of(5) == {}


def summary(server: Applying) -> dict[str, tuple[str, str]]:
    conditions = server.objects["Validator", "v"]["status"]["conditions"]
    return {c["type"]: (c["status"], c["reason"]) for c in conditions if c["type"] in ("Ready", "Stalled")}


@pytest.mark.parametrize("ours", [False, True], ids=["made by a person", "ours, without its owner"])
async def test_an_object_that_was_not_made_for_the_validator_is_left_alone(
    make: Make, server: Applying, ours: bool
) -> None:
    operator = Watched(server)
    labels = naming.labels(Component.VALIDATOR, {VALIDATOR_LABEL: "v"}) if ours else {"app": "mine"}
    server.put("Deployment", {"metadata": {"name": NAME, "labels": labels, "generation": 1}, "spec": {"replicas": 3}})
    server.put("Validator", make.validator_raw("v") | {"kind": "Validator"})
    if ours:
        await operator.work()
    else:
        with pytest.raises(ApiError, match="was not made for this Validator"):
            await operator.work()
    assert (server.objects["Deployment", NAME]["spec"]["replicas"] == 3) is not ours
