"""A Validator's objects: one pod at a time, replaced only if it must be, with rights on its own ConfigMap alone."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from bitagent_crds.names import hotkey_lease, turn_lease
from bitagent_operator.manifests.validator import validator_objects
from bitagent_operator.observed.objects import ValidatorObject
from bitagent_validator.chain.endpoints import ENDPOINTS_FILE as SECRET_ENDPOINTS
from bitagent_validator.competitions.seed_secrets import SEEDS_DIR

if TYPE_CHECKING:
    from tests.unit.operator.conftest import Make

Obj = dict[str, Any]


def built(make: Make, **more: Any) -> dict[str, Obj]:
    return {o["kind"]: o for o in validator_objects(make.config(), make.validator(**more))}


def test_one_pod_at_a_time(make: Make) -> None:
    spec = built(make)["Deployment"]["spec"]
    assert (spec["replicas"], spec["strategy"]) == (1, {"type": "Recreate"})
    assert built(make, suspend=True)["Deployment"]["spec"]["replicas"] == 0


def test_the_pod_is_replaced_only_for_what_it_cannot_follow(make: Make) -> None:
    def annotation(**more: Any) -> str:
        template = built(make, **more)["Deployment"]["spec"]["template"]
        return str(template["metadata"]["annotations"]["bitagent.io/spec-hash"])

    assert annotation() == annotation(weights={"mode": "Off"})
    assert annotation() != annotation(netuid=21)
    assert annotation() != annotation(wallet={"hotkeySecretRef": {"name": "other", "key": "hotkey"}})


def test_a_validator_touches_no_config_map_but_its_own(make: Make) -> None:
    """Another one is the operator's configuration, which names the images of Jobs."""
    rules = [r for r in built(make)["Role"]["rules"] if "configmaps" in r["resources"]]
    verbs = {verb: rule.get("resourceNames") for rule in rules for verb in rule["verbs"]}
    own = ["v-scores", "v-scores-main"]
    assert verbs == {"create": None, "get": own, "patch": own, "update": own}


def test_a_validator_takes_no_lease_but_those_of_its_hotkey(make: Make) -> None:
    """Another one is the operator's, by which one operator acts."""

    def verbs(validator: ValidatorObject) -> dict[str, Any]:
        role = {o["kind"]: o for o in validator_objects(make.config(), validator)}["Role"]
        rules = [r for r in role["rules"] if "leases" in r["resources"]]
        return {verb: rule.get("resourceNames") for rule in rules for verb in rule["verbs"]}

    validator = make.validator()
    assert verbs(validator) == {"create": None}, "its hotkey is not known yet"
    hotkey = "5CnxbRk7DKntFz5E8za9NxFmP253fShWWBj3xf5C8L5TnaMF"
    own = [hotkey_lease(validator.spec.netuid, hotkey), turn_lease(hotkey)]
    assert verbs(replace(validator, hotkey=hotkey)) == {"create": None, "get": own, "patch": own, "update": own}


@pytest.mark.parametrize(
    ("discovery", "writes"),
    [
        pytest.param({}, False, id="absent"),
        pytest.param({"discovery": {}}, False, id="without a source"),
        pytest.param({"discovery": {"commitments": {}}}, True, id="commitments"),
        pytest.param({"discovery": {"axons": {}}}, True, id="axons"),
    ],
)
def test_models_are_written_by_a_validator_that_discovers_them(make: Make, discovery: Obj, writes: bool) -> None:
    (rule,) = (r for r in built(make, **discovery)["Role"]["rules"] if "minermodels" in r["resources"])
    reads = ["get", "list", "watch"]
    assert rule["verbs"] == ([*reads, "create", "patch", "delete"] if writes else reads)


@pytest.mark.parametrize(
    ("changes", "asks"),
    [
        pytest.param({}, False, id="no miner is asked"),
        pytest.param({"discovery": {"commitments": {}}}, False, id="commitments"),
        pytest.param({"discovery": {"axons": {}}}, True, id="axons"),
        pytest.param({"online": {}}, True, id="online evaluation"),
    ],
)
def test_a_validator_that_asks_miners_may_reach_them(make: Make, changes: Obj, asks: bool) -> None:
    if "online" in changes:
        competitions = make.validator().spec.to_wire()["competitions"]
        changes = {"competitions": [{**each, **changes} for each in competitions]}
    deployment = built(make, **changes)["Deployment"]["spec"]
    labels = deployment["template"]["metadata"]["labels"]
    assert (labels.get("bitagent.io/egress-miners") == "true") is asks
    assert "bitagent.io/egress-miners" not in deployment["selector"]["matchLabels"]


def test_endpoints_of_a_secret_are_mounted(make: Make) -> None:
    chain = {"endpoints": ["wss://public"], "endpointsSecretRef": {"name": "nodes", "key": "list"}}
    pod = built(make, chain=chain)["Deployment"]["spec"]["template"]["spec"]
    (mounted,) = (v for v in pod["volumes"] if v["name"] == "endpoints")
    assert mounted["secret"]["items"] == [{"key": "list", "path": SECRET_ENDPOINTS.name}]
    places = {m["name"]: m["mountPath"] for m in pod["containers"][0]["volumeMounts"]}
    assert places["endpoints"] == str(SECRET_ENDPOINTS.parent)


def test_a_shared_key_of_seeds_is_mounted_for_its_competition(make: Make) -> None:
    tasks = {"sources": [{"bfcl": {"categories": ["multiple"]}}], "count": 1}
    template = {"models": {"matchLabels": {}}, "tasks": tasks | {"secretRef": {"name": "shared", "key": "seed"}}}
    own, shared = ({"id": i, "schedule": {"everyBlocks": 9}} for i in ("own", "ours"))
    competitions = [own | {"round": template | {"tasks": tasks}}, shared | {"round": template}]
    pod = built(make, competitions=competitions)["Deployment"]["spec"]["template"]
    (mounted,) = (v for v in pod["spec"]["volumes"] if v["name"] == "seeds")
    source = {"name": "shared", "items": [{"key": "seed", "path": "ours"}]}
    assert mounted["projected"]["sources"] == [{"secret": source}]
    places = {m["name"]: m["mountPath"] for m in pod["spec"]["containers"][0]["volumeMounts"]}
    assert places["seeds"] == str(SEEDS_DIR)
    without = built(make)["Deployment"]["spec"]["template"]
    assert "seeds" not in {v["name"] for v in without["spec"]["volumes"]}
    assert pod["metadata"]["annotations"] != without["metadata"]["annotations"]
