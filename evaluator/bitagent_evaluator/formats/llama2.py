"""Format `Llama2`: `[INST]` turns, the system text between `<<SYS>>` marks in the first.

The tokenizer begins the text with its own token; between exchanges stand Llama 2's `</s>` and `<s>`, which another tokenizer takes for plain text.
"""

from __future__ import annotations

from bitagent_evaluator.formats.layout import Conversation, Layout


class Llama2(Layout):
    """`[INST]` and `<<SYS>>`."""

    def text(self, conversation: Conversation) -> str:
        """The prompt."""
        written, system = "", conversation.system and f"<<SYS>>\n{conversation.system}\n<</SYS>>\n\n"
        for exchange in conversation.exchanges:
            written += f"[INST] {system}{exchange.user} [/INST]"
            system = ""
            if exchange.assistant is not None:
                written += f" {exchange.assistant} </s><s>"
        return written
