"""One release for several namespaces, with the Roles of its chart, on an API server that enforces them."""

from __future__ import annotations

import json
import subprocess
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from tests.integration.operator import conftest

from bitagent_local.cluster.binaries import ensure_binaries
from bitagent_operator.runtime.late_events import late_events

if TYPE_CHECKING:
    from tests.integration.operator.conftest import Obj, World

    from bitagent_operator.reconcilers.context import Context

pytestmark = pytest.mark.integration

CHART = Path(__file__).parents[3] / "charts/bitagent-operator"
APIS = {"Role": "/apis/rbac.authorization.k8s.io/v1", "RoleBinding": "/apis/rbac.authorization.k8s.io/v1"}
Ports = Callable[[], int]


@dataclass
class Release:
    """An operator of the namespace of `home`, and a world for each namespace that it watches."""

    home: World
    a: World
    b: World
    health: str
    metrics: str

    def ask(self, url: str) -> tuple[int, str]:
        try:
            with urllib.request.urlopen(url, timeout=60) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()
        except OSError:
            return 0, ""


def rendered(home: str, watched: list[str]) -> list[Obj]:
    """The chart's objects."""
    command = [
        str(ensure_binaries().helm), "template", "op", str(CHART), "--namespace", home, "--set", "crds.install=false",
        "--set", f"watch.namespaces={{{','.join(watched)}}}", "--set", "fullnameOverride=op",
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return [o for o in yaml.safe_load_all(done.stdout) if o]


def create(world: World, obj: Obj) -> None:
    namespace = obj["metadata"].get("namespace", world.namespace)
    path = f"{APIS.get(obj['kind'], '/api/v1')}/namespaces/{namespace}/{obj['kind'].lower()}s"
    world.api.create(path, obj)


@pytest.fixture
def release(world: World, unused_tcp_port_factory: Ports) -> Iterator[Release]:
    health, metrics = unused_tcp_port_factory(), unused_tcp_port_factory()
    with ExitStack() as stack:
        others = []
        for suffix in ("a", "b"):
            name = f"{world.namespace}{suffix}"
            world.api.create("/api/v1/namespaces", {"metadata": {"name": name}})
            kubelet = stack.enter_context(conftest.Kubelet(world.api, name))
            others.append(replace(world, namespace=name, kubelet=kubelet, operators=world.operators))
        objects = rendered(world.namespace, [each.namespace for each in others])
        for obj in objects:
            if obj["kind"] in ("ServiceAccount", "Role", "RoleBinding"):
                create(world, obj)
        (config,) = [o["data"]["config.yaml"] for o in objects if o["kind"] == "ConfigMap"]
        path = world.log.parent / "several.yaml"
        path.write_text(yaml.safe_dump(yaml.safe_load(config) | {"healthPort": health, "metricsPort": metrics}))
        token = world.api.create(
            f"/api/v1/namespaces/{world.namespace}/serviceaccounts/op/token", {"spec": {"expirationSeconds": 3600}}
        )
        kubeconfig = json.loads(world.plane.kubeconfig.read_text())
        kubeconfig["users"][0]["user"] = {"token": token["status"]["token"]}
        account = world.log.parent / "several-kubeconfig"
        account.write_text(json.dumps(kubeconfig))
        environment = {"KUBECONFIG": str(account), "BITAGENT_CONFIG": str(path)}
        made = Release(
            world, others[0], others[1], f"http://127.0.0.1:{health}/readyz", f"http://127.0.0.1:{metrics}/metrics"
        )
        world.start_operator(pod="op-0", **environment)
        yield made
        for process in world.operators:
            process.kill()
            process.wait()


def holder(world: World) -> str:
    path = f"/apis/coordination.k8s.io/v1/namespaces/{world.namespace}/leases/bitagent-operator"
    found: Any = world.api.get(path)["spec"]["holderIdentity"]
    return str(found)


def test_each_namespace_has_its_rounds(release: Release) -> None:
    a, b, home = release.a, release.b, release.home
    home.until("it is ready", lambda: release.ask(release.health)[0] == 200)
    for world, score in ((a, 250), (b, 750)):
        world.model(f"m-{score}")
        world.round("r")
    home.model("m-500")
    for world, score in ((a, "0.250000"), (b, "0.750000")):
        world.until_condition("evalrounds", "r", "Complete")
        assert [r["score"] for r in world.results("r").values()] == [score], "only the models of its namespace"
        world.until("its Events", lambda world=world: world.events_of("RoundComplete"))
        assert holder(world) == f"{home.namespace}/op/op-0"
    assert home.all("jobs") == [], "the release's own namespace is not one of them"
    assert "status" not in home.get("minermodels", "m-500")
    sample = f'bitagent_rounds{{namespace="{a.namespace}",phase="Complete"}} 1.0'
    home.until("its numbers", lambda: sample in release.ask(release.metrics)[1])
    lease = f"/apis/coordination.k8s.io/v1/namespaces/{a.namespace}/leases/bitagent-operator"
    (owner,) = home.api.get(lease)["metadata"]["ownerReferences"]
    assert (owner["kind"], owner["name"]) == ("RoleBinding", "op")


def test_a_namespace_without_rights_stops_no_other(release: Release) -> None:
    a, b, home = release.a, release.b, release.home
    home.until("it is ready", lambda: release.ask(release.health)[0] == 200)
    bindings = f"/apis/rbac.authorization.k8s.io/v1/namespaces/{b.namespace}/rolebindings"
    binding = home.api.get(f"{bindings}/op")
    home.api.delete(f"{bindings}/op")
    home.until("it says where", lambda: f"{b.namespace}: " in release.ask(release.health)[1])
    a.model("m-250")
    a.round("r")
    a.until_condition("evalrounds", "r", "Complete")
    home.api.create(bindings, {k: binding[k] for k in ("roleRef", "subjects")} | {"metadata": {"name": "op"}})
    b.model("m-750")
    b.round("r")
    b.until_condition("evalrounds", "r", "Complete")
    home.until("it is ready again", lambda: release.ask(release.health)[0] == 200)
    lease = f"/apis/coordination.k8s.io/v1/namespaces/{b.namespace}/leases/bitagent-operator"
    new = home.api.get(f"{bindings}/op")["metadata"]["uid"]
    home.until(
        "the Lease is the new binding's, so that Kubernetes does not delete it again",
        lambda: [each["uid"] for each in home.api.get(lease)["metadata"]["ownerReferences"]] == [new],
    )


@dataclass(frozen=True)
class Breaking:
    """Events of a begin that end with a bug in the namespace that a file names."""

    file: Path

    async def __call__(self, context: Context) -> None:
        if context.client.namespace == self.file.read_text():
            raise KeyError("a member that is missing")
        await late_events(context)


@pytest.fixture
def broken(world: World) -> Path:
    """The file; it names the second namespace."""
    file = world.log.parent / "broken"
    file.write_text(f"{world.namespace}b")
    world.constants = {
        "bitagent_operator.runtime.term:late_events": Breaking(file),
        "bitagent_kube.parts:LONGEST_DELAY": 2.0,
    }
    return file


def test_a_bug_in_one_namespace_stops_no_other(broken: Path, release: Release) -> None:
    a, b, home = release.a, release.b, release.home
    said = f"{b.namespace}: the work ended unexpectedly"
    home.until("it says where", lambda: said in release.ask(release.health)[1])
    a.model("m-250")
    a.round("r")
    a.until_condition("evalrounds", "r", "Complete")
    (process,) = home.operators
    assert process.poll() is None
    broken.write_text("none")
    b.model("m-750")
    b.round("r")
    b.until_condition("evalrounds", "r", "Complete")
    home.until("it is ready again", lambda: release.ask(release.health)[0] == 200)
    exported = release.ask(release.metrics)[1]
    assert f'bitagent_operator_restarts_total{{namespace="{a.namespace}"}} 0.0' in exported
    assert exported.count(f'bitagent_rounds{{namespace="{b.namespace}",phase="Complete"}} 1.0') == 1


def test_a_release_of_a_watched_namespace_stands_by(release: Release) -> None:
    """Its Deployment may even have the same name: Helm would refuse it, `kubectl apply` does not."""
    a, home = release.a, release.home
    home.until("it acts", lambda: holder(a))
    config = yaml.safe_load(Path(home.environment["BITAGENT_CONFIG"]).read_text())
    path = home.log.parent / "second.yaml"
    path.write_text(yaml.safe_dump(config | {"namespace": a.namespace, "deployment": "op"}))
    kubeconfig = conftest._service_account(home.plane, a.namespace, home.log.parent)
    home.start_operator(pod="second-0", BITAGENT_CONFIG=str(path), KUBECONFIG=str(kubeconfig))
    said = f"another release, {home.namespace}/op, operates namespace {a.namespace}"
    home.until("it says so", lambda: said in home.log.read_text())
    assert holder(a) == f"{home.namespace}/op/op-0"
    home.operators[0].terminate()
    assert home.operators[0].wait(timeout=60) == 0
    home.until("it acts then", lambda: holder(a) == "op/second-0")
