"""Jobs that are accepted while their pods are not: the Job's status says nothing of it, the round must."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import yaml

if TYPE_CHECKING:
    from tests.integration.operator.conftest import World

pytestmark = pytest.mark.integration


def test_pods_that_a_quota_refuses_are_reported(world: World) -> None:
    path = Path(world.environment["BITAGENT_CONFIG"])
    path.write_text(yaml.safe_dump(yaml.safe_load(path.read_text()) | {"relistSeconds": 1, "unschedulableSeconds": 1}))
    quota = {"metadata": {"name": "none"}, "spec": {"hard": {"pods": "0"}}}
    world.api.create(world.path("resourcequotas"), quota)
    world.until("quota in force", lambda: world.get("resourcequotas", "none")["status"]["hard"])
    world.start_operator()
    world.model("m-500")
    world.round("empty")

    def reported() -> bool:
        condition = world.condition("evalrounds", "empty", "TasksReady")
        return bool(condition["reason"] == "InfrastructureFault" and "kubectl describe job" in condition["message"])

    world.until("the round says that there is no pod", reported)
    world.until(
        "so does the model",
        lambda: "describe job m-500-" in world.condition("minermodels", "m-500", "Fetched")["message"],
    )
    world.api.delete(world.path("resourcequotas", "none"))
    world.until_condition("evalrounds", "empty", "Complete")
