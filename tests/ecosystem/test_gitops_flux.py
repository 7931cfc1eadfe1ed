"""The fleet of `examples/gitops` by real Flux: docs/gitops.md says what happens."""

from __future__ import annotations

import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from tests.ecosystem.fleet import EXAMPLES, ROOT, SECOND, VALIDATORS, Fleet, nothing_moves, spec_writers
from tests.ecosystem.flux import NAMESPACE, flux

from bitagent_local.cluster.control_plane import ControlPlane
from bitagent_local.cluster.git_server import GitServer, serving
from bitagent_local.cluster.gitops import ensure_flux

if TYPE_CHECKING:
    from tests.integration.operator.conftest import World

pytestmark = pytest.mark.ecosystem

Obj = dict[str, Any]
SOURCES = f"/apis/source.toolkit.fluxcd.io/v1/namespaces/{NAMESPACE}/gitrepositories"
KUSTOMIZATIONS = f"/apis/kustomize.toolkit.fluxcd.io/v1/namespaces/{NAMESPACE}/kustomizations"
MANAGER = "kustomize-controller"
CHART = ROOT / "charts/bitagent-operator"
FAST = {"interval": "2s", "retryInterval": "1s", "timeout": "30s"}
"""Periods of tests; Flux takes a shorter time limit for half a minute."""


@pytest.fixture(scope="module")
def plane(
    bare_plane: Callable[[], AbstractContextManager[ControlPlane]], built: Callable[[Callable[[], Any]], Any]
) -> Iterator[ControlPlane]:
    """The API server; Flux runs beside it."""
    program = built(ensure_flux)
    with bare_plane() as running, flux(running, program):
        yield running


@pytest.fixture(scope="module")
def git(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GitServer]:
    with serving(tmp_path_factory.mktemp("git")) as server:
        yield server


class Flux:
    """What Flux makes of a repository."""

    def __init__(self, fleet: Fleet) -> None:
        self.fleet, self.world = fleet, fleet.world
        self.created: list[str] = []

    def start(self, name: str, **spec: Any) -> None:
        """Create the example's GitRepository and a Kustomization, with names of the test."""
        own = self.own(name)
        (source,) = self.fleet.objects("flux/source.yaml")
        source["metadata"]["name"] = self.own("fleet")
        source["spec"]["interval"] = "1s"
        if not self.created:
            self.world.api.create(SOURCES, source)
        found = [*self.fleet.objects("flux/fleet.yaml"), *self.fleet.objects("flux/operator.yaml")]
        kustomization = next(each for each in found if each["metadata"]["name"] == name)
        kustomization["metadata"]["name"] = own
        kustomization["spec"]["sourceRef"]["name"] = self.own("fleet")
        kustomization["spec"] |= FAST | spec
        kustomization["spec"] = {k: v for k, v in kustomization["spec"].items() if v is not None}
        self.world.api.create(KUSTOMIZATIONS, kustomization)
        self.created.append(own)

    def own(self, name: str) -> str:
        return f"{self.world.namespace}-{name}"

    def change(self, name: str, **spec: Any) -> None:
        self.world.api.merge(f"{KUSTOMIZATIONS}/{self.own(name)}", {"spec": spec})

    def ready(self, name: str) -> Obj:
        """The condition Ready of a Kustomization."""
        conditions = self.world.api.get(f"{KUSTOMIZATIONS}/{self.own(name)}").get("status", {}).get("conditions", [])
        return next((each for each in conditions if each["type"] == "Ready"), {})

    def until_ready(self, name: str, commit: str = "") -> None:
        """Wait until a Kustomization, of a commit, is applied and its health checks succeed."""
        self.world.until(
            f"{name} is Ready",
            lambda: (c := self.ready(name))["status"] == "True" and commit in c["message"],
            120,
        )

    def until_failed(self, name: str, *words: str) -> str:
        """Wait until a Kustomization is not Ready, with these words; all it says."""

        def message() -> str:
            found = self.ready(name)
            text = str(found["message"])
            return text if found["status"] == "False" and all(word in text for word in words) else ""

        return str(self.world.until(f"{name} fails by {words}", message, 120))

    def remove(self, name: str) -> None:
        self.world.api.delete(f"{KUSTOMIZATIONS}/{self.own(name)}")


@pytest.fixture
def fleet(world: World, git: GitServer) -> Fleet:
    return Fleet.create(world, git.create(world.namespace), "fleet", "baseline")


@pytest.fixture
def engine(fleet: Fleet) -> Iterator[Flux]:
    made = Flux(fleet)
    yield made
    for name in made.created:
        made.remove(name.removeprefix(f"{made.world.namespace}-"))
    made.world.api.delete(f"{SOURCES}/{made.own('fleet')}")


