"""Nothing that is written here is drift for who has applied the objects: Argo CD, Flux, or `kubectl apply`.

Charts and examples are applied by another field manager, the operator works on them, and then they are compared and
applied again, on the server and by the client.
"""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from tests.integration.operator.conftest import Outcomes

if TYPE_CHECKING:
    from tests.integration.operator.conftest import World

pytestmark = pytest.mark.integration

Obj = dict[str, Any]
ROOT = Path(__file__).resolve().parents[3]
OURS = {"MinerModel": "minermodels", "EvalRound": "evalrounds", "Validator": "validators"}
GIT = "a-tool-for-git"
KEPT = {"kind", "apiVersion", "metadata", "spec", "data", "rules", "roleRef", "subjects"}


def _examples(name: str) -> str:
    return "\n---\n".join(path.read_text() for path in sorted((ROOT / "examples" / name).glob("*.yaml")))


SOURCES = {
    "demo": lambda helm: _examples("demo"),
    "fleet": lambda helm: _run([str(helm.with_name("kubectl")), "kustomize", str(ROOT / "examples/gitops/fleet")]),
    "baseline": lambda helm: _examples("gitops/baseline"),
    "chart of one validator": lambda helm: _chart(helm, "bitagent-validator", "--set", "name=one"),
    "chart of a fleet": lambda helm: _chart(
        helm, "bitagent-validator", "--set-json", 'validators={"a": {}, "b": {"netuid": 21}}'
    ),
    "operator": lambda helm: _chart(helm, "bitagent-operator", "--set", "crds.install=false", *DASHBOARDS),
}
DASHBOARDS = ("--set", "metrics.dashboards.enabled=true")


def _chart(helm: Path, name: str, *options: str) -> str:
    return _run([str(helm), "template", "bitagent-operator", str(ROOT / "charts" / name), *options])


def _run(command: list[str]) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


@pytest.fixture(params=sorted(SOURCES))
def objects(request: pytest.FixtureRequest, world: World) -> list[Obj]:
    """The objects of a chart or an example, for the namespace of the test."""
    text = SOURCES[request.param](world.plane.binaries.helm)
    found = [
        each for each in yaml.safe_load_all(text) if isinstance(each, dict) and set(each) <= KEPT and "kind" in each
    ]
    for each in found:
        each["metadata"]["namespace"] = world.namespace
    namespaced = [each for each in found if each["kind"] != "Namespace"]
    assert namespaced
    return namespaced


def kubectl(world: World, objects: list[Obj], *arguments: str) -> subprocess.CompletedProcess[str]:
    text = json.dumps({"apiVersion": "v1", "kind": "List", "items": objects})
    command = world.plane.kubectl(*arguments, "-f", "-")
    return subprocess.run(command, input=text, capture_output=True, text=True, check=False)


def apply(world: World, objects: list[Obj], *how: str) -> None:
    done = kubectl(world, objects, "apply", *how)
    assert done.returncode == 0, done.stderr


def ours(world: World, objects: list[Obj]) -> list[Obj]:
    return [world.get(OURS[each["kind"]], each["metadata"]["name"]) for each in objects if each["kind"] in OURS]


def work(world: World, objects: list[Obj]) -> None:
    """Let the operator work on every object, and write what a validator's pod writes."""
    usual = world.kubelet.script
    score = Outcomes.scored("0.500000")
    world.kubelet.script = lambda pod, document: score if document["kind"] == "Evaluate" else usual(pod, document)
    world.start_operator()
    world.until("every object is observed", lambda: all("Ready" in _types(each) for each in ours(world, objects)))
    for each in ours(world, objects):
        if each["kind"] == "Validator":
            path = world.path("validators", each["metadata"]["name"])
            world.api.merge(f"{path}/status", {"status": {"block": 7}})
    world.kill_operator()  # kubectl reads an object twice, and would take a status in between for a difference


def _types(obj: Obj) -> set[str]:
    return {each["type"] for each in obj["status"]["conditions"]}


def spec_writers(obj: Obj) -> set[str]:
    """Field managers of anything but the status."""
    fields = [each for each in obj["metadata"]["managedFields"] if set(each["fieldsV1"]) - {"f:status"}]
    return {each["manager"] for each in fields if each.get("subresource") != "status"}


SERVER = ("--server-side", f"--field-manager={GIT}")


@pytest.mark.parametrize(
    "how", [pytest.param(SERVER, id="server-side"), pytest.param((f"--field-manager={GIT}",), id="client-side")]
)
def test_what_was_applied_stays_as_it_is(world: World, objects: list[Obj], how: tuple[str, ...]) -> None:
    apply(world, objects, *how)
    work(world, objects)
    before = ours(world, objects)
    compared = kubectl(world, objects, "diff", *how)
    assert (compared.returncode, compared.stdout) == (0, ""), compared.stderr
    apply(world, objects, *how)
    after = ours(world, objects)
    assert [each["metadata"]["generation"] for each in after] == [1] * len(before)
    assert [each["spec"] for each in after] == [each["spec"] for each in before]
    assert [spec_writers(each) for each in after] == [{GIT}] * len(after), "no one else owns a part of a spec"
    assert [each["metadata"].get("finalizers", []) for each in after] == [[]] * len(after), "a removal waits for no one"
