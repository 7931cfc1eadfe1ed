"""Format `Vicuna`: `USER:` and `ASSISTANT:` turns on lines of their own after a system text, without special tokens.

No space follows the last colon: tokenizers put a word's space before the word, so the model writes it.
"""

from __future__ import annotations

from bitagent_evaluator.formats.layout import Conversation, Layout


class Vicuna(Layout):
    """`USER:` and `ASSISTANT:`."""

    def text(self, conversation: Conversation) -> str:
        """The prompt."""
        written = conversation.system and f"{conversation.system}\n"
        for exchange in conversation.exchanges:
            written += f"USER: {exchange.user}\nASSISTANT:"
            if exchange.assistant is not None:
                written += f" {exchange.assistant}\n"
        return written
