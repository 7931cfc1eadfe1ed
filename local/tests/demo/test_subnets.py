"""The examples of subnets fit the chains and the hub that the demo runs for them."""

from __future__ import annotations

import json
from string import Template
from typing import Any

import pytest
import yaml

from bitagent_local.chain.keys import address
from bitagent_local.chain.seed import load
from bitagent_local.cluster.host import SOURCES
from bitagent_local.demo import subnets
from bitagent_local.demo.kubectl import Kubectl
from bitagent_local.demo.stack import MANIFESTS, Stack
from bitagent_local.demo.subnets import SUBNETS, DemoSubnet

EVERY = pytest.mark.parametrize("subnet", SUBNETS, ids=[subnet.name for subnet in SUBNETS])


def validator(subnet: DemoSubnet) -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((subnet.folder / "validator.yaml").read_text())
    return found


@EVERY
def test_the_validator_is_on_its_chain(subnet: DemoSubnet) -> None:
    seed, made = load(subnet.folder / "chain.yaml"), validator(subnet)
    assert made["metadata"]["name"] == subnet.name
    assert made["spec"]["netuid"] == seed.netuid
    assert made["spec"]["chain"]["endpoints"] == [f"ws://{subnet.chain}.bitagent-world.svc:9944"]
    assert made["spec"]["wallet"]["hotkeySecretRef"]["name"] == f"{subnet.name}-hotkey"
    assert [c["id"] for c in made["spec"]["competitions"]] == list(subnet.competitions)


@EVERY
def test_the_validators_pod_may_reach_its_chain(subnet: DemoSubnet) -> None:
    for name in ("values-local.yaml", "values-cluster.yaml"):
        values = yaml.safe_load((SOURCES.parent / "examples" / "demo" / name).read_text())
        ((allowed,),) = [rule["to"][0]["podSelector"]["matchExpressions"] for rule in values["networkPolicy"]["chain"]]
        assert subnet.chain in allowed["values"]


@EVERY
def test_what_miners_commit_to_is_on_the_hub(subnet: DemoSubnet) -> None:
    listed = yaml.safe_load((SOURCES / "models" / "repositories.yaml").read_text())["repositories"]
    known = {each["repo"] for each in listed}
    committed = [n.commitment for n in load(subnet.folder / "chain.yaml").neurons if n.commitment]
    fields = [text.split(":") for text in [*committed, *(c.text for c in subnet.later)] if ":" in text]
    assert {"/".join(each[:2]) for each in fields} <= known


def test_miners_are_of_their_chain_and_their_models_on_the_hub() -> None:
    listed = yaml.safe_load((SOURCES / "models" / "repositories.yaml").read_text())["repositories"]
    hotkeys = {neuron.hotkey for neuron in load(subnets.BITAGENT.folder / "chain.yaml").neurons}
    for miner in subnets.BITAGENT.miners:
        assert address(f"//{miner.name}") in hotkeys
        assert miner.model in {each["repo"] for each in listed}
    assert [miner.old for miner in subnets.BITAGENT.miners].count(True) == 1
    template = (MANIFESTS / "miner.yaml").read_text()
    for miner in subnets.BITAGENT.miners:
        arguments = subnets.arguments_of(subnets.BITAGENT, miner)
        made = Template(template).substitute(NAME="x", IMAGE="i", CHAIN="c", ARGUMENTS=json.dumps(arguments))
        assert yaml.safe_load(made)["spec"]["template"]["spec"]["containers"][0]["args"] == arguments
    assert subnets.netuid_of(subnets.BITAGENT) == 20


def test_the_chains_manifest_is_one_for_all() -> None:
    text = (MANIFESTS / "chain.yaml").read_text()
    deployment, service = yaml.safe_load_all(text.replace("${NAME}", "chain-x"))
    assert deployment["spec"]["selector"]["matchLabels"] == service["spec"]["selector"]
    assert {m["name"] for m in deployment["spec"]["template"]["spec"]["volumes"]} == {"tmp", "seed"}


class Answers(Kubectl):
    """A kubectl that knows one Validator."""

    status: dict[str, Any]

    def get(self, *args: str) -> Any:
        return {"status": Answers.status}


@pytest.fixture
def stack() -> Stack:
    return Stack(Answers(SOURCES, SOURCES), SOURCES, SOURCES)


@pytest.mark.parametrize(
    ("rounds", "paid"),
    [
        pytest.param([], False, id="no row yet"),
        pytest.param(["nous-o1-3"], False, id="one competition"),
        pytest.param(["nous-o1-3", "nous-h1-2"], True, id="both"),
    ],
)
def test_the_plot_waits_for_all_competitions(stack: Stack, rounds: list[str], paid: bool) -> None:
    Answers.status = {"lastWeights": {"rounds": rounds}}
    assert subnets.all_paid(stack, SUBNETS[0]) is paid


@pytest.mark.parametrize("block", [0, 40], ids=["no step counted", "a step counted"])
def test_the_plot_waits_for_answers_of_miners(stack: Stack, block: int) -> None:
    Answers.status = {"lastWeights": {"rounds": ["bitagent-tools-1"]}, "online": [{"block": block}]}
    assert subnets.all_paid(stack, subnets.BITAGENT) is bool(block)


def test_what_is_wrong_is_named(stack: Stack) -> None:
    failed = {"type": "RoundCurrent", "status": "False", "reason": "RoundFailed", "message": "broken"}
    Answers.status = {"conditions": [failed, {"type": "Permitted", "status": "True", "reason": "", "message": ""}]}
    assert subnets.problems(stack, SUBNETS[0]) == ["RoundCurrent: RoundFailed: broken"]
