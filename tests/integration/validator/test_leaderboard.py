"""The leaderboard of a complete round, published with the rights of a validator's pod and verified by anyone."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bitagent_evaluator.cli.leaderboard import main as leaderboard
from bitagent_local.chain import keys

pytestmark = pytest.mark.integration


def test_a_signed_leaderboard_of_each_complete_round(
    start_world: Callable[..., Any], eventually: Callable[..., Any], tmp_path: Path
) -> None:
    world = start_world()
    world.start()
    round_ = world.wait_round()
    results = [
        {"model": name, "state": "Succeeded", "reason": "Evaluated", "score": score, "rank": rank}
        for rank, (name, score) in enumerate([("a", "0.800000"), ("b", "0.400000")], start=1)
    ]
    finished = {"status": {"finishedAt": "2026-01-01T00:01:40Z"}}
    world.plane.api.merge(world.at("evalrounds", round_["metadata"]["name"]) + "/status", finished)
    world.report(round_, condition="Complete", results=results)
    name = f"{round_['metadata']['name']}-leaderboard"

    def published() -> Any:
        items = world.plane.api.get(world.at("configmaps", group="api/v1"))["items"]
        return next((item for item in items if item["metadata"]["name"] == name), None)

    eventually(published, what="the leaderboard is published")
    made = published()
    assert made["immutable"]
    assert [owner["uid"] for owner in made["metadata"]["ownerReferences"]] == [round_["metadata"]["uid"]]
    path = tmp_path / "leaderboard.json"
    path.write_text(made["data"]["leaderboard.json"])
    assert leaderboard(["verify", str(path), "--hotkey", keys.address("//Validator")]) == 0
    assert leaderboard(["verify", str(path), "--hotkey", keys.address("//a")]) == 3
