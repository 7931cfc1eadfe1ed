"""The fleet of `make demo-fleet`: its files agree with each other, and what is said of its rounds."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from bitagent_local.chain.keys import address
from bitagent_local.chain.seed import load
from bitagent_local.cluster.binaries import ensure_binaries
from bitagent_local.cluster.git_server import GitRepository, serving
from bitagent_local.cluster.host import SOURCES
from bitagent_local.cluster.monitoring import monitoring_tools
from bitagent_local.demo import __main__ as demo
from bitagent_local.demo import fleet
from bitagent_local.demo.kubectl import Kubectl
from bitagent_local.demo.stack import Stack

Obj = dict[str, Any]


@pytest.fixture(scope="module")
def objects(tmp_path_factory: pytest.TempPathFactory) -> list[Obj]:
    """What the chart makes of the fleet's values."""
    nothing = tmp_path_factory.mktemp("home") / "nothing"
    text = fleet.rendered(Stack(Kubectl(nothing, nothing), ensure_binaries().helm, nothing))
    return [each for each in yaml.safe_load_all(text) if each]


def of_kind(objects: list[Obj], kind: str) -> list[Obj]:
    return [each for each in objects if each["kind"] == kind]


def test_three_validators_of_one_file_run_on_the_fleets_chain(objects: list[Obj]) -> None:
    found = {each["metadata"]["name"]: each["spec"] for each in of_kind(objects, "Validator")}
    seed = load(fleet.EXAMPLE / "demo" / "chain.yaml")
    assert sorted(found) == sorted(fleet.VALIDATORS)
    permitted = {neuron.hotkey for neuron in seed.neurons if neuron.permit}
    assert permitted == {address(f"//fleet-{name}") for name in fleet.VALIDATORS}
    for name, spec in found.items():
        assert spec["netuid"] == seed.netuid
        assert spec["chain"]["endpoints"] == [f"ws://{fleet.CHAIN}.bitagent-world.svc:9944"]
        assert spec["wallet"]["hotkeySecretRef"]["name"] == f"{name}-hotkey"
        assert [each["id"] for each in spec["competitions"]] == ["tools"]
    assert {spec["weights"].get("mode", "Set") for spec in found.values()} == {"Set", "DryRun"}


def test_models_are_on_the_hub_and_their_miners_on_the_chain(objects: list[Obj]) -> None:
    listed = yaml.safe_load((SOURCES / "models" / "repositories.yaml").read_text())["repositories"]
    hotkeys = {neuron.hotkey for neuron in load(fleet.EXAMPLE / "demo" / "chain.yaml").neurons}
    models = of_kind(objects, "MinerModel")
    assert len(models) == 3
    for each in models:
        assert each["spec"]["source"]["huggingFace"]["repo"] in {one["repo"] for one in listed}
        assert each["spec"]["miner"]["hotkey"] in hotkeys


def test_the_validators_pods_may_reach_the_chain() -> None:
    values = yaml.safe_load((SOURCES.parent / "examples" / "demo" / "values-local.yaml").read_text())
    ((allowed,),) = [rule["to"][0]["podSelector"]["matchExpressions"] for rule in values["networkPolicy"]["chain"]]
    assert fleet.CHAIN in allowed["values"]


def test_flux_applies_the_folder_of_what_is_rendered() -> None:
    source, applied = fleet.flux_objects("http://10.0.0.1:3000/fleet.git")
    assert source["spec"]["url"] == "http://10.0.0.1:3000/fleet.git"
    assert applied["spec"]["sourceRef"] == {"kind": source["kind"], "name": source["metadata"]["name"]}
    assert (applied["spec"]["path"], applied["spec"]["prune"]) == ("./deployed", True)


def validator(name: str, *, mode: str = "Set", weights: str = "") -> Obj:
    conditions = [{"type": "WeightsCurrent", "status": "True", "reason": weights}] if weights else []
    spec = {"weights": {"mode": mode}}
    return {"metadata": {"name": name}, "spec": spec, "status": {"conditions": conditions}}


def round_(name: str, epoch: int, *, of: str, phase: str) -> Obj:
    labels = {"bitagent.io/validator": of, "bitagent.io/epoch": str(epoch)}
    return {"metadata": {"name": name, "labels": labels}, "status": {"phase": phase, "best": "a 0.9"}}


