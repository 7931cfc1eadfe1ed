"""Jobs that are accepted while their pods are not: the Job's status says nothing of it, the round must."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.integration.operator.conftest import World

pytestmark = pytest.mark.integration


def test_pods_that_a_quota_refuses_are_reported(world: World) -> None:
    quota = {"metadata": {"name": "none"}, "spec": {"hard": {"pods": "0"}}}
    world.api.create(world.path("resourcequotas"), quota)
    world.until("quota in force", lambda: world.get("resourcequotas", "none")["status"]["hard"])
    world.start_operator()
    world.model("m-500")
    world.round("empty")

    def reported() -> bool:
        condition = world.condition("evalrounds", "empty", "TasksReady")
        return bool(condition["reason"] == "PodRefused" and "exceeded quota: none" in condition["message"])

    world.until("the round has the API server's words", reported)
    world.until(
        "so does the model",
        lambda: "exceeded quota: none" in world.condition("minermodels", "m-500", "Fetched")["message"],
    )
    waiting = [text for text in world.events_of("FetchFailed") if "exceeded quota: none" in text]
    assert len(waiting) == 1, "the pod of each try has another name"
    world.api.delete(world.path("resourcequotas", "none"))
    world.until_condition("evalrounds", "empty", "Complete")
