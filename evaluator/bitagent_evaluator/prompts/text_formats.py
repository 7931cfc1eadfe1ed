"""Formats that write the whole text of a prompt: `Alpaca`, `Vicuna`, `ChatML`, `Llama2`.

Functions and instructions are those of format `Bfcl`, so that these formats differ from it in the layout only. Besides
Python calls they accept what models trained on these layouts also write.
"""

from __future__ import annotations

import itertools
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from bitagent_crds.task_set import Task
from bitagent_evaluator.parsing import AnswerSyntax
from bitagent_evaluator.prompts.base import RawPrompt
from bitagent_evaluator.prompts.chat_formats import Bfcl


@dataclass(frozen=True)
class Exchange:
    """One turn of the user and the assistant's answer to it."""

    user: str
    assistant: str | None
    """None in the last exchange, whose answer is to be generated."""


@dataclass(frozen=True)
class Transcript:
    """A system text, which may be empty, and at least one exchange."""

    system: str
    exchanges: list[Exchange]

    @classmethod
    def from_messages(cls, messages: Sequence[dict[str, Any]]) -> Transcript:
        """Group messages into exchanges.

        Adjacent messages of one side are one turn; tool results and later system messages belong to the user's side.
        """
        system = ""
        if messages and messages[0]["role"] == "system":
            system, messages = str(messages[0]["content"]), messages[1:]
        exchanges: list[Exchange] = []
        user = ""
        for is_answer, turn in itertools.groupby(messages, key=lambda message: message["role"] == "assistant"):
            text = "\n\n".join(str(message["content"]) for message in turn)
            if is_answer:
                exchanges.append(Exchange(user, text))
                user = ""
            else:
                user = text
        return cls(system, [*exchanges, Exchange(user, None)])


class TextLayout(ABC):
    """Base of these formats: a subclass lays out a transcript."""

    syntaxes: Sequence[AnswerSyntax] = (AnswerSyntax.PYTHON, AnswerSyntax.FUNCTION_PARAMS, AnswerSyntax.REWOO)
    uses_template: bool = False
    stop_tokens: Sequence[str] = ()

    @abstractmethod
    def lay_out(self, transcript: Transcript) -> str:
        """Return the prompt up to where the answer begins, without what the tokenizer adds."""

    def build_prompt(self, task: Task) -> RawPrompt:
        """Return the laid-out prompt of format `Bfcl`."""
        return RawPrompt(self.lay_out(Transcript.from_messages(Bfcl().build_prompt(task).messages)))


_PREAMBLE = (
    "Below is an instruction that describes a task. Write a response that appropriately completes the request.\n\n"
)


class Alpaca(TextLayout):
    """One instruction and a response heading, without special tokens.

    The system text precedes the first instruction. Earlier exchanges are earlier pairs of instruction and response.
    """

    def lay_out(self, transcript: Transcript) -> str:
        """Return `### Instruction:` and `### Response:` sections."""
        text, system = _PREAMBLE, transcript.system and f"{transcript.system}\n\n"
        for exchange in transcript.exchanges:
            text += f"### Instruction:\n{system}{exchange.user}\n\n### Response:\n"
            system = ""
            if exchange.assistant is not None:
                text += f"{exchange.assistant}\n\n"
        return text


class Vicuna(TextLayout):
    """`USER:` and `ASSISTANT:` turns on lines of their own after a system text, without special tokens.

    No space follows the last colon: tokenizers put a word's space before the word, so the model writes it.
    """

    def lay_out(self, transcript: Transcript) -> str:
        """Return `USER:` and `ASSISTANT:` lines."""
        text = transcript.system and f"{transcript.system}\n"
        for exchange in transcript.exchanges:
            text += f"USER: {exchange.user}\nASSISTANT:"
            if exchange.assistant is not None:
                text += f" {exchange.assistant}\n"
        return text


_START, _END = "<|im_start|>", "<|im_end|>"


class ChatML(TextLayout):
    """Turns between `<|im_start|>` and `<|im_end|>`, whatever template the model ships.

    An answer ends at `<|im_end|>` if the tokenizer knows that token, even if the model's files name another end.
    """

    stop_tokens = (_END,)

    def lay_out(self, transcript: Transcript) -> str:
        """Return `<|im_start|>role` and `<|im_end|>` turns."""
        text = f"{_START}system\n{transcript.system}{_END}\n" if transcript.system else ""
        for exchange in transcript.exchanges:
            text += f"{_START}user\n{exchange.user}{_END}\n{_START}assistant\n"
            if exchange.assistant is not None:
                text += f"{exchange.assistant}{_END}\n"
        return text


class Llama2(TextLayout):
    """`[INST]` turns, the system text between `<<SYS>>` marks in the first.

    The tokenizer adds its own beginning of the text. Llama 2's `</s>` and `<s>` separate exchanges; another tokenizer
    reads them as plain text.
    """

    def lay_out(self, transcript: Transcript) -> str:
        """Return `[INST]` turns."""
        text, system = "", transcript.system and f"<<SYS>>\n{transcript.system}\n<</SYS>>\n\n"
        for exchange in transcript.exchanges:
            text += f"[INST] {system}{exchange.user} [/INST]"
            system = ""
            if exchange.assistant is not None:
                text += f" {exchange.assistant} </s><s>"
        return text
