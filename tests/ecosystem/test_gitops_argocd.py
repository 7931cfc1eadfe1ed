"""The fleet of `examples/gitops` by real Argo CD: docs/gitops.md says what happens."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from tests.ecosystem.argocd import NAMESPACE, argocd
from tests.ecosystem.fleet import EXAMPLES, SECOND, VALIDATORS, Fleet, nothing_moves, spec_writers

from bitagent_local.cluster.control_plane import ControlPlane
from bitagent_local.cluster.git_server import GitRepository, GitServer, serving
from bitagent_local.cluster.gitops import ensure_argocd

if TYPE_CHECKING:
    from tests.integration.operator.conftest import Outcomes, World

pytestmark = pytest.mark.ecosystem

Obj = dict[str, Any]
APPLICATIONS = f"/apis/argoproj.io/v1alpha1/namespaces/{NAMESPACE}/applications"
APPLICATION_SETS = f"/apis/argoproj.io/v1alpha1/namespaces/{NAMESPACE}/applicationsets"
PROJECTS = f"/apis/argoproj.io/v1alpha1/namespaces/{NAMESPACE}/appprojects"
CHARTS = Path(__file__).resolve().parents[2] / "charts"
BOTH_WAYS = pytest.mark.parametrize(
    "options", [pytest.param([], id="client-side"), pytest.param(["ServerSideApply=true"], id="server-side")]
)


@pytest.fixture(scope="module")
def plane(
    bare_plane: Callable[[], AbstractContextManager[ControlPlane]], built: Callable[[Callable[[], Any]], Any]
) -> Iterator[ControlPlane]:
    """The API server; Argo CD runs beside it, with the health of the example."""
    program = built(ensure_argocd)
    settings = yaml.safe_load((EXAMPLES / "argocd/argocd-cm.yaml").read_text())["data"]
    with bare_plane() as running, argocd(running, program, settings=settings):
        yield running


@pytest.fixture(scope="module")
def git(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GitServer]:
    with serving(tmp_path_factory.mktemp("git")) as server:
        yield server


class ArgoCd:
    """What Argo CD makes of a repository."""

    def __init__(self, fleet: Fleet, product: GitRepository) -> None:
        self.fleet, self.world, self.product = fleet, fleet.world, product
        self.created: list[str] = []

    def text(self, name: str) -> str:
        """An example, for the test's namespace, repositories and names."""
        text = self.fleet.text(f"argocd/{name}").replace("https://git.example.org/bitagent.git", self.product.url)
        return text.replace("name: bitagent-", f"name: {self.world.namespace}-").replace(
            "project: bitagent", f"project: {self.world.namespace}"
        )

    def start_project(self) -> None:
        """Create the project of the examples."""
        project = yaml.safe_load(self.text("project.yaml"))
        project["metadata"]["name"] = self.world.namespace
        self.world.api.create(PROJECTS, project)

    def start(self, name: str, options: list[str] | None = None, **spec: Any) -> None:
        """Create the project, once, and an Application of the examples."""
        if not self.created:
            self.start_project()
        made = yaml.safe_load(self.text(f"{name}.yaml"))
        made["spec"] |= spec
        made["spec"]["syncPolicy"]["retry"] = {"limit": 1, "backoff": {"duration": "1s", "factor": 1}}
        if options is not None:
            made["spec"]["syncPolicy"]["syncOptions"] = options
        self.world.api.create(APPLICATIONS, made)
        self.created.append(made["metadata"]["name"])

    def status(self, name: str) -> Obj:
        found: Obj = self.world.api.get(f"{APPLICATIONS}/{self.world.namespace}-{name}")["status"]
        return found

    def state(self, name: str) -> str:
        status = self.status(name)
        return f"{status['sync']['status']} {status.get('health', {}).get('status')}"

    def until(self, name: str, state: str, seconds: float = 120) -> None:
        """Wait for a state as `argocd app get` shows it."""
        try:
            self.world.until(state, lambda: self.state(name) == state, seconds)
        except AssertionError:
            status = self.status(name)
            raise AssertionError(f"{self.state(name)}: {status.get('conditions')} {status.get('resources')}") from None

    def until_synced(self, name: str) -> None:
        """Wait until the cluster is as git is, and no sync runs."""

        def synced() -> bool:
            status = self.status(name)
            return status["sync"]["status"] == "Synced" and status["operationState"]["phase"] == "Succeeded"

        self.world.until("Synced", synced)

    def syncs(self, name: str) -> tuple[str, int]:
        """The last sync: its end, and the number of repairs in turn that it was."""
        state = self.status(name)["operationState"]
        return state.get("finishedAt", ""), state["operation"]["sync"].get("autoHealAttemptsCount", 0)

    def health(self, application: str, kind: str, name: str) -> str:
        """Health of one object: `Healthy`, or with its message."""
        (found,) = [r for r in self.status(application)["resources"] if (r["kind"], r["name"]) == (kind, name)]
        health = found["health"]
        return f"{health['status']} {health.get('message', '')}".strip()

    def remove(self, name: str) -> None:
        self.world.api.delete(f"{APPLICATIONS}/{self.world.namespace}-{name}")

    def gone(self, name: str) -> bool:
        items = self.world.api.get(APPLICATIONS)["items"]
        return f"{self.world.namespace}-{name}" not in [each["metadata"]["name"] for each in items]


