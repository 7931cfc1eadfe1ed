"""What is applied again, unchanged, changes nothing: by kubectl's own comparison, and by server-side apply.

`kubectl apply` compares as Argo CD does by default: what was applied, what is applied now, and what the server has.
"""

from __future__ import annotations

import copy
import json
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from bitagent_crds.generate import KINDS

if TYPE_CHECKING:
    from tests.integration.operator.conftest import World

pytestmark = pytest.mark.integration
Obj = dict[str, Any]
ROOT = Path(__file__).resolve().parents[3]
OURS = {kind.crd.kind: kind.crd.plural for kind in KINDS}
SOURCE: Obj = {
    "weight": 2,
    "huggingFace": {"repo": "a/b", "rows": "Columns", "columns": {"question": "q", "reference": "r"}},
}
ALTERATIONS: list[Obj] = [
    {"rewrite": {"url": "http://rewriter/v1", "model": "m"}},
    {"distractorTools": {"minimum": 1}},
    {"toolShuffle": {}},
]
"""Members of lists that leave as much as possible to defaults."""
ROUND: Obj = {
    "models": {"names": ["m"]},
    "tasks": {
        "sources": [SOURCE, {"stream": {"wandb": {"entity": "e", "project": "p"}}}],
        "count": 9,
        "alterations": ALTERATIONS,
    },
    "workload": {"tolerations": [{"key": "gpu"}, {"operator": "Exists"}]},
}
COMPETITION: Obj = {"schedule": {"everyBlocks": 360}, "round": ROUND}
VALIDATOR: Obj = {
    "netuid": 20,
    "chain": {"endpoints": ["ws://chain:9944"]},
    "wallet": {"hotkeySecretRef": {"name": "w", "key": "k"}},
    "competitions": [COMPETITION | {"id": "a", "rewardShare": 40}, COMPETITION | {"id": "b", "rewardShare": 60}],
}


def _sparse(kind: str, name: str, spec: Obj) -> Obj:
    return {"apiVersion": "bitagent.io/v1alpha1", "kind": kind, "metadata": {"name": name}, "spec": spec}


PATCHED = ROOT / "examples/gitops/fleet"
"""Its files are whole only when kustomize has put them together: test_drift.py."""


def _examples() -> list[Any]:
    examples = [path for path in (ROOT / "examples").rglob("*.yaml") if PATCHED not in path.parents]
    files = [*examples, *(ROOT / "charts").glob("*/files/*.yaml")]
    found = [
        pytest.param(obj, id=f"{path.parent.name}/{path.name} {obj['metadata']['name']}")
        for path in sorted(files)
        for obj in yaml.safe_load_all(path.read_text())
        if isinstance(obj, dict) and obj.get("kind") in OURS
    ]
    assert {each.values[0]["kind"] for each in found} == set(OURS), "every kind has an example"
    seeded = copy.deepcopy(ROUND)
    seeded["tasks"]["seed"] = "1"
    return [
        *found,
        pytest.param(_sparse("EvalRound", "sparse", seeded), id="round of defaults"),
        pytest.param(_sparse("Validator", "sparse", VALIDATOR), id="validator of defaults"),
    ]


def apply(world: World, obj: Obj, *options: str) -> str:
    """Apply as a person does; kubectl's answer."""
    mine = {**obj, "metadata": {k: v for k, v in obj["metadata"].items() if k != "namespace"}}
    command = world.plane.kubectl(f"--namespace={world.namespace}", "apply", *options, "-f", "-")
    done = subprocess.run(command, input=json.dumps(mine), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def version(world: World, obj: Obj) -> str:
    found: str = world.get(OURS[obj["kind"]], obj["metadata"]["name"])["metadata"]["resourceVersion"]
    return found


@pytest.mark.parametrize("obj", _examples())
def test_applied_twice_it_is_unchanged(world: World, obj: Obj) -> None:
    assert apply(world, obj).endswith(" created")
    before = version(world, obj)
    assert apply(world, obj).endswith(" unchanged")
    assert version(world, obj) == before


@pytest.mark.parametrize("obj", _examples())
def test_applied_twice_on_the_server_it_is_unchanged(world: World, obj: Obj) -> None:
    apply(world, obj, "--server-side")
    before = version(world, obj)
    apply(world, obj, "--server-side")
    assert version(world, obj) == before
    stored = world.get(OURS[obj["kind"]], obj["metadata"]["name"])["spec"]
    assert _lists(stored, obj["spec"]) == _lists(obj["spec"], obj["spec"]), "as `helm diff` compares"


def test_what_the_chart_of_validators_makes_is_unchanged_when_it_is_made_again(world: World, tmp_path: Path) -> None:
    model = {"name": "m", "source": {"huggingFace": {"repo": "a/b"}}}
    values = tmp_path / "values.json"
    values.write_text(json.dumps(VALIDATOR | {"name": "chart", "models": [model]}))
    command = [str(world.plane.binaries.helm), "template", str(ROOT / "charts/bitagent-validator"), "--values", values]
    rendered = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    made = [obj for obj in yaml.safe_load_all(rendered) if obj]
    assert {obj["kind"] for obj in made} == {"MinerModel", "Validator"}
    for obj in made:
        assert apply(world, obj).endswith(" created")
        assert apply(world, obj).endswith(" unchanged")


def _lists(found: Obj, applied: Obj, path: str = "") -> dict[str, Any]:
    """The lists of `found` that were applied, by path."""
    out: dict[str, Any] = {}
    for name, value in applied.items():
        if isinstance(value, list):
            out[f"{path}.{name}"] = found[name]
        elif isinstance(value, dict):
            out |= _lists(found[name], value, f"{path}.{name}")
    return out
