"""The charts on a real API server: install, upgrade, uninstall, what the operator may do, and what the demo applies."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from bitagent_local.cluster.control_plane import ControlPlane, control_plane
from bitagent_operator.manifests.rbac import validator_rules

pytestmark = pytest.mark.integration

ROOT = Path(__file__).resolve().parents[3]
OPERATOR, VALIDATOR = ROOT / "charts/bitagent-operator", ROOT / "charts/bitagent-validator"
DEMO = ROOT / "examples/demo"
DEFINITIONS = {f"{plural}.bitagent.io" for plural in ("minermodels", "evalrounds", "validators")}
ACCOUNT = "system:serviceaccount:{}:bitagent-operator"


class Cluster:
    """helm and kubectl on one API server, in namespace bitagent."""

    def __init__(self, plane: ControlPlane, home: Path) -> None:
        self.plane = plane
        folders = {f"HELM_{name}_HOME": str(home / name.lower()) for name in ("CACHE", "CONFIG", "DATA")}
        self.environment = {**os.environ, **folders, "KUBECONFIG": str(plane.kubeconfig), "HELM_NAMESPACE": "bitagent"}

    def helm(self, *args: str | Path) -> str:
        return self._run([str(self.plane.binaries.helm), *map(str, args)])

    def kubectl(self, *args: str | Path, stdin: str | None = None) -> str:
        return self._run(self.plane.kubectl("--namespace=bitagent", *map(str, args)), stdin=stdin)

    def _run(self, command: list[str], stdin: str | None = None) -> str:
        done = self._process(command, stdin=stdin)
        if done.returncode != 0:
            raise AssertionError(f"{' '.join(command)}: {done.stdout}{done.stderr}")
        return done.stdout

    def _process(self, command: list[str], stdin: str | None = None) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            command, env=self.environment, input=stdin, capture_output=True, text=True, check=False, timeout=60
        )

    def definitions(self) -> dict[str, Any]:
        listed = json.loads(self.kubectl("get", "crds", "--output=json"))["items"]
        return {d["metadata"]["name"]: d for d in listed}

    def made_by_helm(self) -> set[str]:
        kinds = "all,configmaps,serviceaccounts,roles,rolebindings,networkpolicies,persistentvolumeclaims"
        return set(self.kubectl("get", kinds, "--selector=app.kubernetes.io/managed-by=Helm", "--output=name").split())

    def may(self, verb: str, resource: str, *, account: str = "bitagent", namespace: str = "bitagent") -> bool:
        """Whether the operator of the namespace `account` may do that in `namespace`."""
        whole, _, part = resource.partition("/")
        question = ("auth", "can-i", verb, whole, f"--subresource={part}", f"--as={ACCOUNT.format(account)}")
        asked = self.plane.kubectl(f"--namespace={namespace}", *question)
        return {"yes": True, "no": False}[self._process(asked).stdout.strip()]


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    # Without this controller no claim is ever really gone.
    with control_plane(controllers="persistentvolumeclaim-protection-controller") as plane:
        cluster = Cluster(plane, tmp_path_factory.mktemp("helm"))
        cluster.kubectl("apply", "--filename", DEMO / "namespace.yaml")
        yield cluster


@pytest.fixture(scope="module")
def installed(cluster: Cluster) -> Cluster:
    cluster.helm("install", "bitagent-operator", OPERATOR, "--values", DEMO / "values-local.yaml")
    return cluster


def test_notes_say_what_to_do_next(installed: Cluster) -> None:
    notes = installed.helm("get", "notes", "bitagent-operator")
    assert "watches namespace bitagent" in notes
    assert "registry.example.org" not in notes


def test_a_second_release_in_the_namespace_is_refused(installed: Cluster) -> None:
    with pytest.raises(AssertionError, match="release bitagent-operator operates namespace bitagent already"):
        installed.helm("install", "another", OPERATOR, "--set", "crds.install=false")
    installed.helm("upgrade", "bitagent-operator", OPERATOR, "--values", DEMO / "values-local.yaml")


def test_releases_that_operate_one_namespace_from_two_are_refused(installed: Cluster) -> None:
    for name in ("watching", "watched"):
        installed.kubectl("create", "namespace", name)
    watching = ("bitagent-operator", OPERATOR, "--namespace=watching", "--set", "crds.install=false")
    refused = "release bitagent-operator of namespace bitagent operates namespace bitagent already"
    with pytest.raises(AssertionError, match=refused):
        installed.helm("install", *watching, "--set", "watch.namespaces={watched,bitagent}")
    notes = installed.helm(
        "install", *watching, "--set", "watch.namespaces={watched}", "--set", "images.pullSecrets={pull}"
    )
    try:
        assert "kubectl --namespace watched apply" in notes, "an object in the release's own is not operated"
        assert "pod-security" in notes.partition("namespace watching watched")[2], "both have pods"
        missing = "Secret pull (images.pullSecrets) does not exist in namespace"
        assert [f"{missing} {namespace}" in notes for namespace in ("watching", "watched")] == [True, True]
        assert installed.may("create", "jobs", account="watching", namespace="watched")
        assert not installed.may("create", "jobs", account="watching", namespace="watching")
        refused = "release bitagent-operator of namespace watching operates namespace watched already"
        with pytest.raises(AssertionError, match=refused):
            installed.helm(
                "install", "bitagent-operator", OPERATOR, "--namespace=watched", "--set", "crds.install=false"
            )
        installed.helm("upgrade", *watching, "--set", "watch.namespaces={watched}")
    finally:
        installed.helm("uninstall", "bitagent-operator", "--namespace=watching")


def test_restricted_namespace_takes_the_pods(installed: Cluster) -> None:
    """The API server judges a bare pod made of the Deployment's template."""
    template = json.loads(installed.kubectl("get", "deployment", "bitagent-operator", "--output=json"))["spec"][
        "template"
    ]
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "probe"}, "spec": template["spec"]}
    installed.kubectl("create", "--dry-run=server", "--filename=-", stdin=json.dumps(pod))