@pytest.fixture
def product(world: World, git: GitServer) -> GitRepository:
    """The charts, as a repository."""
    made = git.create(f"{world.namespace}-product")
    files = {f"charts/{p.relative_to(CHARTS)}": p.read_text() for p in CHARTS.glob("bitagent-*/**/*") if p.is_file()}
    made.commit("charts", files)
    return made


@pytest.fixture
def engine(world: World, git: GitServer, product: GitRepository) -> Iterator[ArgoCd]:
    fleet = Fleet.create(world, git.create(world.namespace), "fleet", "baseline", "operator")
    made = ArgoCd(fleet, product)
    yield made
    for name in made.created:
        if not made.gone(name.removeprefix(f"{world.namespace}-")):
            world.api.delete(f"{APPLICATIONS}/{name}")


@BOTH_WAYS
def test_the_fleet_is_synced_and_nothing_moves(engine: ArgoCd, options: list[str]) -> None:
    """Operator and validator write, Argo CD compares each two seconds: Synced stays, and no generation moves."""
    engine.world.start_operator()
    engine.start("fleet", options)
    engine.world.until("three Validators", lambda: sorted(engine.fleet.validators()) == VALIDATORS)
    for name in VALIDATORS:
        engine.world.until_condition("validators", name, "Ready", "False")
    engine.until_synced("fleet")
    syncs = engine.syncs("fleet")
    nothing_moves(engine.fleet.validators, seconds=8)
    assert (engine.state("fleet").split()[0], engine.syncs("fleet")) == ("Synced", syncs), "and nothing is repaired"
    assert {each["metadata"]["generation"] for each in engine.fleet.validators().values()} == {1}
    assert [spec_writers(each) for each in engine.fleet.validators().values()] == [{"argocd-controller"}] * 3
    engine.fleet.add_competition()
    engine.world.until("both", lambda: engine.fleet.competitions() == [["tools", SECOND]] * 3)
    engine.until_synced("fleet")


@BOTH_WAYS
@pytest.mark.parametrize(
    ("chart", "values"),
    [
        pytest.param("bitagent-validator", {"name": "one"}, id="validator"),
        pytest.param("bitagent-validator", {"validators": {"a": {}, "b": {"netuid": 21}}}, id="fleet"),
        pytest.param("bitagent-operator", {"crds": {"install": False}}, id="operator"),
    ],
)
def test_a_chart_is_synced(engine: ArgoCd, options: list[str], chart: str, values: Obj) -> None:
    source = {"repoURL": engine.product.url, "targetRevision": "main", "path": f"charts/{chart}"}
    engine.start("fleet", options, source=source | {"helm": {"valuesObject": values}})
    engine.until_synced("fleet")
    syncs = engine.syncs("fleet")
    engine.world.pause(5)  # two comparisons
    assert (engine.state("fleet").split()[0], engine.syncs("fleet")) == ("Synced", syncs)


