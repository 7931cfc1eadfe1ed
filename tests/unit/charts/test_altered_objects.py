"""The round of altered tasks agrees with the contract, the hub's lists and the local world."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from bitagent_crds.evalround import EvalRound


def rounds(root: Path) -> list[dict[str, Any]]:
    return list(yaml.safe_load_all((root / "examples/altered/evalrounds.yaml").read_text()))


@pytest.fixture
def round_(root: Path) -> dict[str, Any]:
    """The altered one."""
    return rounds(root)[1]


def test_the_other_round_is_the_same_but_for_the_alterations(root: Path) -> None:
    plain, altered = (found["spec"] for found in rounds(root))
    assert plain | {"tasks": plain["tasks"] | {"alterations": altered["tasks"]["alterations"]}} == altered


def repositories(root: Path, kind: str) -> set[str]:
    return {
        r["repo"] for r in yaml.safe_load((root / "local" / kind / "repositories.yaml").read_text())["repositories"]
    }


def test_it_keeps_the_contract(round_: dict[str, Any]) -> None:
    EvalRound.model_validate({"spec": round_["spec"]})


def test_its_models_are_on_the_hub_and_in_no_other_round(root: Path, round_: dict[str, Any]) -> None:
    listed = list(yaml.safe_load_all((root / "examples/altered/minermodels.yaml").read_text()))
    assert round_["spec"]["models"]["names"] == [o["metadata"]["name"] for o in listed]
    assert {o["spec"]["source"]["huggingFace"]["repo"] for o in listed} <= repositories(root, "models")
    validator = yaml.safe_load((root / "examples/demo/validator.yaml").read_text())
    for competition in validator["spec"]["competitions"]:
        expected = competition["round"]["models"]["matchLabels"].items()
        assert not [o for o in listed if expected <= o["metadata"].get("labels", {}).items()]


def test_datasets_are_on_the_hub(root: Path, round_: dict[str, Any]) -> None:
    expected = {s["huggingFace"]["repo"] for s in round_["spec"]["tasks"]["sources"] if "huggingFace" in s}
    assert expected
    assert expected <= repositories(root, "datasets")
    served = yaml.safe_load_all((root / "local/manifests/world.yaml").read_text())
    (hub,) = [o for o in served if o["kind"] == "Deployment" and o["metadata"]["name"] == "hub"]
    args = hub["spec"]["template"]["spec"]["containers"][0]["args"]
    assert "--pack=/opt/world/datasets/repositories.yaml" in args


def test_the_file_of_tasks_fits_into_a_config_map(root: Path, round_: dict[str, Any]) -> None:
    assert {"demo-benchmark"} == {
        s["jsonl"]["configMap"]["name"] for s in round_["spec"]["tasks"]["sources"] if "jsonl" in s
    }
    text = (root / "local/models/benchmark.jsonl").read_text()
    assert len(text.encode()) < 2**20
    ids = [json.loads(line)["id"] for line in text.splitlines()]
    assert len(set(ids)) == len(ids)


def test_three_kinds_of_sources_and_five_alterations(round_: dict[str, Any]) -> None:
    tasks = round_["spec"]["tasks"]
    assert {k for s in tasks["sources"] for k in s if k != "weight"} == {"bfcl", "jsonl", "huggingFace"}
    assert [next(iter(a)) for a in tasks["alterations"]] == [
        "rewrite",
        "toolShuffle",
        "distractorTools",
        "functionMask",
        "irrelevance",
    ]
