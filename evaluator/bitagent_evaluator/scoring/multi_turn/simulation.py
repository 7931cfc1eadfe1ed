"""Execute and check the calls of conversations in a sandbox, which starts with the first of them.

`ConversationChecker` is the leaderboard's rule for conversations, whichever scorer is used for the other tasks.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Self

from bitagent_crds.results import Verdict
from bitagent_crds.task_forms import MemoryBackend
from bitagent_crds.task_set import Conversation, Task
from bitagent_evaluator.parsing import AnswerError, ParsedAnswer, ParsedResponse, Unreadable
from bitagent_evaluator.parsing.render import executable_calls
from bitagent_evaluator.sandbox.process import InputFault, ResidentSandbox
from bitagent_evaluator.sandbox.protocol import Limits
from bitagent_evaluator.scoring.base import REFUSED, pass_fail
from bitagent_evaluator.scoring.multi_turn.memory import system_name
from bitagent_evaluator.scoring.multi_turn.memory_answers import check_memory_answer

_WORKER = "bitagent_evaluator.scoring.multi_turn.worker:SimulationWorker"
SETTING = {"classes", "initial_state", "ground_truth", "long_context"}
"""Members of a conversation that the worker needs, its `Setting`."""
LIMITS = Limits(memory_bytes=1 << 30, cpu_seconds=1.0, answer_bytes=32 << 20)
"""An ordinary conversation takes some milliseconds and a few megabytes."""
VECTOR_SECONDS = 60.0
"""Additional processor time of a request with a memory by vectors: to load the model, and to embed what it holds."""
_VECTORS = system_name(MemoryBackend.VECTOR)
NO_TURNS = "multi_turn:inference_error"
RUNAWAY = "multi_turn:runaway"


class Runaway(Exception):
    """The calls took more time or memory than they may, or broke the simulation; the text says which."""


class Simulation:
    """A context manager. Requests are independent of each other: one that ends the process does not affect others."""

    def __init__(self, limits: Limits = LIMITS) -> None:
        self.sandbox = ResidentSandbox(_WORKER, limits)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End the process, if one runs; a later request starts another."""
        self.sandbox.close()

    def execute(self, conversation: Conversation, steps: Sequence[Sequence[str]]) -> list[str]:
        """Execute `steps` on fresh systems; return the results of the last step's calls.

        Raises Runaway or SandboxUnavailable.
        """
        results: list[str] = self._call({"do": "execute", "steps": steps}, conversation)["results"]
        return results

    def check(self, conversation: Conversation, turns: Sequence[Sequence[Sequence[str]]]) -> tuple[str, str]:
        """Return the official error type, empty if the conversation passed, and an explanation.

        Raises Runaway or SandboxUnavailable.
        """
        answer = self._call({"do": "check", "turns": turns}, conversation)
        return answer["error"], answer["detail"]

    def remember(self, conversation: Conversation, steps: Sequence[Sequence[str]]) -> tuple[dict[str, Any], str]:
        """Return what the conversation's memory holds after `steps`, and what a model is shown of it.

        The conversation has one system, a memory. Raises Runaway or SandboxUnavailable.
        """
        answer = self._call({"do": "remember", "steps": steps}, conversation)
        return answer["content"], answer["shown"]

    def _call(self, request: dict[str, Any], conversation: Conversation) -> dict[str, Any]:
        setting = conversation.model_dump(mode="json", include=SETTING)
        try:
            more = VECTOR_SECONDS if _VECTORS in conversation.classes else 0.0
            return self.sandbox.call(request | {"setting": setting}, extra_cpu_seconds=more)
        except InputFault as fault:
            raise Runaway(f"executing the calls: {fault.message}") from None


class ConversationChecker:
    """Checks conversations. A context manager; the child process behind it starts with the first one.

    Besides the official error types there are `ast_decoder:refused` (a step is refused, see Unreadable.REFUSED) and
    `multi_turn:runaway` (the calls used up their time or memory).
    """

    def __init__(self, simulation: Simulation | None = None) -> None:
        self._simulation = simulation or Simulation()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._simulation.close()

    def check(self, task: Task, response: ParsedResponse) -> Verdict:
        """Return the verdict on a whole conversation, or on the answer to a question about a memory.

        Raises SandboxUnavailable if the machine fails.
        """
        if task.memory is not None:
            return pass_fail(task, *check_memory_answer(task.memory, response))
        if task.conversation is None:
            raise ValueError(f"task {task.id} is not a conversation")
        return pass_fail(task, *self._error(task.conversation, response))

    def _error(self, conversation: Conversation, response: ParsedResponse) -> tuple[str, str]:
        """Error and detail; empty if the conversation passes."""
        if not response.turns:
            return NO_TURNS, "the response holds no turns"
        refused = next(
            (step for turn in response.turns for step in turn if step.unreadable is Unreadable.REFUSED), None
        )
        if refused is not None:
            return REFUSED, refused.detail
        turns = [[calls for step in turn if (calls := _calls(step))] for turn in response.turns]
        try:
            return self._simulation.check(conversation, turns)
        except Runaway as error:
            return RUNAWAY, str(error)


def _calls(step: ParsedAnswer) -> list[str]:
    """The sources of the calls of a step; none if it has none that can be read or executed."""
    try:
        return executable_calls(step.calls or [])
    except AnswerError:
        return []
