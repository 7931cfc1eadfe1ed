"""The local world's task files and models against the product: tasks of the contract, prompts of the evaluator."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from bitagent_crds.task_set import Task

MODELS = Path(__file__).resolve().parents[3] / "local" / "models"


@pytest.mark.parametrize("name", ["tasks.jsonl", "benchmark.jsonl"])
def test_lines_are_tasks_as_the_contract_writes_them(name: str) -> None:
    lines = (MODELS / name).read_text(encoding="utf-8").splitlines()
    assert lines
    tasks = [Task.model_validate_json(line) for line in lines]
    assert [task.model_dump_json(exclude={"alterations", "parent"}) for task in tasks] == lines


def test_the_evaluator_asks_as_the_lessons_do() -> None:
    """A model is trained on exactly the token ids that the evaluator gives it."""
    pytest.importorskip("torch")
    pytest.importorskip("transformers")
    from bitagent_evaluator.prompts.chat_formats import ChatTemplate
    from bitagent_local.models.training import benchmark
    from bitagent_local.models.training.batches import Encoder
    from bitagent_local.models.training.tokenizer import reader_tokenizer

    tokenizer: Any = reader_tokenizer()
    for number, (item, lesson) in enumerate(zip(benchmark.items()[:20], benchmark.lessons(), strict=False)):
        chat = ChatTemplate().build_prompt(Task.model_validate(benchmark.task(number, item)))
        asked = tokenizer.apply_chat_template(
            chat.messages, tools=chat.tools, add_generation_prompt=True, tokenize=False
        )
        row = Encoder(tokenizer).row(lesson)
        ((question, _),) = row.exchanges
        assert tokenizer(asked, add_special_tokens=False)["input_ids"] == row.functions + question
