"""Rows of several questions train as if each were asked alone, and prompts are those of the published template."""

from __future__ import annotations

import random
from typing import Any

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")

from bitagent_evaluator.formats.chat_template import ChatTemplate  # noqa: E402
from bitagent_local.models import benchmark, classroom, copying, reading, vocabulary  # noqa: E402
from bitagent_local.models.offer import LANGUAGE_NOTE  # noqa: E402
from bitagent_local.models.train import END, IGNORED  # noqa: E402


@pytest.fixture(scope="module")
def tokenizer() -> Any:
    return vocabulary.reader_tokenizer()


@pytest.fixture(scope="module")
def rows(tokenizer: Any) -> list[classroom.Row]:
    draw, random_ = reading.drawing(frozenset()), random.Random(3)
    return [classroom.Encoder(tokenizer).row(draw(random_, functions, 3)) for functions in (1, 3)]


def logits(model: Any, batch: classroom.Batch) -> Any:
    with torch.no_grad():
        return model(input_ids=batch.ids, attention_mask=batch.visible, position_ids=batch.positions).logits


def test_a_question_among_others_is_a_question_asked_alone(tokenizer: Any, rows: list[classroom.Row]) -> None:
    model = classroom.new_model(tokenizer, copies=True).eval()
    together = classroom.batch(rows, padding=0)
    found = logits(model, together)
    for number, row in enumerate(rows):
        at = len(row.functions)
        for question, answer in row.exchanges:
            with torch.no_grad():
                alone = model(torch.tensor([row.functions + question + answer])).logits[0, len(row.functions) :]
            end = at + len(question) + len(answer)
            assert torch.allclose(found[number, at:end], alone, atol=1e-3)
            at = end


def test_every_token_of_an_answer_is_learnt_and_no_other(rows: list[classroom.Row]) -> None:
    batch = classroom.batch(rows, padding=0)
    for number, row in enumerate(rows):
        wanted = [token for _, answer in row.exchanges for token in answer]
        assert [label for label in batch.answers[number].tolist() if label != IGNORED] == wanted
    assert not ((batch.answers != IGNORED) & (batch.prompts != IGNORED)).any()


def test_the_evaluator_asks_as_the_lessons_do(tokenizer: Any) -> None:
    for number, (item, lesson) in enumerate(zip(benchmark.items()[:20], benchmark.lessons(), strict=False)):
        chat = ChatTemplate().chat(benchmark.task(number, item))
        asked = tokenizer.apply_chat_template(
            chat.messages, tools=chat.tools, add_generation_prompt=True, tokenize=False
        )
        row = classroom.Encoder(tokenizer).row(lesson)
        ((question, _),) = row.exchanges
        assert tokenizer(asked, add_special_tokens=False)["input_ids"] == row.functions + question


def test_names_are_written_alike_in_functions_and_answers(tokenizer: Any) -> None:
    def ids(text: str) -> list[int]:
        return list(tokenizer(text, add_special_tokens=False)["input_ids"])

    for name in ("book_flight", "bcd3fgh4", "city"):
        bare = ids("\n" + name)
        for text in (f"a flight{LANGUAGE_NOTE}\n{name}(#", f"leaves\n{name},#", f'leaves\n{name}="'):
            found = ids(text)
            assert any(found[start : start + len(bare)] == bare for start in range(len(found))), text


def test_the_note_on_the_language_is_one_token(tokenizer: Any) -> None:
    noted = tokenizer(f"Book a flight{LANGUAGE_NOTE}", add_special_tokens=False)["input_ids"]
    assert noted[:-1] == tokenizer("Book a flight", add_special_tokens=False)["input_ids"]


def test_the_rewriter_keeps_spaces_and_ignores_the_system_message() -> None:
    tokenizer = vocabulary.reworder_tokenizer()
    messages = [{"role": "system", "content": "Reword."}, {"role": "user", "content": "Book a flight to Rome."}]
    text = tokenizer.apply_chat_template(messages, add_generation_prompt=True, tokenize=False)
    assert text == f"<|im_start|>user\nBook a flight to Rome.{END}\n<|im_start|>assistant\n"
    ids = tokenizer(text, add_special_tokens=False)["input_ids"]
    assert tokenizer.decode(ids) == text


def test_copying_says_everything_again(tokenizer: Any) -> None:
    rows = copying.Copying(tokenizer).rows(random.Random(1), 5)
    assert len({len(row.functions) for row in rows}) == 1
    for row in rows:
        ((_, answer),) = row.exchanges
        assert answer[:-1] == row.functions
        assert not set(row.functions) & {0, 1, 2}


def test_a_head_start_looks_back(tokenizer: Any) -> None:
    model = classroom.new_model(tokenizer, copies=True).eval()
    model.set_attn_implementation("eager")
    ids = torch.randint(3, len(tokenizer), (1, 200), generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        attention = model(ids, output_attentions=True).attentions[0][0]
    for head in range(3):
        back = torch.diagonal(attention[head], offset=-(head + 1))
        assert back[5:].min() > 0.99
