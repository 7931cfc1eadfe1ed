"""Copying attention heads in a new model."""

from __future__ import annotations

from typing import Any


def test_copy_heads_look_back(training: Any, reader_tokenizer: Any) -> None:
    torch = training.torch
    model = training.train_benchmark.new_model(reader_tokenizer, copies=True).eval()
    model.set_attn_implementation("eager")
    ids = torch.randint(3, len(reader_tokenizer), (1, 200), generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        attention = model(ids, output_attentions=True).attentions[0][0]
    for head in range(3):
        back = torch.diagonal(attention[head], offset=-(head + 1))
        assert back[5:].min() > 0.99
