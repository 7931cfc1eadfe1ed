"""The far side: executes and checks calls in a bounded child.

Nothing is kept between requests. A step is executed after all steps before it, on fresh systems, so that a child which had to be killed for one
conversation takes nothing from the others.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bitagent_crds.results import Conversation
from bitagent_evaluator.scoring.multi_turn.checking import check
from bitagent_evaluator.scoring.multi_turn.systems import Systems, load_systems


class SimulationWorker:
    """Answers `{"do": "execute", "steps"}` with the results of the last step, and `{"do": "check", "turns"}` with the official error; both name a conversation."""

    def __init__(self) -> None:
        load_systems()  # imports are no request's time

    def handle(self, body: dict[str, Any], blobs: Mapping[str, bytes]) -> dict[str, Any]:
        """Answer one request."""
        conversation = Conversation.model_validate(body["conversation"])
        if body["do"] == "check":
            error, detail = check(conversation, body["turns"])
            return {"error": error, "detail": detail}
        systems = Systems(conversation.classes, conversation.initial_state, long_context=conversation.long_context)
        results: list[str] = []
        for step in body["steps"]:
            results = [systems.run(source) for source in step]
        return {"results": results}
