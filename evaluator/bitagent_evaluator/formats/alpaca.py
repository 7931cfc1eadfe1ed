"""Format `Alpaca`: one instruction and a response heading, without special tokens.

The system text stands in the first instruction. Earlier exchanges of a conversation are earlier pairs of instruction and response.
"""

from __future__ import annotations

from bitagent_evaluator.formats.layout import Conversation, Layout

_PREAMBLE = (
    "Below is an instruction that describes a task. Write a response that appropriately completes the request.\n\n"
)


class Alpaca(Layout):
    """`### Instruction:` and `### Response:`."""

    def text(self, conversation: Conversation) -> str:
        """The prompt."""
        written, system = _PREAMBLE, conversation.system and f"{conversation.system}\n\n"
        for exchange in conversation.exchanges:
            written += f"### Instruction:\n{system}{exchange.user}\n\n### Response:\n"
            system = ""
            if exchange.assistant is not None:
                written += f"{exchange.assistant}\n\n"
        return written
