"""Both charts with Helm 4 beside Helm 3, from a registry, and judged by the definitions of other operators.

Helm 4 and SOPS are built first, which takes minutes, once.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from tests.ecosystem.registry import registry as serving
from tests.integration.charts.test_every_option import EVERYTHING

from bitagent_local.cluster import chart_tools
from bitagent_local.cluster.control_plane import control_plane

if TYPE_CHECKING:
    from bitagent_local.cluster.control_plane import ControlPlane

pytestmark = pytest.mark.ecosystem

Object = dict[str, Any]

ROOT = Path(__file__).resolve().parents[2]
OPERATOR, VALIDATOR = ROOT / "charts/bitagent-operator", ROOT / "charts/bitagent-validator"
FLEET = ROOT / "examples/fleet"
MODEL = {
    "apiVersion": "bitagent.io/v1alpha1",
    "kind": "MinerModel",
    "metadata": {"name": "theirs"},
    "spec": {"source": {"huggingFace": {"repo": "acme/tiny"}}},
}


class Cluster:
    """Both versions of Helm, and kubectl, on one API server, in namespace bitagent."""

    def __init__(self, plane: ControlPlane, home: Path, helm4: Path) -> None:
        self.plane, self.helms = plane, {3: plane.binaries.helm, 4: helm4}
        self.home = home
        self.environment = {**os.environ, "KUBECONFIG": str(plane.kubeconfig), "HELM_NAMESPACE": "bitagent"}

    def helm(self, version: int, *args: str | Path, values: Object | None = None) -> str:
        folders = {f"HELM_{n}_HOME": str(self.home / f"{version}-{n.lower()}") for n in ("CACHE", "CONFIG", "DATA")}
        command = [str(self.helms[version]), *map(str, args)]
        given = ["--values=-"] if values is not None else []
        return self.run([*command, *given], json.dumps(values or {}), **folders)

    def kubectl(self, *args: str, stdin: str = "") -> str:
        return self.run(self.plane.kubectl("--namespace=bitagent", *args), stdin)

    def taken(self, text: str) -> None:
        options = ("--server-side", "--dry-run=server", "--validate=strict", "--warnings-as-errors", "--filename=-")
        self.kubectl("apply", *options, stdin=text)

    def run(self, command: list[str], stdin: str = "", **environment: str) -> str:
        done = subprocess.run(
            command, env={**self.environment, **environment}, input=stdin, capture_output=True, text=True, check=False,
            timeout=60,
        )  # fmt: skip
        assert done.returncode == 0, f"{' '.join(command)}: {done.stdout}{done.stderr}"
        return done.stdout

    def labelled(self) -> set[str]:
        kinds = "deployments,configmaps,serviceaccounts,roles,rolebindings,networkpolicies,services,podmonitors"
        return set(self.kubectl("get", kinds, "--selector=app.kubernetes.io/managed-by=Helm", "--output=name").split())


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory, pytestconfig: pytest.Config) -> Iterator[Cluster]:
    capture: Any = pytestconfig.pluginmanager.getplugin("capturemanager")
    with capture.global_and_fixture_disabled():
        helm4 = chart_tools.ensure_helm4()
    others = [*chart_tools.monitoring_definitions(), chart_tools.external_secrets_definition()]
    # Without this controller no claim is ever really gone.
    with control_plane(controllers="persistentvolumeclaim-protection-controller") as plane:
        cluster = Cluster(plane, tmp_path_factory.mktemp("helm"), helm4)
        cluster.kubectl("create", "namespace", "bitagent")
        cluster.kubectl("apply", "--server-side", *(f"--filename={file}" for file in others))
        names = [f"crd/{yaml.safe_load(file.read_text())['metadata']['name']}" for file in others]
        cluster.kubectl("wait", "--for=create", "--timeout=30s", *names)
        cluster.kubectl("wait", "--for=condition=Established", "--timeout=30s", *names)
        yield cluster


def objects(text: str) -> dict[tuple[str, str], Object]:
    found = [o for o in yaml.load_all(text, Loader=yaml.CSafeLoader) if o]
    return {(o["kind"], o["metadata"]["name"]): o for o in found}


@pytest.mark.parametrize(
    ("chart", "values"),
    [(OPERATOR, {}), (OPERATOR, EVERYTHING), (VALIDATOR, {})],
    ids=["operator", "every option", "validator"],
)
def test_both_versions_render_the_same(cluster: Cluster, chart: Path, values: Object) -> None:
    for version in (3, 4):
        assert "0 chart(s) failed" in cluster.helm(version, "lint", "--strict", chart, values=values)
    three, four = (objects(cluster.helm(version, "template", "mine", chart, values=values)) for version in (3, 4))
    assert three == four


def test_a_misspelt_value_is_refused_by_both(cluster: Cluster) -> None:
    for version in (3, 4):
        with pytest.raises(AssertionError, match="'registri' not allowed"):
            cluster.helm(version, "template", "mine", OPERATOR, values={"images": {"registri": "x"}})


@pytest.mark.parametrize("versions", [(3, 4), (4, 3), (4, 4)], ids=["3 then 4", "4 then 3", "4"])
def test_a_release_is_installed_upgraded_rolled_back_and_removed(cluster: Cluster, versions: tuple[int, int]) -> None:
    """Helm 4 applies a release that it has installed on the server, one of Helm 3 as that did."""
    first, second = versions
    production = ("--values", OPERATOR / "values-production.yaml")
    cluster.helm(first, "install", "mine", OPERATOR, *production)
    cluster.kubectl("wait", "--for=condition=Established", "crd/minermodels.bitagent.io", "--timeout=30s")
    cluster.kubectl("apply", "--filename=-", stdin=json.dumps(MODEL))
    before = cluster.labelled()
    cluster.helm(second, "upgrade", "mine", OPERATOR, *production, "--set=relistSeconds=60")
    config = ("get", "configmap", "mine-bitagent-operator", r"--output=jsonpath={.data.config\.yaml}")
    assert "relistSeconds: 60" in cluster.kubectl(*config)
    cluster.helm(second, "rollback", "mine", "1")
    assert "relistSeconds: 300" in cluster.kubectl(*config)
    assert cluster.labelled() == before

    source = {"jsonl": {"configMap": {"name": "val-tasks", "key": "t.jsonl"}}}
    round_ = {"models": {"matchLabels": {}}, "tasks": {"count": 1, "sources": [source]}}
    own = {"competitions": [{"id": "own", "rewardShare": 100, "schedule": {"everyBlocks": 9}, "round": round_}]}
    cluster.helm(first, "install", "val", VALIDATOR, values={**own, "taskFiles": {"t.jsonl": "one"}})
    cluster.helm(second, "upgrade", "val", VALIDATOR, values=own)
    found = cluster.kubectl("get", "configmap", "val-tasks", r"--output=jsonpath={.data.t\.jsonl}")
    assert found == "one", "a competition names it"
    cluster.helm(second, "uninstall", "val")

    cluster.helm(second, "uninstall", "mine")
    assert cluster.labelled() == set()
    assert json.loads(cluster.kubectl("get", "minermodels", "--output=json"))["items"], "objects and kinds stay"
    cluster.kubectl("delete", "minermodels", "--all")
    cluster.kubectl("delete", "persistentvolumeclaims", "--all")


def test_other_operators_take_what_is_made_for_them(cluster: Cluster) -> None:
    cluster.taken(cluster.helm(3, "template", "mine", OPERATOR, "--set=crds.install=false", values=EVERYTHING))
    cluster.taken((FLEET / "secrets/external-secrets.yaml").read_text())


@pytest.mark.timeout(1800)  # SOPS is built in it, with the clients of many clouds
def test_a_secret_in_git_is_encrypted(cluster: Cluster, tmp_path: Path) -> None:
    """The commands in examples/fleet/secrets/sops.yaml."""
    programs = chart_tools.ensure_sops()
    key = tmp_path / "key.txt"
    cluster.run([str(programs / "age-keygen"), "-o", str(key)])
    (recipient,) = re.findall(r"age1\w+", key.read_text())
    plain = FLEET / "secrets/sops.yaml"
    (command,) = [line for line in plain.read_text().splitlines() if "sops --encrypt" in line]
    words = command.removeprefix("#").strip().replace("'", "").replace("RECIPIENT", recipient).split()
    place = words.index(">")
    encrypted = tmp_path / words[place + 1]
    encrypted.write_text(cluster.run([str(programs / "sops"), *words[1 : place - 1], str(plain)]))
    assert "secretPhrase" not in encrypted.read_text()
    assert "name: main-hotkey" in encrypted.read_text(), "what it is can be read"
    environment = {"SOPS_AGE_KEY_FILE": str(key)}
    text = cluster.run([str(programs / "sops"), "--decrypt", str(encrypted)], **environment)
    assert yaml.safe_load(text) == yaml.safe_load(plain.read_text())
    cluster.taken(text)


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with serving(tmp_path_factory.mktemp("registry")) as address:
        yield address


@pytest.mark.parametrize("versions", [(3, 4), (4, 3)], ids=["pushed by 3", "pushed by 4"])
def test_charts_come_from_a_registry(
    cluster: Cluster, registry: str, tmp_path: Path, versions: tuple[int, int]
) -> None:
    pusher, puller = versions
    place = f"oci://{registry}/v{pusher}"
    for chart in (OPERATOR, VALIDATOR):
        cluster.helm(pusher, "package", chart, "--destination", tmp_path)
        cluster.helm(pusher, "push", tmp_path / f"{chart.name}-0.1.0.tgz", place, "--plain-http")
        again = ("--version=0.1.0", "--plain-http", "--untar", "--untardir", tmp_path / "pulled")
        cluster.helm(puller, "pull", f"{place}/{chart.name}", *again)
        pulled = tmp_path / "pulled" / chart.name
        kept = {p.relative_to(chart) for p in chart.rglob("*") if p.is_file() and p.suffix not in (".swp", ".orig")}
        missing = {path for path in kept if not (pulled / path).exists()}
        assert missing == set(), "examples of values and dashboards come along"
        # Helm writes Chart.yaml again; all else is byte for byte.
        changed = {p for p in kept - {Path("Chart.yaml")} if (pulled / p).read_bytes() != (chart / p).read_bytes()}
        assert changed == set()
        metadata = yaml.safe_load((pulled / "Chart.yaml").read_text())
        assert metadata["annotations"] == yaml.safe_load((chart / "Chart.yaml").read_text())["annotations"]
    rendered = cluster.helm(puller, "template", "mine", f"{place}/{OPERATOR.name}", "--plain-http", "--version=0.1.0")
    assert objects(rendered) == objects(cluster.helm(3, "template", "mine", OPERATOR))
