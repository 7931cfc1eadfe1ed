"""What the formats that write a prompt's whole text share: the question in BFCL's words, and the conversation as pairs of turns.

Functions and instructions are those of the format `Bfcl`, so that these formats differ from it in the layout only. Besides Python calls they
accept what the models trained on these layouts also write.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from bitagent_crds.results import Task
from bitagent_evaluator.answers import AnswerSyntax
from bitagent_evaluator.formats.bfcl import Bfcl
from bitagent_evaluator.formats.chat import RawPrompt

SYNTAXES = (AnswerSyntax.PYTHON, AnswerSyntax.FUNCTION_PARAMS, AnswerSyntax.REWOO)


@dataclass(frozen=True)
class Exchange:
    """What the user says and what the assistant answered."""

    user: str
    assistant: str | None
    """None in the last exchange, whose answer is asked for."""


@dataclass(frozen=True)
class Conversation:
    """A system text, which may be empty, and exchanges; there is at least one."""

    system: str
    exchanges: list[Exchange]


class Layout(Protocol):
    """Base of these formats: a subclass lays out a conversation."""

    syntaxes: Sequence[str] = SYNTAXES
    uses_template: bool = False
    stop_tokens: Sequence[str] = ()

    def text(self, conversation: Conversation) -> str:
        """The prompt up to where the answer begins, without what the tokenizer adds."""
        ...

    def chat(self, task: Task) -> RawPrompt:
        """The laid-out question."""
        return RawPrompt(self.text(conversation(Bfcl().chat(task).messages)))


def conversation(messages: Sequence[dict[str, Any]]) -> Conversation:
    """Messages as a conversation. Neighbours on one side are one turn; results of tools and later system messages are on the user's."""
    system = ""
    if messages and messages[0]["role"] == "system":
        system, messages = str(messages[0]["content"]), messages[1:]
    exchanges: list[Exchange] = []
    asked = ""
    for is_answer, turn in itertools.groupby(messages, key=lambda message: message["role"] == "assistant"):
        said = "\n\n".join(str(message["content"]) for message in turn)
        if is_answer:
            exchanges.append(Exchange(asked, said))
            asked = ""
        else:
            asked = said
    return Conversation(system, [*exchanges, Exchange(asked, None)])
