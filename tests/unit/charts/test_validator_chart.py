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


def hotkey(name: str, **more: Any) -> dict[str, Any]:
    return {"wallet": {"hotkeySecretRef": {"name": name}}, **more}


class TestFleet:
    def specs(self, helm: Any, validators: dict[str, Any], **common: Any) -> dict[str, Any]:
        made = helm.render({**common, "validators": validators}, release="fleet").all("Validator")
        for each in made:
            Validator.model_validate({"spec": each["spec"]})
        return {each["metadata"]["name"]: each["spec"] for each in made}

    def test_each_has_the_common_spec_and_what_differs(self, helm: Any) -> None:
        changes = {"a": hotkey("one"), "b": hotkey("two", netuid=21, suspend=True, weights={"mode": "DryRun"})}
        found = self.specs(helm, changes, weights={"versionKey": 7})
        assert list(found) == ["a", "b"]
        assert found["a"]["wallet"]["hotkeySecretRef"] == {"name": "one", "key": "hotkey"}
        assert (found["a"]["netuid"], found["b"]["netuid"], found["b"]["suspend"]) == (20, 21, True)
        assert [found[n]["weights"]["mode"] for n in "ab"] == ["Set", "DryRun"]
        assert [found[n]["weights"]["versionKey"] for n in "ab"] == [7, 7]
        assert found["a"]["competitions"] == found["b"]["competitions"]

    def test_a_value_that_is_false_or_null_changes_something(self, helm: Any) -> None:
        changes = {"a": hotkey("one", suspend=False, weights={"burn": None, "guard": None})}
        found = self.specs(helm, changes, suspend=True)["a"]
        assert found["suspend"] is False
        assert not {"burn", "guard"} & set(found["weights"])

    def test_competitions_are_merged_by_id(self, helm: Any) -> None:
        own = [{"id": "tools", "rewardShare": 60, "round": {"tasks": {"count": 5}}}, {**COMPETITION, "rewardShare": 40}]
        found = self.specs(helm, {"a": hotkey("one", competitions=own), "b": hotkey("two")})
        tools, other = found["a"]["competitions"]
        (common,) = found["b"]["competitions"]
        assert (tools["rewardShare"], tools["round"]["tasks"]["count"]) == (60, 5)
        assert (common["rewardShare"], common["round"]["tasks"]["count"]) == (100, 1000), "the common one is as it was"
        assert tools["round"]["tasks"]["sources"] == common["round"]["tasks"]["sources"]
        assert other == {**COMPETITION, "rewardShare": 40}

    def test_labels_and_annotations_add_up(self, helm: Any) -> None:
        marks = {"labels": {"x": "1", "y": "1"}, "annotations": {"x": "1"}}
        own = {"labels": {"y": "2"}, "annotations": {"z": "2"}}
        made = helm.render({**marks, "validators": {"a": hotkey("one", **own)}}).one("Validator")["metadata"]
        assert {k: v for k, v in made["labels"].items() if "/" not in k} == {"x": "1", "y": "2"}
        assert made["annotations"] == {"x": "1", "z": "2"}

    def test_null_leaves_one_out(self, helm: Any) -> None:
        assert list(self.specs(helm, {"a": hotkey("one"), "b": None})) == ["a"]

    @pytest.mark.parametrize(
        ("changes", "refused"),
        [
            ({"b": hotkey("one")}, True),
            ({"b": {}, "c": {}}, True),
            ({"b": hotkey("one", netuid=21)}, False),
            ({"b": hotkey("two")}, False),
        ],
        ids=["one Secret", "the default", "another subnet", "another Secret"],
    )
    def test_one_hotkey_on_one_subnet_is_refused(self, helm: Any, changes: dict[str, Any], refused: bool) -> None:
        values = {"validators": {"a": hotkey("one"), **changes}}
        if refused:
            assert "have one hotkey" in helm.refusal(values)
        else:
            assert len(helm.render(values).all("Validator")) == 2

    @pytest.mark.parametrize(
        ("validator", "where"),
        [
            ({"netuids": 1}, "'netuids' not allowed"),
            ({"weights": {"mode": "set"}}, "/validators/a/weights/mode"),
            ({"competitions": [{"rewardShare": 1}]}, "/validators/a/competitions/0"),
            ({"competitions": [{"id": "tools", "rounds": {}}]}, "'rounds' not allowed"),
            ({"competitions": [{"id": "tools", "round": {"task": {}}}]}, "'task' not allowed"),
        ],
        ids=lambda v: v if isinstance(v, str) else "",
    )
    def test_schema_refuses(self, helm: Any, validator: dict[str, Any], where: str) -> None:
        assert where in helm.refusal({"validators": {"a": validator}})

    def test_the_example(self, helm: Any, root: Path) -> None:
        example = root / "examples/fleet"
        rendered = helm.render(release="fleet", files=(example / "values.yaml",))
        made = {v["metadata"]["name"]: v["spec"] for v in rendered.all("Validator")}
        secrets = {spec["wallet"]["hotkeySecretRef"]["name"] for spec in made.values()}
        seeds = {c["round"]["tasks"]["secretRef"]["name"] for spec in made.values() for c in spec["competitions"]}
        assert len(secrets) == len(made) == 3
        documents = yaml.safe_load_all((example / "secrets/external-secrets.yaml").read_text())
        assert {d["spec"]["target"]["name"] for d in documents} == secrets | seeds
        shares = [sum(c["rewardShare"] for c in spec["competitions"]) for spec in made.values()]
        assert shares == [100, 100, 100]
        tasks = rendered.one("ConfigMap")
        named = {
            (s["jsonl"]["configMap"]["name"], s["jsonl"]["configMap"]["key"])
            for spec in made.values() for c in spec["competitions"]
            for s in c["round"]["tasks"]["sources"] if "jsonl" in s
        }  # fmt: skip
        assert named == {(tasks["metadata"]["name"], key) for key in tasks["data"]}


def test_extra_objects(helm: Any) -> None:
    made = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "{{ .Release.Name }}-more"}}
    assert helm.render({"extraObjects": [made]}, release="mine").one("Secret", "mine-more")


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
