"""Copying attention heads in a new model."""

from __future__ import annotations

from typing import Any

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")

from bitagent_local.models.training.tokenizer import reader_tokenizer  # noqa: E402
from bitagent_local.models.training.train_benchmark import new_model  # noqa: E402


@pytest.fixture(scope="module")
def tokenizer() -> Any:
    return reader_tokenizer()


def test_copy_heads_look_back(tokenizer: Any) -> None:
    model = new_model(tokenizer, copies=True).eval()
    model.set_attn_implementation("eager")
    ids = torch.randint(3, len(tokenizer), (1, 200), generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        attention = model(ids, output_attentions=True).attentions[0][0]
    for head in range(3):
        back = torch.diagonal(attention[head], offset=-(head + 1))
        assert back[5:].min() > 0.99
