"""How a model can be spoken to over several turns, found out by asking its template."""

from __future__ import annotations

from typing import Any

from bitagent_crds.results import Task
from bitagent_evaluator.formats import Chat
from bitagent_evaluator.rendering.prompts import Refusal
from bitagent_evaluator.runs.asking.dialogue import Manner
from bitagent_evaluator.runs.asking.wording import Wording

_ASKED: list[dict[str, Any]] = [{"role": "user", "content": "0"}]
_CALLED: dict[str, Any] = {"role": "assistant", "content": "[f()]"}


def manner_of(task: Task, wording: Wording) -> Manner:
    """The manner for a format and a model; `task` is any of those that are asked. Raises ModelFault.

    A template knows the role `tool` if it accepts such a message and two prompts with different results differ: some templates raise on roles that they
    do not know, others leave their messages out.
    """
    prompt = wording.format.chat(task)
    if not isinstance(prompt, Chat):
        return Manner(functions_as_tools=False, tool_role=False)
    return Manner(functions_as_tools=prompt.tools is not None, tool_role=_shows_results(task, wording))


def _shows_results(task: Task, wording: Wording) -> bool:
    histories = [[*_ASKED, _CALLED, {"role": "tool", "name": "f()", "content": result}] for result in ("0", "0 0 0 0")]
    chats = [wording.format.chat(task.model_copy(update={"messages": history})) for history in histories]
    one, other = wording.write(chats)
    return not isinstance(one, Refusal) and one != other
