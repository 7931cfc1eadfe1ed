"""Rows of several questions train as if each were asked alone."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any

import pytest

from bitagent_local.models.training.generators import reading_lessons

if TYPE_CHECKING:
    from bitagent_local.models.training.batches import Batch, Row


@pytest.fixture(scope="module")
def rows(training: Any, reader_tokenizer: Any) -> list[Row]:
    draw, random_ = reading_lessons(frozenset()), random.Random(3)
    return [training.batches.Encoder(reader_tokenizer).row(draw(random_, functions, 3)) for functions in (1, 3)]


def logits(torch: Any, model: Any, batch: Batch) -> Any:
    with torch.no_grad():
        return model(input_ids=batch.ids, attention_mask=batch.visible, position_ids=batch.positions).logits


def test_a_question_among_others_is_a_question_asked_alone(
    training: Any, reader_tokenizer: Any, rows: list[Row]
) -> None:
    torch = training.torch
    model = training.train_benchmark.new_model(reader_tokenizer, copies=True).eval()
    together = training.batches.batch(rows, padding=0)
    found = logits(torch, model, together)
    for number, row in enumerate(rows):
        at = len(row.functions)
        for question, answer in row.exchanges:
            with torch.no_grad():
                alone = model(torch.tensor([row.functions + question + answer])).logits[0, len(row.functions) :]
            end = at + len(question) + len(answer)
            assert torch.allclose(found[number, at:end], alone, atol=1e-3)
            at = end


def test_every_token_of_an_answer_is_learnt_and_no_other(training: Any, rows: list[Row]) -> None:
    ignored = training.qwen2.IGNORED
    made = training.batches.batch(rows, padding=0)
    for number, row in enumerate(rows):
        expected = [token for _, answer in row.exchanges for token in answer]
        assert [label for label in made.answers[number].tolist() if label != ignored] == expected
    assert not ((made.answers != ignored) & (made.prompts != ignored)).any()


def test_copying_repeats_the_text(training: Any, reader_tokenizer: Any) -> None:
    rows = training.batches.Copying(reader_tokenizer).rows(random.Random(1), 5)
    assert len({len(row.functions) for row in rows}) == 1
    for row in rows:
        ((_, answer),) = row.exchanges
        assert answer[:-1] == row.functions
        assert not set(row.functions) & {0, 1, 2}