@pytest.mark.parametrize(
    ("verb", "resource"),
    [
        ("list", "minermodels"),
        ("patch", "evalrounds/status"),
        ("create", "jobs"),
        ("get", "pods"),
        ("create", "rolebindings"),
    ],
)
def test_operator_may(installed: Cluster, verb: str, resource: str) -> None:
    assert installed.may(verb, resource)


@pytest.mark.parametrize(
    ("verb", "resource"),
    [
        ("get", "secrets"),
        ("list", "secrets"),
        ("create", "pods"),
        ("create", "pods/exec"),
        ("get", "pods/log"),
        ("update", "minermodels"),
        ("list", "nodes"),
        ("escalate", "roles"),
        ("bind", "roles"),
        ("impersonate", "serviceaccounts"),
    ],
)
def test_operator_may_not(installed: Cluster, verb: str, resource: str) -> None:
    assert not installed.may(verb, resource)


def role(*rules: dict[str, Any]) -> str:
    made = {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "Role",
        "metadata": {"name": "v"},
        "rules": list(rules),
    }
    return json.dumps(made)


def test_operator_grants_a_validator_its_role_and_nothing_beyond(installed: Cluster) -> None:
    def create(made: str) -> str:
        account = f"--as={ACCOUNT.format('bitagent')}"
        return installed.kubectl("create", "--dry-run=server", "--filename=-", account, stdin=made)

    create(role(*validator_rules("v")))
    create(role(*validator_rules("v", discovers=True)))
    create(role(*validator_rules("v", competitions=["fc"], netuid=20, hotkey="5CnxbRk7DKntFz5E8za9NxFmP253fShW")))
    with pytest.raises(AssertionError, match="attempting to grant RBAC permissions not currently held"):
        create(role({"apiGroups": [""], "resources": ["secrets"], "verbs": ["get"]}))


