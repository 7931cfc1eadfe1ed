"""Format `ChatML`: turns between `<|im_start|>` and `<|im_end|>`, whatever template the model ships.

An answer ends at `<|im_end|>` where the tokenizer knows that token, even if the model's files name another end.
"""

from __future__ import annotations

from bitagent_evaluator.formats.layout import Conversation, Layout

_START, _END = "<|im_start|>", "<|im_end|>"


class ChatML(Layout):
    """`<|im_start|>role` and `<|im_end|>`."""

    stop_tokens = (_END,)

    def text(self, conversation: Conversation) -> str:
        """The prompt."""
        written = f"{_START}system\n{conversation.system}{_END}\n" if conversation.system else ""
        for exchange in conversation.exchanges:
            written += f"{_START}user\n{exchange.user}{_END}\n{_START}assistant\n"
            if exchange.assistant is not None:
                written += f"{exchange.assistant}{_END}\n"
        return written