def applied(engine: Flux) -> None:
    """Apply the fleet without health checks, and wait for it."""
    engine.start("fleet", dependsOn=None, healthChecks=None)
    engine.world.until("three Validators", lambda: sorted(engine.fleet.validators()) == VALIDATORS)
    engine.until_ready("fleet")


def test_a_commit_adds_a_competition_to_all(engine: Flux) -> None:
    applied(engine)
    engine.world.start_operator()
    engine.fleet.add_competition()
    engine.world.until("both", lambda: engine.fleet.competitions() == [["tools", SECOND]] * 3)
    for name in VALIDATORS:
        engine.world.until_condition("validators", name, "Ready", "False")
    assert {each["metadata"]["generation"] for each in engine.fleet.validators().values()} == {2}


def test_what_is_edited_by_hand_is_undone(engine: Flux) -> None:
    applied(engine)
    path = engine.world.path("validators", "beta")
    engine.world.api.merge(path, {"spec": {"netuid": 77, "suspend": True}})
    spec = engine.world.until(
        "as in git", lambda: (s := engine.world.get("validators", "beta")["spec"])["netuid"] == 20 and s
    )
    assert spec["suspend"], "a field that git does not name stays with who has set it"


def test_a_bad_value_is_shown_with_its_field_and_nothing_is_applied(engine: Flux) -> None:
    applied(engine)

    def break_(obj: Obj) -> None:
        obj["spec"]["netuid"] = -5

    engine.fleet.edit("a bad value", "fleet/validators/gamma.yaml", break_)
    engine.fleet.add_competition()
    engine.until_failed("fleet", "gamma", "spec.netuid")
    assert engine.fleet.competitions() == [["tools"]] * 3

    def mend(obj: Obj) -> None:
        obj["spec"]["netuid"] = 21

    commit = engine.fleet.edit("a good value", "fleet/validators/gamma.yaml", mend)
    engine.until_ready("fleet", commit)
    assert engine.fleet.competitions() == [["tools", SECOND]] * 3


def test_health_follows_the_conditions(engine: Flux) -> None:
    """Ready by kstatus: all of `healthChecks`; a stalled one fails at once, and one that waits takes the time limit."""
    applied(engine)
    checks = [
        {"apiVersion": "bitagent.io/v1alpha1", "kind": "Validator", "name": name, "namespace": engine.world.namespace}
        for name in VALIDATORS
    ]
    for name in VALIDATORS:
        engine.fleet.write_status("validators", name, "True", "WeightsCurrent")
    engine.change("fleet", healthChecks=checks)
    engine.until_ready("fleet")
    engine.fleet.write_status("validators", "beta", "False", "SecretNotFound", stalled="SecretNotFound")
    engine.until_failed("fleet", "failed", "beta")
    engine.fleet.write_status("validators", "beta", "False", "Suspended")
    text = engine.until_failed("fleet", "timeout", "beta", "InProgress")
    assert "alpha" not in text
    engine.fleet.write_status("validators", "beta", "True", "WeightsCurrent")
    engine.until_ready("fleet")


def test_the_baseline_comes_first_and_its_round_gates_the_fleet(engine: Flux) -> None:
    engine.start("baseline", dependsOn=None)
    engine.start("fleet", dependsOn=[{"name": engine.own("baseline")}], healthChecks=None)
    engine.world.until("the round is there", lambda: engine.world.get("evalrounds", "canary"))
    engine.world.until("the fleet waits", lambda: engine.ready("fleet")["reason"] == "DependencyNotReady")
    assert engine.fleet.validators() == {}
    engine.world.start_operator()
    engine.world.until_condition("evalrounds", "canary", "Complete")
    engine.until_ready("baseline")
    engine.until_ready("fleet")
    assert sorted(engine.fleet.validators()) == VALIDATORS


def rendered(fleet: Fleet, values: str) -> str:
    """The operator's chart with these values, as a pipeline renders it."""
    command = [str(fleet.world.plane.binaries.helm), "template", "bitagent-operator", str(CHART), "--values", "-"]
    command += ["--namespace", fleet.world.namespace, "--set", "crds.install=false"]
    return subprocess.run(command, input=values, capture_output=True, text=True, check=True).stdout


def roll_out(world: World, image: str) -> None:
    """Start the operator with the images of the ConfigMap that Flux applied, when it names this one."""

    def configured() -> Obj:
        config: Obj = yaml.safe_load(world.get("configmaps", "bitagent-operator")["data"]["config.yaml"])
        return config["images"] if config["images"]["evaluator"].endswith(image) else {}

    images = world.until("the ConfigMap is applied", configured)
    path = Path(world.environment["BITAGENT_CONFIG"])
    path.write_text(yaml.safe_dump(yaml.safe_load(path.read_text()) | {"images": images}))
    if world.operators:
        world.kill_operator()
    world.start_operator()