def test_what_is_edited_by_hand_is_undone(engine: ArgoCd) -> None:
    engine.start("fleet")
    engine.until_synced("fleet")
    engine.world.api.merge(engine.world.path("validators", "beta"), {"spec": {"netuid": 77}})
    engine.world.until("as in git", lambda: engine.world.get("validators", "beta")["spec"]["netuid"] == 20)


def test_a_bad_value_is_shown_with_its_field(engine: ArgoCd) -> None:
    engine.start("fleet")
    engine.until_synced("fleet")

    def break_(obj: Obj) -> None:
        obj["spec"]["netuid"] = -5

    engine.fleet.add_competition()
    engine.until_synced("fleet")
    engine.fleet.edit("a bad value", "fleet/validators/gamma.yaml", break_)
    engine.fleet.edit("and a good one", "fleet/validators/alpha.yaml", lambda obj: obj["spec"].update(netuid=21))

    def said() -> str:
        operation = engine.status("fleet")["operationState"]
        texts = [each.get("message", "") for each in operation.get("syncResult", {}).get("resources", [])]
        return "".join(text for text in texts if "spec.netuid" in text and "gamma" in text)

    assert "-5" in str(engine.world.until("the field is named", said))
    assert [each["spec"]["netuid"] for each in engine.fleet.validators().values()] == [21, 20, 20]


def test_health_follows_the_conditions(engine: ArgoCd) -> None:
    engine.start("fleet")
    engine.until("fleet", "Synced Progressing")
    for name in VALIDATORS:
        engine.fleet.write_status("validators", name, "True", "WeightsCurrent")
    engine.until("fleet", "Synced Healthy")
    engine.fleet.write_status("validators", "beta", "False", "SecretNotFound", stalled="SecretNotFound")
    engine.until("fleet", "Synced Degraded")
    assert engine.health("fleet", "Validator", "beta") == "Degraded SecretNotFound: of a test"

    def suspend(obj: Obj) -> None:
        obj["spec"]["suspend"] = True

    engine.fleet.edit("suspend", "fleet/validators/beta.yaml", suspend)
    engine.world.until("applied", lambda: engine.world.get("validators", "beta")["metadata"]["generation"] == 2)
    engine.fleet.write_status("validators", "beta", "False", "Suspended")
    engine.until("fleet", "Synced Suspended")


def values_without_monitoring(fleet: Fleet) -> str:
    """The example's values, for a cluster without the Prometheus operator and without storage."""
    values = yaml.safe_load(fleet.repository.read("operator/values.yaml"))
    values |= {"metrics": {"dashboards": {"enabled": True}}}
    values |= {each: {"existingClaim": each} for each in ("cache", "artifacts")}
    return yaml.safe_dump(values)


def run_operator_pods(world: World) -> None:
    """Report the pods of the chart's Deployment as ready; the operator of the test acts instead of them."""
    for pod in world.all("pods", **{"app.kubernetes.io/component": "operator"}):
        ready = [{"type": kind, "status": "True"} for kind in ("Initialized", "ContainersReady", "Ready")]
        status = {"phase": "Running", "conditions": ready}
        world.api.merge(world.path("pods", pod["metadata"]["name"]) + "/status", {"status": status})