@pytest.mark.parametrize("file", ["minermodels.yaml", "validator.yaml", "evalround.yaml"])
def test_demo_objects_are_accepted(installed: Cluster, file: str) -> None:
    installed.kubectl("apply", "--dry-run=server", "--validate=strict", "--filename", DEMO / file)


def test_world_is_accepted(installed: Cluster) -> None:
    text = (ROOT / "local/manifests/world.yaml").read_text().replace("${WORLD_IMAGE}", "localhost:5000/world:1")
    assert "$" not in text
    namespace, *objects = text.split("\n---\n")
    installed.plane.api.apply("/api/v1/namespaces/bitagent-world", yaml.safe_load(namespace))
    installed.kubectl(
        "apply", "--namespace=bitagent-world", "--dry-run=server", "--validate=strict", "--filename=-",
        stdin="\n---\n".join(objects),
    )  # fmt: skip


def test_validator_chart_installs_and_goes(installed: Cluster) -> None:
    installed.helm(
        "install", "mine", VALIDATOR, "--set-file", rf"taskFiles.tasks\.jsonl={ROOT / 'local/models/tasks.jsonl'}"
    )
    assert installed.kubectl("get", "validators", "--output=name").split() == ["validator.bitagent.io/mine"]
    lines = json.loads(installed.kubectl("get", "configmap", "mine-tasks", "--output=json"))["data"]["tasks.jsonl"]
    assert lines == (ROOT / "local/models/tasks.jsonl").read_text()
    installed.helm("uninstall", "mine")
    assert (
        installed.kubectl("get", "validators,configmaps", "--selector=app.kubernetes.io/instance=mine", "--output=name")
        == ""
    )


SOURCE = {"jsonl": {"configMap": {"name": "mine-tasks", "key": "tasks.jsonl"}}}
COMPETITION = {
    "id": "own",
    "rewardShare": 100,
    "schedule": {"everyBlocks": 100},
    "round": {"models": {"matchLabels": {}}, "tasks": {"count": 1, "sources": [SOURCE]}},
}


def test_an_upgrade_without_the_file_keeps_the_tasks(installed: Cluster) -> None:
    values = f"--set-json=competitions={json.dumps([COMPETITION])}"
    other = r"taskFiles.other\.jsonl=more"
    notes = installed.helm("install", "mine", VALIDATOR, values).partition("NOTES:")[2]
    assert "! Secret bitagent-hotkey with the hotkey of mine does not exist" in notes
    assert "! A competition names tasks.jsonl of ConfigMap mine-tasks, which does not exist" in notes

    def tasks() -> dict[str, str]:
        found = json.loads(installed.kubectl("get", "configmap", "mine-tasks", "--output=json"))
        data: dict[str, str] = found["data"]
        return data

    notes = installed.helm("upgrade", "mine", VALIDATOR, values, r"--set=taskFiles.tasks\.jsonl=one", f"--set={other}")
    assert "ConfigMap mine-tasks" not in notes
    assert tasks() == {"tasks.jsonl": "one", "other.jsonl": "more"}
    notes = installed.helm("upgrade", "mine", VALIDATOR, values, "--reset-values")
    assert "! tasks.jsonl of ConfigMap mine-tasks is kept" in notes
    assert tasks() == {"tasks.jsonl": "one"}, "what no competition names is gone"
    installed.helm("upgrade", "mine", VALIDATOR, values, "--reset-values")
    assert tasks() == {"tasks.jsonl": "one"}, "the second time, too"

    installed.kubectl("create", "secret", "generic", "bitagent-hotkey", "--from-literal=wrong=x")
    notes = installed.helm("upgrade", "mine", VALIDATOR, values)
    assert "! Secret bitagent-hotkey has no key hotkey" in notes
    installed.helm("upgrade", "mine", VALIDATOR, "--reset-values")
    found = installed.kubectl("get", "configmaps", "--selector=app.kubernetes.io/instance=mine", "--output=name")
    assert found == "", "no source names it any more"
    installed.helm("uninstall", "mine")
    installed.kubectl("delete", "secret", "bitagent-hotkey")


