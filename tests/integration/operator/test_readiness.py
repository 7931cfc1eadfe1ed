"""What tools that know nothing of these kinds make of them: kstatus (Flux), `kubectl wait`; and models made again."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING, Any

import pytest

from bitagent_crds.names import COMPONENT_LABEL, Component

if TYPE_CHECKING:
    from tests.integration.operator.conftest import Outcomes, World

pytestmark = pytest.mark.integration
Obj = dict[str, Any]
HOTKEY, OTHER = "5CnxbRk7DKntFz5E8za9NxFmP253fShWWBj3xf5C8L5TnaMF", "5CzRdZLnRxWkyWoGZZbfvSCY4mbw1cmsow5q8cgZyGg1aiDq"


def kstatus(obj: Obj) -> str:
    """The status that kstatus computes of an object whose kind it does not know."""
    status = obj.get("status", {})
    conditions = {c["type"]: c["status"] for c in status.get("conditions", [])}
    if status.get("observedGeneration", obj["metadata"]["generation"]) != obj["metadata"]["generation"]:
        return "InProgress"
    if conditions.get("Reconciling") == "True":
        return "InProgress"
    if conditions.get("Stalled") == "True":
        return "Failed"
    return "Current" if conditions.get("Ready", "True") == "True" else "InProgress"


def until(world: World, plural: str, name: str, state: str) -> Obj:
    def reached() -> bool:
        return kstatus(world.get(plural, name)) == state

    world.until(f"{plural}/{name} is {state}", reached)
    return world.get(plural, name)


def never_evaluated(world: World) -> Any:
    """From now on evaluations run for ever; the script before."""
    usual = world.kubelet.script
    world.kubelet.script = lambda pod, document: None if document["kind"] == "Evaluate" else usual(pod, document)
    return usual


def test_a_round_is_in_progress_then_current(operator: World) -> None:
    usual = never_evaluated(operator)
    operator.model("m-375")
    operator.round("r")
    until(operator, "minermodels", "m-375", "Current")
    operator.until("it is evaluated", lambda: operator.results("r")["m-375"]["state"] == "Running")
    assert kstatus(operator.get("evalrounds", "r")) == "InProgress"
    operator.kubelet.script = usual
    wait = operator.plane.kubectl(f"--namespace={operator.namespace}", "wait", "--for=condition=Ready", "--timeout=90s")
    subprocess.run([*wait, "evalround/r"], check=True, capture_output=True)
    assert kstatus(operator.get("evalrounds", "r")) == "Current"


def test_what_only_a_change_of_the_spec_can_mend_has_failed(operator: World, outcomes: Outcomes) -> None:
    usual = operator.kubelet.script
    operator.kubelet.script = lambda pod, document: (
        outcomes.refused("NoSafetensors", "no weights") if document.get("repo") == "org/bad" else usual(pod, document)
    )
    operator.model("bad")
    found = until(operator, "minermodels", "bad", "Failed")
    assert {c["reason"] for c in found["status"]["conditions"] if c["type"] in ("Ready", "Stalled")} == {
        "NoSafetensors"
    }
    source = {"huggingFace": {"repo": "org/good", "revision": "a" * 40}}
    operator.api.merge(operator.path("minermodels", "bad"), {"spec": {"source": source}})
    mended = until(operator, "minermodels", "bad", "Current")
    assert mended["status"]["observedGeneration"] == mended["metadata"]["generation"] == 2


def test_a_change_of_how_a_round_is_run_is_observed(operator: World) -> None:
    never_evaluated(operator)
    operator.model("m-375")
    operator.round("r", suspend=True)
    operator.until("it is seen", lambda: operator.condition("evalrounds", "r", "Ready")["reason"] == "RoundSuspended")
    operator.api.merge(operator.path("evalrounds", "r"), {"spec": {"workload": {"nodeSelector": {"pool": "late"}}}})
    operator.until(
        "the generation is observed", lambda: operator.get("evalrounds", "r")["status"]["observedGeneration"] == 2
    )
    operator.api.merge(operator.path("evalrounds", "r"), {"spec": {"suspend": False}})
    (job,) = operator.until("a Job is made", lambda: operator.all("jobs", **{COMPONENT_LABEL: Component.EVALUATE}))
    assert job["spec"]["template"]["spec"]["nodeSelector"]["pool"] == "late"


def test_a_model_that_is_made_again_in_mid_round_is_another_object(operator: World) -> None:
    """Deleted and applied again from another repository, as `git revert` and prune do."""
    usual = never_evaluated(operator)
    first = operator.model("m", repo="org/first-100", miner={"hotkey": HOTKEY})
    operator.model("z", repo="org/z-200")
    operator.round("r")
    operator.until("the set is frozen", lambda: set(operator.results("r")) == {"m", "z"})
    operator.api.delete(operator.path("minermodels", "m"))
    operator.until("it is gone", lambda: not [o for o in operator.all("minermodels") if o["metadata"]["name"] == "m"])
    operator.model("m", repo="org/second-900", miner={"hotkey": OTHER})
    entry = operator.until(
        "its entry has ended", lambda: e if (e := operator.results("r")["m"])["state"] == "Rejected" else None
    )
    assert entry["reason"] in ("ModelReplaced", "ModelDeleted"), "deleted, if the operator looked in between"
    frozen = (entry["modelUid"], entry["hotkey"], entry["repo"])
    assert frozen == (first["metadata"]["uid"], HOTKEY, "org/first-100")
    operator.kubelet.script = usual
    operator.until_condition("evalrounds", "r", "Complete")
    assert "score" not in operator.results("r")["m"]
