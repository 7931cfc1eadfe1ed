"""The validator's chart: values become the Validator word for word, and mistakes in them are refused."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from bitagent_crds.minermodel import MinerModel
from bitagent_crds.validator import Validator

HOTKEY = "5CnxbRk7DKntFz5E8za9NxFmP253fShWWBj3xf5C8L5TnaMF"


@pytest.fixture(scope="module")
def helm(helm_for: Callable[[str], Any]) -> Any:
    return helm_for("bitagent-validator")


def test_lint_finds_nothing(helm: Any) -> None:
    assert "0 chart(s) failed" in helm.lint()


def test_defaults_make_one_validator(helm: Any) -> None:
    (made,) = helm.render(release="mine").objects
    assert (made["kind"], made["metadata"]["name"]) == ("Validator", "mine")
    spec = Validator.model_validate({"spec": made["spec"]}).spec
    assert sum(c.reward_share for c in spec.competitions) == 100
    assert spec.weights.mode == "Set"


def test_spec_passes_unchanged(helm: Any, root: Path) -> None:
    spec = yaml.safe_load((root / "examples/demo/validator.yaml").read_text())["spec"]
    made = helm.render({**spec, "name": "demo", "suspend": True}).one("Validator")["spec"]
    weights = {"mode": "Set", "versionKey": 0, "timeoutSeconds": 120, "fill": "Burn", "guard": {}}
    weights["burn"] = {"percentage": 0, "target": "SubnetOwner"}
    assert made == {**spec, "suspend": True, "weights": weights}


def test_large_numbers_stay_integers(helm: Any) -> None:
    (competition,) = helm.render().one("Validator")["spec"]["competitions"]
    assert competition["round"]["admission"]["maxParameters"] == 10_000_000_000


def test_models_come_along(helm: Any) -> None:
    model = {
        "name": "a",
        "labels": {"competition": "tools"},
        "source": {"huggingFace": {"repo": "acme/one", "revision": "a" * 40}},
        "miner": {"hotkey": HOTKEY, "commitBlock": 4_000_000},
    }
    made = helm.render({"models": [model, {**model, "name": "b"}]}).all("MinerModel")
    assert [m["metadata"]["name"] for m in made] == ["a", "b"]
    assert made[0]["metadata"]["labels"]["competition"] == "tools"
    assert made[0]["spec"] == {key: model[key] for key in ("source", "miner")}
    MinerModel.model_validate({"spec": made[0]["spec"]})


def test_task_files_become_a_config_map(helm: Any) -> None:
    lines = '{"id":"1"}\n{"id":"2","text":"a: b"}\n'
    made = helm.render({"taskFiles": {"tasks.jsonl": lines}}, release="mine").one("ConfigMap")
    assert (made["metadata"]["name"], made["data"]) == ("mine-tasks", {"tasks.jsonl": lines})


def test_too_long_a_name_says_what_to_do(helm: Any) -> None:
    assert "set `name`" in helm.refusal({}, release="a-release-name-of-26-bytes")


COMPETITION: dict[str, Any] = {
    "id": "a",
    "schedule": {"everyBlocks": 10},
    "round": {
        "models": {"matchLabels": {}},
        "tasks": {"count": 1, "sources": [{"bfcl": {"categories": ["multiple"]}}]},
    },
}


@pytest.mark.parametrize(
    ("values", "where"),
    [
        ({"netuid": 70000}, "/netuid"),
        ({"netuids": 1}, "'netuids' not allowed"),
        ({"competitions": []}, "/competitions"),
        ({"competitions": [{**COMPETITION, "rewardshare": 100}]}, "'rewardshare' not allowed"),
        ({"competitions": [{**COMPETITION, "policy": "winner-takes-all"}]}, "/competitions/0/policy"),
        ({"competitions": [{**COMPETITION, "round": {**COMPETITION["round"], "seed": "1"}}]}, "'seed' not allowed"),
        ({"chain": {"endpoints": ["https://node"]}}, "/chain/endpoints/0"),
        ({"wallet": {"coldkey": "x"}}, "'coldkey' not allowed"),
        ({"weights": {"mode": "set"}}, "/weights/mode"),
        ({"models": [{"name": "a"}]}, "/models/0"),
        ({"models": [{"name": "A", "source": {}}]}, "/models/0/name"),
        ({"taskFiles": {"a/b": ""}}, "'a/b' does not match"),
        ({"name": "Upper"}, "/name"),
    ],
    ids=lambda v: v if isinstance(v, str) else "",
)
def test_schema_refuses(helm: Any, values: dict[str, Any], where: str) -> None:
    assert where in helm.refusal(values)