@pytest.mark.parametrize(
    ("of", "rounds", "finished"),
    [
        pytest.param(validator("main"), [], False, id="no round"),
        pytest.param(validator("main"), [round_("r", 0, of="main", phase="Running")], False, id="runs"),
        pytest.param(validator("main"), [round_("r", 0, of="main", phase="Complete")], False, id="no weights"),
        pytest.param(
            validator("main", weights="WeightsSet"), [round_("r", 0, of="main", phase="Complete")], True, id="paid"
        ),
        pytest.param(
            validator("main", weights="WeightsSet"),
            [round_("r", 0, of="other", phase="Complete")],
            False,
            id="another's",
        ),
        pytest.param(
            validator("staging", mode="DryRun", weights="DryRun"),
            [round_("r", 0, of="staging", phase="Complete")],
            True,
            id="sends none",
        ),
    ],
)
def test_a_validator_is_finished_with_a_round_and_its_weights(of: Obj, rounds: list[Obj], finished: bool) -> None:
    (row,) = fleet.rows([of, validator("demo")], rounds)
    assert fleet.finished(row) is finished


def test_the_newest_round_is_shown() -> None:
    rounds = [round_(f"main-tools-{n}", n, of="main", phase="Complete") for n in (9, 10, 2)]
    (row,) = fleet.rows([validator("main")], rounds)
    assert row.round == "main-tools-10"
    assert "main-tools-10" in fleet.table([row])


@pytest.mark.parametrize(
    ("status", "port", "scraped"),
    [
        pytest.param({"phase": "Running", "podIP": "10.0.0.7"}, "metrics", ["10.0.0.7:9090"], id="runs"),
        pytest.param({"phase": "Pending"}, "metrics", [], id="has no address yet"),
        pytest.param({"phase": "Succeeded", "podIP": "10.0.0.7"}, "metrics", [], id="has ended"),
        pytest.param({"phase": "Running", "podIP": "10.0.0.7"}, "health", [], id="has no metrics"),
    ],
)
def test_pods_with_metrics_are_scraped_by_name(status: Obj, port: str, scraped: list[str]) -> None:
    spec = {"containers": [{"name": "a"}, {"name": "b", "ports": [{"name": port, "containerPort": 9090}]}]}
    found = fleet.targets([{"metadata": {"name": "p", "namespace": "bitagent"}, "spec": spec, "status": status}])
    assert [each["targets"][0] for each in found] == scraped
    assert all(each["labels"] == {"namespace": "bitagent", "pod": "p"} for each in found)


def test_the_fleet_is_for_the_local_node(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("BITAGENT_CACHE", str(tmp_path))
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "theirs"))
    assert demo.main(["fleet"]) == 1
    assert "KUBECONFIG" in capsys.readouterr().err


def test_a_repository_that_exists_keeps_what_others_have_pushed(tmp_path: Path) -> None:
    with serving(tmp_path) as server:
        repository = server.create("fleet")
        first = repository.commit("one", {"a.yaml": "a: 1\n"})
        assert server.create("fleet").commit("again", {"a.yaml": "a: 1\n"}) == first
        clone = GitRepository(repository.url, tmp_path / "clone")
        subprocess.run(["git", "clone", "--quiet", repository.url, str(clone.work)], check=True)
        assert clone.read("a.yaml") == "a: 1\n"
        clone.commit("of another", {"b.yaml": "b: 1\n"})
        last = server.create("fleet").commit("two", {"a.yaml": "a: 2\n"})
        subprocess.run(["git", "pull", "--quiet"], cwd=clone.work, check=True)
        assert clone.read("a.yaml") + clone.read("b.yaml") == "a: 2\nb: 1\n"
        assert clone.commit("nothing", {}) == last


def test_prometheus_has_the_charts_alerts(tmp_path: Path) -> None:
    nothing = tmp_path / "nothing"
    made = fleet.alert_rules(Stack(Kubectl(nothing, nothing), ensure_binaries().helm, nothing))
    names = {rule["alert"] for group in yaml.safe_load(made)["groups"] for rule in group["rules"]}
    alerts = yaml.safe_load((fleet.OPERATOR_CHART / "files" / "alerts.yaml").read_text())
    assert names == {rule["alert"] for group in alerts["groups"] for rule in group["rules"]}
    assert fleet.scraping(tmp_path)["rule_files"] == [str(tmp_path / fleet.RULES)]
    (tmp_path / fleet.RULES).write_text(made)
    (tmp_path / "prometheus.yaml").write_text(json.dumps(fleet.scraping(tmp_path)))
    check = [str(monitoring_tools() / "promtool"), "check", "config", str(tmp_path / "prometheus.yaml")]
    assert subprocess.run(check, capture_output=True, check=False).returncode == 0
