"""A transcript as lines of a run, one for each miner, with the names that the BitAgent subnet's validator uses. Pure.

Of those names these are left out: what the chain says about each miner anyway, and statuses of the old wire.
"""

from __future__ import annotations

import statistics
from collections.abc import Mapping
from typing import Any

TEXT_MAX = 1000
"""Characters of a text that are sent."""


def rows_of(transcript: Mapping[str, Any], *, validator_uid: int | None, version: str) -> list[dict[str, Any]]:
    """Return the lines of one step; none for a step that did not count."""
    if not transcript["counts"]:
        return []
    miners, task = transcript["miners"], transcript.get("task") or {}
    means = [miner["mean"] for miner in miners if miner["mean"] is not None]
    messages = [{**message, "content": message["content"][:TEXT_MAX]} for message in task.get("messages", ())]
    common = {
        "task_name": task.get("id", ""),
        "task_mode": "online",
        "messages": messages,
        "messages_count": len(messages),
        "tools": task.get("tools", []),
        "tools_count": len(task.get("tools", ())),
        "miners_count": len(miners),
        "highest_score_for_miners_with_this_validator": max(means, default=None),
        "median_score_for_miners_with_this_validator": statistics.median(means) if means else None,
        "validator_uid": validator_uid,
        "val_spec_version": version,
        "competition_version": transcript["competition"],
        "block": transcript["block"],
    }
    return [_row(common, miner) for miner in miners]


def _row(common: Mapping[str, Any], miner: Mapping[str, Any]) -> dict[str, Any]:
    criteria = miner.get("criteria", ())
    results = [f"{c['name']}: {c['points']:g} of {c['maximum']:g} {c['detail']}".strip() for c in criteria]
    row = {
        **common,
        "miner_uid": miner["uid"],
        "miner_hotkey": miner["hotkey"],
        "outcome": miner["outcome"],
        "score": sum(c["points"] for c in criteria) if criteria else miner["score"],
        "normalized_score": miner["score"],
        "average_score_for_miner_with_this_validator": miner["mean"],
        "response": miner.get("response", "")[:TEXT_MAX],
        "results": "\n".join(results)[:TEXT_MAX],
        "dendrite_process_time": miner.get("seconds"),
    }
    return {name: value for name, value in row.items() if value is not None}
