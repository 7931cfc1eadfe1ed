"""The demo's files agree with each other, with the contract and with the local world."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from bitagent_crds.evalround import EvalRound
from bitagent_crds.minermodel import MinerModel
from bitagent_crds.schema import API_VERSION
from bitagent_crds.validator import Validator
from bitagent_local.chain import keys
from bitagent_local.chain.seed import load
from bitagent_local.hub import pack as hub

KINDS = {"MinerModel": MinerModel, "EvalRound": EvalRound, "Validator": Validator}


def objects(path: Path) -> list[dict[str, Any]]:
    return [o for o in yaml.safe_load_all(path.read_text()) if o]


@pytest.fixture
def demo(root: Path) -> Path:
    return root / "examples/demo"


@pytest.fixture
def models(demo: Path) -> dict[str, Any]:
    return {m["metadata"]["name"]: m["spec"] for m in objects(demo / "minermodels.yaml")}


@pytest.fixture
def world(root: Path) -> list[dict[str, Any]]:
    return objects(root / "local/manifests/world.yaml")


@pytest.mark.parametrize("file", ["minermodels.yaml", "validator.yaml", "evalround.yaml"])
def test_objects_keep_the_contract(demo: Path, file: str) -> None:
    for each in objects(demo / file):
        kind = KINDS[each["kind"]]
        assert (each["apiVersion"], each["metadata"]["namespace"]) == (API_VERSION, "bitagent")
        assert len(each["metadata"]["name"]) <= kind.crd.name_max
        kind.model_validate({"spec": each["spec"]})


def test_repositories_are_on_the_hub_but_the_missing_one(root: Path, models: dict[str, Any]) -> None:
    hub = {r["repo"] for r in yaml.safe_load((root / "local/models/repositories.yaml").read_text())["repositories"]}
    expected = {m["source"]["huggingFace"]["repo"] for m in models.values()}
    assert expected - hub == {"bad/missing"}


def test_revisions_are_the_hubs_commits(root: Path, models: dict[str, Any], tmp_path: Path) -> None:
    """A commit is a hash of the files: whoever trains a model again finds the new one here."""
    packed = hub.pack(hub.load(root / "local/models/repositories.yaml"), folders=root / "local/models", root=tmp_path)
    for source in (m["source"]["huggingFace"] for m in models.values()):
        assert source["revision"] == packed.get(source["repo"], "0" * 40), source["repo"]


def test_miners_of_sound_models_are_registered_with_what_they_committed(root: Path, models: dict[str, Any]) -> None:
    seed = load(root / "local/bitagent_local/chain/demo.yaml")
    committed = {n.hotkey: n.commitment for n in seed.neurons if n.commitment}
    submitted = {m["miner"]["hotkey"]: m["source"]["huggingFace"]["repo"] for m in models.values()}
    assert committed.items() <= submitted.items()
    assert len([name for name in models if name.startswith("tiny-")]) <= len(committed)


def test_hotkeys_are_development_keys(models: dict[str, Any]) -> None:
    for name, spec in models.items():
        owner = name if name.startswith("bad-") else spec["source"]["huggingFace"]["repo"].split("/")[0]
        assert spec["miner"]["hotkey"] == keys.address(f"//{owner}")


def test_the_copy_was_committed_later(models: dict[str, Any]) -> None:
    assert models["tiny-fc-1200"]["miner"]["commitBlock"] < models["tiny-fc-1200-copy"]["miner"]["commitBlock"]


def test_the_competition_takes_every_model(demo: Path) -> None:
    (validator,) = objects(demo / "validator.yaml")
    (competition,) = validator["spec"]["competitions"]
    expected = competition["round"]["models"]["matchLabels"].items()
    assert all(expected <= m["metadata"]["labels"].items() for m in objects(demo / "minermodels.yaml"))


def test_a_hundred_official_cases_and_every_task_of_the_file(root: Path, demo: Path) -> None:
    (validator,) = objects(demo / "validator.yaml")
    (competition,) = validator["spec"]["competitions"]
    tasks = competition["round"]["tasks"]
    lines = (root / "local/models/tasks.jsonl").read_text().splitlines()
    share = {("bfcl" if "bfcl" in s else "jsonl"): s["weight"] for s in tasks["sources"]}
    assert tasks["count"] * share["jsonl"] // sum(share.values()) == len(lines)
    assert tasks["count"] * share["bfcl"] // sum(share.values()) == 100
    # A ConfigMap holds 1 MiB.
    assert len("\n".join(lines)) < 1_000_000
    assert len({json.loads(line)["id"] for line in lines}) == len(lines)


def test_world_pods_are_restricted(world: list[dict[str, Any]], unrestricted: Callable[..., list[str]]) -> None:
    assert unrestricted(tuple(world)) == []
    (namespace,) = [o for o in world if o["kind"] == "Namespace"]
    assert namespace["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] == "restricted"


def test_addresses_are_services_of_the_world(demo: Path, world: list[dict[str, Any]]) -> None:
    served = {
        f"{o['metadata']['name']}.{o['metadata']['namespace']}:{port['port']}"
        for o in world
        if o["kind"] == "Service"
        for port in o["spec"]["ports"]
    }
    (validator,) = objects(demo / "validator.yaml")
    (values,) = objects(demo / "values-local.yaml")
    named = [*validator["spec"]["chain"]["endpoints"], values["hub"]["endpoint"]]
    assert [address for address in named if address.split("//")[1] not in served] == []


def test_policies_of_the_local_world_select_its_pods(demo: Path, world: list[dict[str, Any]]) -> None:
    (values,) = objects(demo / "values-local.yaml")
    pods = {o["metadata"]["name"]: o["spec"]["template"] for o in world if o["kind"] == "Deployment"}
    for rule, pod in (("hub", pods["hub"]), ("chain", pods["chain"])):
        ((peer, port),) = [(r["to"][0], r["ports"][0]["port"]) for r in values["networkPolicy"][rule]]
        labels, selector = pod["metadata"]["labels"], peer["podSelector"]
        assert selector.get("matchLabels", {}).items() <= labels.items()
        assert all(labels[each["key"]] in each["values"] for each in selector.get("matchExpressions", ()))
        assert port in {p["containerPort"] for c in pod["spec"]["containers"] for p in c["ports"]}


def test_jobs_mount_the_claim_of_the_environment(root: Path, demo: Path) -> None:
    (claim,) = objects(root / "local/manifests/site.yaml")
    (values,) = objects(demo / "values-local.yaml")
    (volume,) = values["jobs"]["volumes"]
    (mount,) = values["jobs"]["volumeMounts"]
    assert volume["persistentVolumeClaim"] == {"claimName": claim["metadata"]["name"], "readOnly": True}
    assert (mount["mountPath"], mount["readOnly"]) == (values["jobs"]["env"][0]["value"], True)
