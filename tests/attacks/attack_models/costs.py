"""Models that take memory, time or tokens, and one that answers nothing."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from attack_models.files import (
    BASE,
    TEMPLATE,
    base_tokenizer,
    copied,
    edit,
    llama_config,
    with_template,
    write_empty_llama,
    write_llama,
)  # fmt: skip

SIGN = "\U0001f53a"
"""One character, and four tokens of a tokenizer of bytes."""
CONTENTS = "{% for m in messages %}{{ m.content }}{% endfor %}"
VOCABULARY = 640
"""Of the base's tokenizer."""


def hungry(folder: Path, *, width: int = 192, heads: int = 6) -> Path:
    """Write 160 layers, whose keys and values take many times as much room as those of known models of their size.

    By default it has 50 million parameters.
    """
    config = llama_config(width=width, layers=160, heads=heads, head_dim=64, inner=width, vocabulary=VOCABULARY)
    return write_empty_llama(folder, config, tokenizer=base_tokenizer(), template=CONTENTS, end="<|im_end|>")


def long_prompts(folder: Path) -> Path:
    """Write a model whose template adds 6,000 tokens to each prompt."""
    return with_template(folder, CONTENTS + SIGN * 1500)


def endless(folder: Path) -> Path:
    """Write a model whose answers have no end."""
    copied(folder)
    for name in ("config.json", "generation_config.json"):
        edit(folder, name, lambda content: {**content, "eos_token_id": 0})
    edit(folder, "tokenizer_config.json", lambda content: {**content, "eos_token": "<|endoftext|>"})
    return folder


def silent(folder: Path) -> Path:
    """Write a model that ends every answer at once."""
    config = llama_config(width=64, layers=1, heads=1, head_dim=64, inner=32, vocabulary=VOCABULARY)
    config["eos_token_id"] = 2
    weights = {
        "model.embed_tokens.weight": np.ones((VOCABULARY, 64), np.float32),
        "lm_head.weight": np.eye(VOCABULARY, 1, -2, dtype=np.float32) @ np.ones((1, 64), np.float32),
    }
    template = (BASE / TEMPLATE).read_text()
    return write_llama(folder, config, weights, tokenizer=base_tokenizer(), template=template, end="<|im_end|>")
