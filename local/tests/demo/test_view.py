"""Tables of the demo."""

from __future__ import annotations

from bitagent_local.demo.view import leaderboard

SECONDS = {"load": "7.036", "generate": "1.317"}


def test_seconds_are_those_of_whole_evaluations() -> None:
    results = [
        {"model": "good", "state": "Succeeded", "rank": 1, "score": "0.5", "passed": 5, "seconds": SECONDS},
        {"model": "bad", "state": "ModelFault", "rank": 2, "score": "0.0", "reason": "X", "seconds": SECONDS},
    ]
    status = {"taskSet": {"count": 10, "digest": "sha256:" + "a" * 64}, "results": results}
    table = leaderboard({"metadata": {"name": "r"}, "status": status})
    cells = {column.header: list(column.cells) for column in table.columns}
    assert cells["model"] == ["good", "bad"]
    assert cells["load s"] == ["7.036", ""]
    assert cells["answer s"] == ["1.317", ""]
