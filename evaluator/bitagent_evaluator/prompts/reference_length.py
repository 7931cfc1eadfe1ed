r"""The length of a conversation in tokens of a reference tokenizer, by which a model's prompts are bounded.

A model's own tokenizer and template decide how long its prompts are, and so what they cost. The reference counts what a
small byte-level BPE makes of a text, without having a vocabulary:

    four letters of ASCII   a token, those of a word together
    a digit                 a token
    another sign of ASCII   a token
    white space             a token for each run, except for one blank before a word
    any other character     two tokens, beyond U+FFFF four

Real vocabularies make 0.5 to 0.9 of it, a vocabulary of single bytes about twice as many for English and JSON.
"""

from __future__ import annotations

import json
import re

from bitagent_evaluator.prompts.base import ChatPrompt, RawPrompt

FACTOR, ALLOWANCE = 2, 4_096
"""A prompt has at most FACTOR times the reference's tokens of its conversation, and ALLOWANCE more.

The allowance is for what a template adds: instructions, a date, the layout of functions.
"""
_LETTERS_PER_TOKEN = 4
_PIECES = re.compile(r"(?P<word> ?[A-Za-z]+)|(?P<wide>[^\x00-\x7f]+)|\s+|[\x00-\x7f]")


def reference_tokens(text: str) -> int:
    """Return the number of tokens that the reference makes of a text."""
    return sum(map(_tokens, _PIECES.finditer(text)))


def _tokens(piece: re.Match[str]) -> int:
    if piece.lastgroup == "word":
        return -(-len(piece[0].lstrip(" ")) // _LETTERS_PER_TOKEN)
    if piece.lastgroup == "wide":
        return sum(2 if character <= "\uffff" else 4 for character in piece[0])
    return 1


def maximum_length(prompt: ChatPrompt | RawPrompt) -> int:
    """Return the maximum number of tokens of a prompt, by its conversation.

    A ready text, which no template of the model has written, may always have a token for each byte: a vocabulary of
    single bytes is a slow one, but no trick.
    """
    if isinstance(prompt, RawPrompt):
        return max(FACTOR * reference_tokens(prompt.text), len(prompt.text.encode())) + ALLOWANCE
    text = json.dumps([prompt.messages, prompt.tools or []], ensure_ascii=False)
    return FACTOR * reference_tokens(text) + ALLOWANCE