def images_of(world: World, name: str) -> list[str]:
    """The ends of the digests of the images of a round's evaluations."""
    jobs = world.all("jobs", **{"bitagent.io/round": name, "app.kubernetes.io/component": "evaluate"})
    return sorted(job["spec"]["template"]["spec"]["containers"][0]["image"][-3:] for job in jobs)


def test_an_image_that_is_raised_in_mid_round_is_that_of_the_next_round(engine: Flux) -> None:
    world, repository = engine.world, engine.fleet.repository
    values = (EXAMPLES / "operator/values.yaml").read_text().replace("podMonitor: {enabled: true}", "podMonitor: {}")
    values = values.replace("prometheusRule: {enabled: true}", "prometheusRule: {}")
    repository.commit("the operator", {"operator/operator.yaml": rendered(engine.fleet, values)})
    engine.start("operator", wait=False, targetNamespace=world.namespace)
    roll_out(world, "333")
    let_go, usual = threading.Event(), world.kubelet.script

    def script(pod: Obj, document: Obj) -> Any:
        return usual(pod, document) if document["kind"] != "Evaluate" or let_go.is_set() else None

    world.kubelet.script = script
    for name in ("m-100", "m-200"):
        world.model(name)
    workload = {"parallelism": 1, "resources": {"gpus": 1, "cpu": "1", "memory": "1Gi"}}
    world.round("present", workload=workload)
    world.until("one evaluation runs", lambda: images_of(world, "present") == ["333"])
    values = values.replace("3" * 64, "4" * 64)
    repository.commit("another image", {"operator/operator.yaml": rendered(engine.fleet, values)})
    roll_out(world, "444")
    world.round("next", workload=workload)
    let_go.set()
    world.until_condition("evalrounds", "present", "Complete")
    world.until_condition("evalrounds", "next", "Complete")
    assert images_of(world, "present") == ["333", "333"], "the second one started after the upgrade"
    assert images_of(world, "next") == ["444", "444"]
    assert [world.get("evalrounds", name)["status"]["image"][-3:] for name in ("present", "next")] == ["333", "444"]


def test_nothing_moves_while_nothing_changes(engine: Flux) -> None:
    """Operator and validator write, Flux applies each two seconds: no generation moves, and git alone writes specs."""
    applied(engine)
    engine.start("baseline", dependsOn=None)
    engine.world.start_operator()
    engine.world.until_condition("evalrounds", "canary", "Complete")
    for name in VALIDATORS:
        engine.world.until_condition("validators", name, "Ready", "False")

    def all_objects() -> dict[str, Obj]:
        kinds = ("validators", "evalrounds", "minermodels")
        return {f"{kind}/{each['metadata']['name']}": each for kind in kinds for each in engine.world.all(kind)}

    for name in VALIDATORS:  # as the validator's pod does
        merge = {"status": {"block": 5}}
        engine.world.api.merge(engine.world.path("validators", name) + "/status", merge)
    nothing_moves(all_objects, seconds=8)
    objects = all_objects()
    assert {name: spec_writers(each) for name, each in objects.items()} == {name: {MANAGER} for name in objects}
    assert {each["metadata"]["generation"] for each in objects.values()} == {1}


def test_what_is_removed_is_removed_from_the_cluster_and_nothing_is_stuck(engine: Flux) -> None:
    """Also with a round that runs, and after the operator is gone: objects have no finalizers."""
    engine.world.kubelet.script = lambda pod, document: None  # evaluations without an end
    applied(engine)
    engine.start("baseline", dependsOn=None, healthChecks=None)
    engine.world.start_operator()
    engine.world.until("Jobs run", lambda: engine.world.all("jobs"))
    engine.world.until("deployed", lambda: len(engine.world.all("deployments")) == 3)
    engine.world.kill_operator()
    engine.fleet.repository.commit("one out", {"fleet/validators/alpha.yaml": None, **without(engine.fleet, "alpha")})
    engine.world.until("pruned", lambda: sorted(engine.fleet.validators()) == ["beta", "gamma"])
    engine.remove("fleet")
    engine.remove("baseline")
    engine.created.clear()
    for plural in ("validators", "evalrounds", "minermodels", "jobs", "deployments", "pods"):
        engine.world.until(f"no {plural}", lambda plural=plural: not engine.world.all(plural), 60)  # type: ignore[misc]


def without(fleet: Fleet, name: str) -> dict[str, str]:
    path = "fleet/kustomization.yaml"
    return {path: fleet.repository.read(path).replace(f"  - validators/{name}.yaml\n", "")}
