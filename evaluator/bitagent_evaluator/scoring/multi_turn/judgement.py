"""From a response with its turns to a verdict: the leaderboard's rule for conversations, whichever scorer judges the other tasks."""

from __future__ import annotations

from typing import Self

from bitagent_crds.results import Conversation, Response, Task, Verdict
from bitagent_evaluator.answers import AnswerError
from bitagent_evaluator.scoring import judgement
from bitagent_evaluator.scoring.multi_turn.calls import executable
from bitagent_evaluator.scoring.multi_turn.simulation import Runaway, Simulation

NO_TURNS = "multi_turn:inference_error"
RUNAWAY = "multi_turn:runaway"


class Conversations:
    """Judges conversations. A context manager; the child behind it starts with the first one.

    Besides the official error types there are `ast_decoder:refused` (a step goes beyond what is read, see AnswerError.refused) and
    `multi_turn:runaway` (the calls used up their time or memory).
    """

    def __init__(self, simulation: Simulation | None = None) -> None:
        self._simulation = simulation or Simulation()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._simulation.close()

    def judge(self, task: Task, response: Response) -> Verdict:
        """The verdict on a whole conversation. Raises ChildLost when the machine, not the answer, fails."""
        if task.conversation is None:
            raise ValueError(f"task {task.id} is no conversation")
        return judgement.verdict(task, *self._error(task.conversation, response))

    def _error(self, conversation: Conversation, response: Response) -> tuple[str, str]:
        if not response.turns:
            return NO_TURNS, "the response holds no turns"
        try:
            turns = [[calls for step in turn if (calls := _calls(step))] for turn in response.turns]
            return self._simulation.check(conversation, turns)
        except AnswerError as refusal:
            return judgement.REFUSED, str(refusal)
        except Runaway as error:
            return RUNAWAY, str(error)


def _calls(step: str) -> list[str]:
    """The calls of a step; none where it holds none that can be read. Raises AnswerError for a step that is refused."""
    try:
        return executable(step)
    except AnswerError as error:
        if error.refused:
            raise
        return []
