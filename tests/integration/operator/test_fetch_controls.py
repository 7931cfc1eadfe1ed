"""A model whose fetch always fails by its own cause, in a round in which nothing else is fetched."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.integration.operator.conftest import Exit, Obj, Outcomes, World

pytestmark = pytest.mark.integration

PLAN = "bitagent_operator.plan"


def test_it_fails_no_round_of_others(world: World, outcomes: Outcomes) -> None:
    """A model that was fetched long before is fetched again, which shows that fetching works."""
    verified: list[str] = []

    def script(pod: Obj, document: Obj) -> Exit | None:
        if document["kind"] == "Fetch" and document["repo"] == "org/bad-0":
            return outcomes.crashed(137, "", "OOMKilled")
        if document["kind"] == "Fetch" and document.get("verify"):
            verified.append(document["repo"])
        return outcomes.usual(pod, document)

    world.kubelet.script = script
    world.constants[f"{PLAN}.models.fetch_step:MAX_ATTEMPTS"] = 1
    world.constants["bitagent_operator.manifests.fetch:PODS"] = 1
    world.constants[f"{PLAN}.rounds.attribution:FETCH_PERIOD"] = timedelta(0)
    world.start_operator()
    world.model("good", repo="org/good-500")
    world.until_condition("minermodels", "good", "Fetched")
    world.model("bad", repo="org/bad-0")
    world.round("r")
    world.until_condition("evalrounds", "r", "Complete", seconds=120)
    results = world.results("r")
    assert (results["good"]["state"], results["bad"]["state"]) == ("Succeeded", "Unscored")
    assert results["bad"]["reason"] == "OutOfMemory"
    assert [each["model"] for each in world.get("evalrounds", "r")["status"]["fetchControls"]] == ["good"]
    assert verified == ["org/good-500"]
