"""Whole rounds on a real API server, with Jobs that a double of the kubelet ends."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.integration.conftest import World

pytestmark = pytest.mark.integration


def test_a_round_ranks_its_models(operator: World) -> None:
    for score in ("250", "750", "500"):
        operator.model(f"m-{score}")
    operator.round("first")
    done = operator.until_condition("evalrounds", "first", "Complete")
    status = done["status"]
    ranks = {r["model"]: (r["rank"], r["score"]) for r in status["results"]}
    assert ranks == {"m-750": (1, "0.750000"), "m-500": (2, "0.500000"), "m-250": (3, "0.250000")}
    assert (status["phase"], status["progress"], status["best"]) == ("Complete", "3/3", "m-750 0.750000")
    assert status["counts"]["succeeded"] == 3
    assert status["leaderboardDigest"].startswith("sha256:")
    latest = operator.until("score on the model", lambda: operator.get("minermodels", "m-750")["status"]["latest"])
    assert latest["rank"] == 1
    assert latest["round"] == "first"