def test_a_config_map_of_somebody_else_is_left_alone(installed: Cluster) -> None:
    installed.kubectl("create", "configmap", "mine-tasks", "--from-literal=tasks.jsonl=theirs")
    values = f"--set-json=competitions={json.dumps([COMPETITION])}"
    notes = installed.helm("install", "mine", VALIDATOR, values).partition("NOTES:")[2]
    assert "mine-tasks" not in notes, "it is there"
    installed.helm("uninstall", "mine")
    found = json.loads(installed.kubectl("get", "configmap", "mine-tasks", "--output=json"))
    assert found["data"] == {"tasks.jsonl": "theirs"}
    installed.kubectl("delete", "configmap", "mine-tasks")


def test_notes_name_what_is_missing(installed: Cluster) -> None:
    values = (
        "--set=crds.install=false,archive.url=s3://bucket/x,archive.secretName=s3,caBundle.configMap=authorities",
        "--set=images.pullSecrets={pull},hub.tokenSecretRef.name=bitagent-job-hub,hub.tokenSecretRef.key=t",
        "--set=proxy.https=http://proxy:3128",
    )
    notes = installed.helm("upgrade", "bitagent-operator", OPERATOR, "--dry-run=server", *values)
    missing = set(re.findall(r"^! (Secret|ConfigMap) (\S+) \((\S+)\)", notes, re.MULTILINE))
    assert missing == {
        ("Secret", "pull", "images.pullSecrets"),
        ("Secret", "s3", "archive.secretName"),
        ("Secret", "bitagent-job-hub", "hub.tokenSecretRef"),
        ("ConfigMap", "authorities", "caBundle.configMap"),
    }
    assert "! There is a proxy, and networkPolicy.proxy is empty" in notes
    assert "has no definition" not in notes
    installed.kubectl("create", "secret", "generic", "s3")
    notes = installed.helm("upgrade", "bitagent-operator", OPERATOR, "--dry-run=server", *values)
    assert "archive.secretName" not in notes
    installed.kubectl("delete", "secret", "s3")


def test_upgrade_brings_new_definitions_and_uninstall_leaves_only_them(installed: Cluster, tmp_path: Path) -> None:
    """From an older chart, whose MinerModel had no column Rank, to this one; then away and back again."""
    older = shutil.copytree(OPERATOR, tmp_path / "older")
    path = older / "files/crds/bitagent.io_minermodels.yaml"
    definition = yaml.safe_load(path.read_text())
    (version,) = definition["spec"]["versions"]
    version["additionalPrinterColumns"] = [c for c in version["additionalPrinterColumns"] if c["name"] != "Rank"]
    path.write_text(yaml.safe_dump(definition))
    values = ("--values", DEMO / "values-local.yaml")

    def columns() -> set[str]:
        (found,) = installed.definitions()["minermodels.bitagent.io"]["spec"]["versions"]
        return {c["name"] for c in found["additionalPrinterColumns"]}

    installed.helm("upgrade", "bitagent-operator", older, *values)
    assert "Rank" not in columns()
    installed.helm("upgrade", "bitagent-operator", OPERATOR, *values)
    assert "Rank" in columns()

    installed.helm("uninstall", "bitagent-operator")
    installed.kubectl("wait", "--for=delete", "persistentvolumeclaims", "--all", "--timeout=30s")
    assert installed.made_by_helm() == set()
    assert set(installed.definitions()) == DEFINITIONS

    installed.helm("install", "bitagent-operator", OPERATOR, *values)
    assert set(installed.definitions()) == DEFINITIONS
    installed.helm("uninstall", "bitagent-operator")
