"""A Validator's objects: one pod at a time, replaced only if it must be, with rights on its own ConfigMap alone."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from bitagent_crds.examiner import EXAMINER_SOCKET
from bitagent_crds.names import ARTIFACTS_MOUNT, hotkey_lease, turn_lease
from bitagent_crds.tracking import TRACKING_KEY_FILE
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


def test_a_slow_start_is_not_ended(make: Make) -> None:
    """A pod that is ended while it starts, again and again, never sets weights."""
    container = built(make)["Deployment"]["spec"]["template"]["spec"]["containers"][0]
    startup, liveness = container["startupProbe"], container["livenessProbe"]
    assert startup["httpGet"] == liveness["httpGet"]
    assert startup["periodSeconds"] * startup["failureThreshold"] >= 300
    assert startup["periodSeconds"] <= 1, "readiness is not asked before it has succeeded"


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
    own = ["v-scores", "v-scores-main", *(f"v-scores.{mechanism}" for mechanism in range(1, 8))]
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


def test_the_key_of_tracking_is_mounted_and_not_needed(make: Make) -> None:
    """A pod that waits for it would set no weights."""
    tracking = {"wandb": {"project": "p", "apiKeySecretRef": {"name": "wandb", "key": "token"}}}
    pod = built(make, tracking=tracking)["Deployment"]["spec"]["template"]["spec"]
    (mounted,) = (v["secret"] for v in pod["volumes"] if v["name"] == "tracking")
    assert mounted["optional"] is True
    (mount,) = (m for m in pod["containers"][0]["volumeMounts"] if m["name"] == "tracking")
    assert f"{mount['mountPath']}/{mounted['items'][0]['path']}" == TRACKING_KEY_FILE
    assert mounted["items"][0]["key"] == "token"
    offline = built(make, tracking={"wandb": {"project": "p", "mode": "Offline"}})["Deployment"]
    assert "tracking" not in {v["name"] for v in offline["spec"]["template"]["spec"]["volumes"]}


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


def online(make: Make, **config: Any) -> Obj:
    competitions = [{**each, "online": {}} for each in make.validator().spec.to_wire()["competitions"]]
    objects = validator_objects(make.config(**config), make.validator(competitions=competitions))
    deployment = next(each for each in objects if each["kind"] == "Deployment")
    pod: Obj = deployment["spec"]["template"]["spec"]
    return pod


def containers(pod: Obj) -> dict[str, Obj]:
    return {each["name"]: each for each in pod["containers"]}


def mounts(container: Obj) -> dict[str, Obj]:
    return {each["mountPath"]: each for each in container["volumeMounts"]}


API_ACCESS = "/var/run/secrets/kubernetes.io/serviceaccount"


def test_an_examiner_beside_a_validator_that_asks_online(make: Make) -> None:
    examiner = containers(online(make))["examiner"]
    assert examiner["image"] == "e:1"
    command = ["bitagent-eval", "examiner", "--socket", EXAMINER_SOCKET, "--artifacts", ARTIFACTS_MOUNT]
    assert examiner["command"] == command
    assert "initContainers" not in online(make), "the validator starts without it"


def test_no_other_validator_has_one(make: Make) -> None:
    pod = built(make)["Deployment"]["spec"]["template"]["spec"]
    assert list(containers(pod)) == ["validator"]
    assert {v["name"] for v in pod["volumes"]} == {"wallet", "tmp"}
    assert "automountServiceAccountToken" not in pod


def test_the_examiner_has_neither_key_nor_token(make: Make) -> None:
    """The kubelet gives a pod's token to all of its containers, unless the pod says how it is mounted."""
    pod = online(make)
    assert pod["automountServiceAccountToken"] is False
    validator, examiner = (mounts(containers(pod)[name]) for name in ("validator", "examiner"))
    shared = {each["name"] for each in validator.values()} & {each["name"] for each in examiner.values()}
    assert shared == {"examiner"}
    assert validator[API_ACCESS]["readOnly"]
    volumes = {each["name"]: each for each in pod["volumes"]}
    sources = [next(iter(each)) for each in volumes["api-access"]["projected"]["sources"]]
    assert sources == ["serviceAccountToken", "configMap", "downwardAPI"]
    assert set(examiner) == {EXAMINER_SOCKET.rpartition("/")[0], ARTIFACTS_MOUNT, "/tmp"}


def test_the_examiner_is_restricted_and_bounded(make: Make) -> None:
    pod = online(make)
    examiner = containers(pod)["examiner"]
    assert examiner["securityContext"] == containers(pod)["validator"]["securityContext"]
    assert examiner["securityContext"]["readOnlyRootFilesystem"] is True
    assert examiner["resources"]["limits"] == {"memory": "1Gi", "cpu": "1"}
    assert mounts(examiner)[ARTIFACTS_MOUNT]["readOnly"] is True
    volumes = {each["name"]: each for each in pod["volumes"]}
    assert volumes["artifacts"]["persistentVolumeClaim"] == {"claimName": "artifacts", "readOnly": True}
    assert volumes["examiner"]["emptyDir"]["medium"] == "Memory"
    assert "hostNetwork" not in pod


def test_settings_of_the_examiner(make: Make) -> None:
    settings = {
        "resources": {"memory": "2Gi"},
        "env": [{"name": "PYTHONPATH", "value": "/opt/site"}],
        "volumes": [{"name": "site", "emptyDir": {}}],
        "volumeMounts": [{"name": "site", "mountPath": "/opt/site"}],
    }
    images = {"evaluator": "e:1", "validator": "v:1", "examiner": "thin:1"}
    pod = online(make, validator={"examiner": settings}, images=images)
    examiner = containers(pod)["examiner"]
    assert (examiner["image"], examiner["resources"]["limits"]["memory"]) == ("thin:1", "2Gi")
    assert {"name": "PYTHONPATH", "value": "/opt/site"} in examiner["env"]
    assert "/opt/site" in mounts(examiner)
    assert "/opt/site" not in mounts(containers(pod)["validator"])
    assert "site" in {each["name"] for each in pod["volumes"]}
