"""From a model's answers to what scorers read: every syntax that the prompt's format accepts, written as BFCL writes calls."""

from __future__ import annotations

from collections.abc import Sequence

from bitagent_crds.fields import PromptFormat
from bitagent_crds.results import Language, Response, Task
from bitagent_evaluator.answers import normalise
from bitagent_evaluator.formats import prompt_format


def readable(tasks: Sequence[Task], responses: Sequence[Response], used: PromptFormat) -> list[Response]:
    """The responses, with all steps of conversations, with their calls in BFCL's syntax; what is no call in a syntax of the format stays.

    Raises ValueError for Auto, which is no format.
    """
    syntaxes = prompt_format(used).syntaxes
    languages = {task.id: task.language for task in tasks}

    def read(response: Response) -> Response:
        language = languages.get(response.id, Language.PYTHON)
        turns = [[normalise(step, syntaxes, language) for step in turn] for turn in response.turns]
        return response.model_copy(update={"text": normalise(response.text, syntaxes, language), "turns": turns})

    return [read(response) for response in responses]
