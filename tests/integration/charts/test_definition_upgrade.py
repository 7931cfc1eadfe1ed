"""From the definitions of an earlier day to this chart's, with objects that exist: nothing of them is lost or changed.

tests/golden/upgrades has a folder for each such day: the definitions, the examples of that day, and statuses as they
were written then.
"""

from __future__ import annotations

import json
import lzma
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from bitagent_crds.evalround import EvalRound
from bitagent_crds.minermodel import MinerModel
from bitagent_crds.validator import Validator
from bitagent_local.cluster.control_plane import ControlPlane, control_plane

pytestmark = pytest.mark.integration

ROOT = Path(__file__).resolve().parents[3]
CHART = ROOT / "charts/bitagent-operator"
DAYS = sorted((ROOT / "tests/golden/upgrades").iterdir())
MODELS = {"MinerModel": MinerModel, "EvalRound": EvalRound, "Validator": Validator}
KINDS = "minermodels,evalrounds,validators"

Object = dict[str, Any]


class Cluster:
    """kubectl and helm on one API server."""

    def __init__(self, plane: ControlPlane, home: Path) -> None:
        self.plane = plane
        folders = {f"HELM_{name}_HOME": str(home / name.lower()) for name in ("CACHE", "CONFIG", "DATA")}
        self.environment = {**os.environ, **folders, "KUBECONFIG": str(plane.kubeconfig), "HELM_NAMESPACE": "bitagent"}

    def kubectl(self, *args: str, stdin: str | None = None) -> str:
        return self._run(self.plane.kubectl(*args), stdin)

    def helm(self, *args: str | Path) -> str:
        return self._run([str(self.plane.binaries.helm), *map(str, args)], None)

    def _run(self, command: list[str], stdin: str | None) -> str:
        done = subprocess.run(
            command, env=self.environment, input=stdin, capture_output=True, text=True, check=False, timeout=60
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def objects(self) -> dict[tuple[str, str], Object]:
        found = json.loads(self.kubectl("get", KINDS, "--namespace=bitagent", "--output=json"))["items"]
        return {(o["kind"], o["metadata"]["name"]): o for o in found}


@pytest.fixture(scope="module", params=DAYS, ids=lambda day: day.name)
def day(request: pytest.FixtureRequest) -> Path:
    path: Path = request.param
    return path


@pytest.fixture(scope="module")
def cluster(day: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """With the definitions and the objects of the day."""
    with control_plane() as plane:
        cluster = Cluster(plane, tmp_path_factory.mktemp("helm"))
        cluster.kubectl("create", "namespace", "bitagent")
        definitions = "\n---\n".join(lzma.decompress(f.read_bytes()).decode() for f in sorted(day.glob("*.xz")))
        cluster.kubectl("apply", "--server-side", "--filename=-", stdin=definitions)
        cluster.kubectl("wait", "--for=create", "crd/validators.bitagent.io")
        names = [f"crd/{plural}.bitagent.io" for plural in KINDS.split(",")]
        cluster.kubectl("wait", "--for=condition=Established", "--timeout=30s", *names)
        cluster.kubectl("apply", "--validate=strict", "--filename", str(day / "objects.yaml"))
        for place, status in yaml.safe_load((day / "statuses.yaml").read_text()).items():
            plural, name = place.split("/")
            patch = ("--subresource=status", "--type=merge", "--patch", json.dumps({"status": status}))
            cluster.kubectl("patch", plural, name, "--namespace=bitagent", *patch)
        yield cluster


def test_definitions_of_others_are_not_taken_by_accident(cluster: Cluster) -> None:
    with pytest.raises(AssertionError, match=r"belongs to no release.*crds\.install=false.*crds\.adopt=true"):
        cluster.helm("install", "bitagent-operator", CHART, "--take-ownership")


def test_objects_stay_as_they_are(cluster: Cluster, day: Path) -> None:
    before = cluster.objects()
    assert {kind for kind, _ in before} == set(MODELS)
    assert len([o for o in before.values() if o.get("status", {}).get("conditions")]) >= 3, "the statuses were written"

    adopted = ("--take-ownership", "--set=crds.adopt=true")
    cluster.helm("install", "bitagent-operator", CHART, *adopted)
    after = cluster.objects()
    assert set(after) == set(before)
    for place, old in before.items():
        new = after[place]
        for member in ("uid", "generation", "creationTimestamp"):
            assert new["metadata"][member] == old["metadata"][member], place
        assert contained(old["spec"], new["spec"]) == [], place
        assert contained(old.get("status", {}), new.get("status", {})) == [], place
        MODELS[place[0]].model_validate({part: new[part] for part in ("spec", "status") if part in new})

    # What is in git is applied again, and nothing is another generation by it.
    cluster.kubectl("apply", "--validate=strict", "--filename", str(day / "objects.yaml"))
    generations = {place: o["metadata"]["generation"] for place, o in cluster.objects().items()}
    assert generations == {place: o["metadata"]["generation"] for place, o in before.items()}
    for kind in MODELS:
        name = next(name for other, name in sorted(before) if other == kind)
        object_ = (kind, name, "--namespace=bitagent")
        status = json.dumps({"status": before[kind, name].get("status", {})})
        cluster.kubectl("patch", *object_, "--subresource=status", "--type=merge", "--patch", status)
        cluster.kubectl("label", *object_, "upgraded=yes")


def test_those_of_another_release_are_left_to_it(cluster: Cluster) -> None:
    own = ("--namespace=other", "--create-namespace", "--dry-run=server")
    with pytest.raises(AssertionError, match="belongs to release bitagent-operator in namespace bitagent"):
        cluster.helm("install", "second", CHART, *own)
    cluster.helm("install", "second", CHART, *own, "--set=crds.install=false")
    cluster.helm("upgrade", "bitagent-operator", CHART)


def contained(old: Any, new: Any, path: str = "") -> list[str]:
    """Return where `new` lacks or changes something of `old`; what it has besides are defaults."""
    if isinstance(old, dict) and isinstance(new, dict):
        return [where for key in old for where in contained(old[key], new.get(key), f"{path}.{key}")]
    if isinstance(old, list) and isinstance(new, list) and len(old) == len(new):
        return [where for i, each in enumerate(old) for where in contained(each, new[i], f"{path}[{i}]")]
    return [] if old == new else [f"{path}: {old} became {new}"]