def test_a_round_after_each_sync_of_the_operator_is_a_hook(engine: ArgoCd, outcomes: Outcomes) -> None:
    """The chart, the model, and when both are healthy the round: the sync ends when the round is complete."""
    world, repository = engine.world, engine.fleet.repository
    world.start_operator()
    repository.commit("for this cluster", {"operator/values.yaml": values_without_monitoring(engine.fleet)})
    engine.start("operator")
    seen: list[str] = []

    def completed(revision: str = "") -> bool:
        run_operator_pods(world)
        state = engine.status("operator")["operationState"]
        uid = world.get("evalrounds", "canary")["metadata"]["uid"]
        complete = world.condition("evalrounds", "canary", "Complete").get("status") == "True"
        of_it = revision in [*state["syncResult"]["revisions"], ""]
        if not (complete and of_it and state["phase"] == "Succeeded" and uid not in seen):
            return False
        seen.append(uid)
        return True

    world.until("a round, and the sync ended", completed, 120)
    assert world.get("minermodels", "baseline")["status"]["observedGeneration"] == 1
    text = repository.read("operator/values.yaml").replace("333", "444")
    revision = repository.commit("another image", {"operator/values.yaml": text})
    world.until("another round for another image", lambda: completed(revision), 120)
    assert engine.state("operator").startswith("Synced"), "a hook does not count as drift"
    usual, refused = world.kubelet.script, outcomes.refused("TasksFailed", "of a test")
    world.kubelet.script = lambda pod, job: refused if job["kind"] == "TaskSet" else usual(pod, job)
    repository.commit("an image that fails", {"operator/values.yaml": text.replace("444", "555")})

    def failed() -> bool:
        run_operator_pods(world)
        return bool(engine.status("operator")["operationState"]["phase"] == "Failed")

    world.until("the sync has failed", failed, 120)
    assert world.condition("evalrounds", "canary", "Failed")["status"] == "True"


def test_what_is_removed_is_removed_from_the_cluster_and_nothing_is_stuck(engine: ArgoCd) -> None:
    """Also with Jobs that run, and after the operator is gone: objects have no finalizers."""
    engine.world.kubelet.script = lambda pod, document: None  # evaluations without an end
    engine.start("fleet")
    engine.world.start_operator()
    engine.world.until("deployed", lambda: len(engine.world.all("deployments")) == 3)
    engine.world.kill_operator()
    path = "fleet/kustomization.yaml"
    text = engine.fleet.repository.read(path).replace("  - validators/alpha.yaml\n", "")
    engine.fleet.repository.commit("one out", {"fleet/validators/alpha.yaml": None, path: text})
    engine.world.until("pruned", lambda: sorted(engine.fleet.validators()) == ["beta", "gamma"])
    engine.remove("fleet")
    engine.world.until("the Application is gone", lambda: engine.gone("fleet"))
    for plural in ("validators", "deployments", "pods"):
        engine.world.until(f"no {plural}", lambda plural=plural: not engine.world.all(plural), 60)  # type: ignore[misc]


TESTNET = """\
apiVersion: kustomize.config.k8s.io/v1beta1
kind: Kustomization
namePrefix: test-
resources: [../fleet]
patches:
  - patch: '[{"op": "replace", "path": "/spec/netuid", "value": 76}]'
    target: {kind: Validator}
"""
"""A second fleet: the first one's Validators on another subnet."""


def test_each_folder_of_a_fleet_is_an_application(engine: ArgoCd) -> None:
    """An ApplicationSet: a folder that is added is applied, and one that is removed takes its Validators along."""
    made = yaml.safe_load(engine.text("fleets.yaml"))
    made["spec"]["generators"][0]["git"]["requeueAfterSeconds"] = 1
    engine.start_project()
    engine.world.api.create(APPLICATION_SETS, made)
    engine.until_synced("fleet")
    assert sorted(engine.fleet.validators()) == VALIDATORS
    engine.fleet.repository.commit("a fleet on the test network", {"fleet-test/kustomization.yaml": TESTNET})
    engine.world.until("a second Application", lambda: not engine.gone("fleet-test"))
    engine.until_synced("fleet-test")
    found = {name: each["spec"]["netuid"] for name, each in engine.fleet.validators().items()}
    assert found == dict.fromkeys(VALIDATORS, 20) | {f"test-{name}": 76 for name in VALIDATORS}
    engine.fleet.repository.commit("no test network", {"fleet-test/kustomization.yaml": None})
    engine.world.until("its Application is gone", lambda: engine.gone("fleet-test"))
    engine.world.until("its Validators are gone", lambda: sorted(engine.fleet.validators()) == VALIDATORS)
    engine.world.api.delete(f"{APPLICATION_SETS}/{made['metadata']['name']}")
    engine.world.until("the Application is gone", lambda: engine.gone("fleet"))
    engine.world.until("no Validators", lambda: not engine.fleet.validators())
