"""Shared parts of all tiny Qwen2 models: special tokens, sizes, learning rate schedule, saving a checkpoint."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from transformers import Qwen2Config, Qwen2ForCausalLM

END = "<|im_end|>"
PADDING = "<|endoftext|>"
SPECIAL = [PADDING, "<|im_start|>", END]
LONGEST = 2048
"""Context length, in tokens."""
IGNORED = -100
"""Label of a token that no loss counts."""
HEAD_WIDTH = 32
"""Width of an attention head; the CPU kernels of inference engines support few others."""


@dataclass(frozen=True)
class Size:
    """The shape of a model."""

    hidden: int
    inner: int
    layers: int

    def config(self, tokenizer: Any, **more: Any) -> Any:
        """Return the architecture's config for a tokenizer's vocabulary and special tokens."""
        heads = self.hidden // HEAD_WIDTH
        return Qwen2Config(
            vocab_size=len(tokenizer),
            hidden_size=self.hidden,
            intermediate_size=self.inner,
            num_hidden_layers=self.layers,
            num_attention_heads=heads,
            num_key_value_heads=heads,
            max_position_embeddings=LONGEST,
            tie_word_embeddings=True,
            bos_token_id=None,
            eos_token_id=tokenizer.eos_token_id,
            pad_token_id=tokenizer.pad_token_id,
            attn_implementation="sdpa",
            **more,
        )


@dataclass(frozen=True)
class Schedule:
    """Length and speed of a training."""

    steps: int
    batch: int
    """Samples in a step."""
    rate: float
    """The highest learning rate."""

    def rate_at(self, step: int) -> float:
        """Return the learning rate: a linear rise over 100 steps, then half a cosine down to a twentieth."""
        progress = min(1.0, step / self.steps)
        return self.rate * min(1.0, step / 100) * (0.95 * 0.5 * (1 + math.cos(math.pi * progress)) + 0.05)


def save(model: Any, tokenizer: Any, path: Path) -> None:
    """Write a checkpoint in bfloat16; the model in training stays as it is."""
    tokenizer.save_pretrained(path)
    copy = Qwen2ForCausalLM(model.config)
    copy.load_state_dict(model.state_dict())
    copy.to(torch.bfloat16).save_pretrained(path)
