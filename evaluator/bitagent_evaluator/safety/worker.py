"""The judgement inside the bounded child: bytes in, plain data out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bitagent_evaluator.safety.evidence import Evidence, Judgement
from bitagent_evaluator.safety.judge import judge


class SafetyWorker:
    """Answers one kind of request: `{"sizes": {...}, "weights": [names of the blobs that are headers]}`."""

    def handle(self, body: dict[str, Any], blobs: Mapping[str, bytes]) -> dict[str, Any]:
        """The judgement as plain data."""
        weights = set(body["weights"])
        evidence = Evidence(
            sizes=body["sizes"],
            small={name: blob for name, blob in blobs.items() if name not in weights},
            headers={name: blob for name, blob in blobs.items() if name in weights},
        )
        return to_plain(judge(evidence))


def to_plain(judgement: Judgement) -> dict[str, Any]:
    """The judgement as JSON types."""
    return {**judgement.__dict__, "refusal": list(judgement.refusal) if judgement.refusal else None}
