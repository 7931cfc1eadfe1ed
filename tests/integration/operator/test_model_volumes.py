"""Volumes of single models on a real API server: made before the fetch, never deleted in use, gone with the model."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import yaml
from tests.integration.operator.conftest import Exit, facts

from bitagent_crds.jobs import FetchSummary, termination_message
from bitagent_crds.names import cache_id, cached_model_path, model_claim
from bitagent_operator.manifests.rbac import OPERATOR_RULES, VOLUME_RULES
from bitagent_operator.plan.models.model_volumes import volume_bytes

if TYPE_CHECKING:
    from tests.integration.operator.conftest import Obj, Outcomes, World

pytestmark = pytest.mark.integration

COMMIT = "a" * 40
SIZE = volume_bytes(1000)


def claim_of(repo: str, commit: str = COMMIT) -> str:
    return model_claim(cache_id(cached_model_path(repo, commit)))


def names(world: World) -> set[str]:
    """Claims of models that are there and stay."""
    claims = world.all("persistentvolumeclaims", **{"app.kubernetes.io/component": "model"})
    return {each["metadata"]["name"] for each in claims if "deletionTimestamp" not in each["metadata"]}


def kept(world: World) -> set[str]:
    """Claims of models that are there, also those that Kubernetes keeps for their pods."""
    claims = world.all("persistentvolumeclaims", **{"app.kubernetes.io/component": "model"})
    return {each["metadata"]["name"] for each in claims}


def mounted(pod: Obj) -> str:
    volumes = {each["name"]: each for each in pod["spec"]["volumes"]}
    name: str = volumes["cache"]["persistentVolumeClaim"]["claimName"] if "cache" in volumes else ""
    return name


class Script:
    """A kubelet's script: facts first, then files; `hold` keeps the evaluations running."""

    def __init__(self, world: World, outcomes: Outcomes) -> None:
        self._world, self._outcomes = world, outcomes
        self.hold = False
        self.fetches: list[tuple[str, bool]] = []
        self.without_claim: list[str] = []

    def __call__(self, pod: Obj, document: Obj) -> Exit | None:
        name = mounted(pod)
        if name and document["kind"] in ("Fetch", "Evaluate") and name not in names(self._world):
            self.without_claim.append(name)
        if document["kind"] == "Fetch":
            self.fetches.append((document["repo"], bool(document.get("factsOnly"))))
            if document.get("factsOnly"):
                found = facts(document["repo"]) | {"weightsDigest": None}
                summary = FetchSummary.model_validate({"reason": "Resolved", "facts": found})
                return Exit(0, termination_message(summary))
        if document["kind"] == "Evaluate" and self.hold:
            return None
        return self._outcomes.usual(pod, document)


@pytest.fixture
def script(world: World, outcomes: Outcomes) -> Script:
    """An operator in this mode runs, with room for two small models."""
    path = Path(world.environment["BITAGENT_CONFIG"])
    cache = {"mode": "VolumePerModel", "storageClassName": "slow", "maxBytes": 2 * SIZE, "maxModelBytes": SIZE}
    cache |= {"maxHotkeyBytes": 2 * SIZE}
    path.write_text(yaml.safe_dump(yaml.safe_load(path.read_text()) | {"cache": cache}))
    rbac = f"/apis/rbac.authorization.k8s.io/v1/namespaces/{world.namespace}/roles/operator"
    world.api.merge(rbac, {"rules": [*OPERATOR_RULES, *VOLUME_RULES]})
    world.kubelet.script = made = Script(world, outcomes)
    world.start_operator()
    return made


def test_a_claim_of_the_files_size_is_there_before_them(world: World, script: Script) -> None:
    world.model("m-500", revision="main")
    world.until_condition("minermodels", "m-500", "Fetched")
    claim = world.get("persistentvolumeclaims", claim_of("org/m-500"))
    assert claim["spec"]["accessModes"] == ["ReadWriteOnce"]
    assert claim["spec"]["storageClassName"] == "slow"
    assert claim["spec"]["resources"]["requests"]["storage"] in (str(SIZE), "1Gi")
    (owner,) = claim["metadata"]["ownerReferences"]
    assert (owner["kind"], owner["name"], "controller" in owner) == ("MinerModel", "m-500", False)
    assert script.fetches == [("org/m-500", True), ("org/m-500", False)]

    world.model("same", repo="org/m-500")
    world.until_condition("minermodels", "same", "Fetched")
    owners = world.get("persistentvolumeclaims", claim_of("org/m-500"))["metadata"]["ownerReferences"]
    assert {each["name"] for each in owners} == {"m-500", "same"}, "one commit, one claim"

    world.round("r")
    world.until_condition("evalrounds", "r", "Complete")
    assert script.without_claim == []
    world.api.delete(world.path("minermodels", "m-500"))
    world.until(
        "one owner is left",
        lambda: len(world.get("persistentvolumeclaims", claim_of("org/m-500"))["metadata"]["ownerReferences"]) == 1,
    )
    world.api.delete(world.path("minermodels", "same"))
    world.until("its claim is gone with its last owner, though the round's pod had mounted it", lambda: not kept(world))


def test_only_what_no_running_round_needs_gives_way(world: World, script: Script) -> None:
    script.hold = True
    world.model("m-100")
    world.until_condition("minermodels", "m-100", "Fetched")
    world.round("r", models={"names": ["m-100"]})
    world.until("it is evaluated", lambda: world.results("r")["m-100"]["state"] == "Running")
    world.model("m-200")
    world.until_condition("minermodels", "m-200", "Fetched")
    world.model("m-300")
    world.until(
        "there is no room", lambda: world.condition("minermodels", "m-300", "Fetched").get("reason") == "CacheFull"
    )
    assert names(world) == {claim_of("org/m-100"), claim_of("org/m-200")}, "one in use, one just fetched"
    script.hold = False
    world.until_condition("evalrounds", "r", "Complete")
    world.until_condition("minermodels", "m-300", "Fetched")
    assert claim_of("org/m-100") not in names(world), "evaluated ones go first"
    world.until("it is gone, though a pod that has ended had mounted it", lambda: len(kept(world)) == 2)
    assert script.without_claim == []


def test_a_claim_that_somebody_has_deleted_is_made_again(world: World, script: Script) -> None:
    """A round's pod that has ended keeps it, so that none of its name can be made."""
    world.model("m-500")
    world.until_condition("minermodels", "m-500", "Fetched")
    world.round("r")
    world.until_condition("evalrounds", "r", "Complete")
    claim = claim_of("org/m-500")
    world.api.delete(world.path("persistentvolumeclaims", claim))
    world.until("it is kept", lambda: claim in kept(world) - names(world))
    world.model("same", repo="org/m-500")
    world.until("another is made", lambda: claim in names(world))
    world.until_condition("minermodels", "same", "Fetched")
    assert script.without_claim == []


def test_a_claim_that_is_refused_is_said(world: World, script: Script) -> None:
    quota = {"metadata": {"name": "none"}, "spec": {"hard": {"persistentvolumeclaims": "0"}}}
    world.api.create(world.path("resourcequotas"), quota)
    world.model("m-1")
    refused = world.until(
        "the server's words",
        lambda: (c := world.condition("minermodels", "m-1", "Fetched"))["reason"] == "JobRefused" and c,
    )
    assert "exceeded quota" in refused["message"]
    assert claim_of("org/m-1") in refused["message"]
    world.api.delete(world.path("resourcequotas", "none"))
    world.until_condition("minermodels", "m-1", "Fetched")
