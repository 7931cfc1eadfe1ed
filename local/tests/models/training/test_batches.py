"""Rows of several questions train as if each were asked alone."""

from __future__ import annotations

import random
from typing import Any

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")

from bitagent_local.models.training.batches import Batch, Copying, Encoder, Row, batch  # noqa: E402
from bitagent_local.models.training.generators import reading_lessons  # noqa: E402
from bitagent_local.models.training.qwen2 import IGNORED  # noqa: E402
from bitagent_local.models.training.tokenizer import reader_tokenizer  # noqa: E402
from bitagent_local.models.training.train_benchmark import new_model  # noqa: E402


@pytest.fixture(scope="module")
def tokenizer() -> Any:
    return reader_tokenizer()


@pytest.fixture(scope="module")
def rows(tokenizer: Any) -> list[Row]:
    draw, random_ = reading_lessons(frozenset()), random.Random(3)
    return [Encoder(tokenizer).row(draw(random_, functions, 3)) for functions in (1, 3)]


def logits(model: Any, batch: Batch) -> Any:
    with torch.no_grad():
        return model(input_ids=batch.ids, attention_mask=batch.visible, position_ids=batch.positions).logits


def test_a_question_among_others_is_a_question_asked_alone(tokenizer: Any, rows: list[Row]) -> None:
    model = new_model(tokenizer, copies=True).eval()
    together = batch(rows, padding=0)
    found = logits(model, together)
    for number, row in enumerate(rows):
        at = len(row.functions)
        for question, answer in row.exchanges:
            with torch.no_grad():
                alone = model(torch.tensor([row.functions + question + answer])).logits[0, len(row.functions) :]
            end = at + len(question) + len(answer)
            assert torch.allclose(found[number, at:end], alone, atol=1e-3)
            at = end


def test_every_token_of_an_answer_is_learnt_and_no_other(rows: list[Row]) -> None:
    made = batch(rows, padding=0)
    for number, row in enumerate(rows):
        expected = [token for _, answer in row.exchanges for token in answer]
        assert [label for label in made.answers[number].tolist() if label != IGNORED] == expected
    assert not ((made.answers != IGNORED) & (made.prompts != IGNORED)).any()


def test_copying_repeats_the_text(tokenizer: Any) -> None:
    rows = Copying(tokenizer).rows(random.Random(1), 5)
    assert len({len(row.functions) for row in rows}) == 1
    for row in rows:
        ((_, answer),) = row.exchanges
        assert answer[:-1] == row.functions
        assert not set(row.functions) & {0, 1, 2}
