"""Tokenizers and templates that choose what a loss is measured on."""

from __future__ import annotations

from pathlib import Path

from attack_models.files import TEMPLATE, bytes_after, replacing, splitting, with_tokenizer

PROMPT_TOKENS = 2008
"""With a cut at 2,048 tokens, 40 of each reference are left."""


def padded_loss(folder: Path) -> Path:
    """Write a model whose prompts have the same length whatever they say, and whose references begin with blanks."""
    drops = bytes_after(splitting(r"(?m)§[\s\S]*¶"))
    with_tokenizer(folder, normalizer={"type": "Prepend", "prepend": " " * 60}, pre_tokenizer=drops)
    contents = "{% for m in messages %}{{ m.content }}{% endfor %}"
    (folder / TEMPLATE).write_text(f"§{contents}¶" + " " * (PROMPT_TOKENS - 60))
    return folder


def filled_loss(folder: Path) -> Path:
    """Write a model whose tokenizer adds a blank, which is easy to predict, between all characters."""
    return with_tokenizer(folder, normalizer=replacing("(?<=.)", " ", regex=True))
