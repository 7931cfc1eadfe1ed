"""How the models that read, remember and reword are trained: lessons become token ids, ids become steps.

The questions of a lesson stand behind its functions in one row, each hidden from the others and at the place that it has when asked
alone: the functions, the longest part, are computed once for all.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from transformers import Qwen2Config, Qwen2ForCausalLM

from bitagent_local.models import head_start
from bitagent_local.models.lesson import Lesson
from bitagent_local.models.train import END, HEAD_WIDTH, IGNORED, LONGEST, Schedule, save
from bitagent_local.models.vocabulary import functions_part, question_part

WEIGHTS_SEED = 0
HIDDEN, INNER, LAYERS = 128, 192, 4
PROMPT_SHARE = 0.1
"""Of the loss on questions and functions, beside the whole loss on answers."""
REPORT_EVERY = 50
"""Steps."""


@dataclass(frozen=True)
class Row:
    """A lesson as token ids."""

    functions: list[int]
    exchanges: list[tuple[list[int], list[int]]]
    """Question and answer, the answer with its end."""

    def __len__(self) -> int:
        return len(self.functions) + sum(len(question) + len(answer) for question, answer in self.exchanges)


@dataclass(frozen=True)
class Batch:
    """Rows side by side."""

    ids: Any
    positions: Any
    visible: Any
    """Which token may look at which: those before it in its own exchange, and the functions."""
    answers: Any
    """Labels of the answers' tokens."""
    prompts: Any
    """Labels of all other tokens."""


class Encoder:
    """Makes rows of lessons."""

    def __init__(self, tokenizer: Any) -> None:
        self._tokenizer = tokenizer

    def row(self, lesson: Lesson) -> Row:
        """The ids of the prompt that the chat template makes, and of the answer."""
        exchanges = [
            (self._ids(question_part(self._tokenizer, each.question)), self._ids(each.answer + END))
            for each in lesson.exchanges
        ]
        return Row(self._ids(functions_part(self._tokenizer, lesson)), exchanges)

    def _ids(self, text: str) -> list[int]:
        ids: list[int] = self._tokenizer(text, add_special_tokens=False)["input_ids"]
        return ids


def batch(rows: Sequence[Row], *, padding: int) -> Batch:
    """Rows as tensors, filled up to the longest."""
    size, width = len(rows), max(map(len, rows))
    ids = torch.full((size, width), padding)
    positions = torch.zeros(size, width, dtype=torch.long)
    answers, prompts = (torch.full((size, width), IGNORED) for _ in range(2))
    parts = torch.full((size, width), -1)
    for number, row in enumerate(rows):
        start = len(row.functions)
        ids[number, :start] = torch.tensor(row.functions, dtype=torch.long)
        positions[number, :start] = torch.arange(start)
        parts[number, :start] = 0
        prompts[number, 1:start] = ids[number, 1:start]
        at = start
        for part, (question, answer) in enumerate(row.exchanges, start=1):
            end = at + len(question) + len(answer)
            ids[number, at:end] = torch.tensor(question + answer)
            positions[number, at:end] = torch.arange(start, start + end - at)
            answers[number, end - len(answer) : end] = torch.tensor(answer)
            prompts[number, at + 1 : end - len(answer)] = torch.tensor(question[1:])
            parts[number, at:end] = part
            at = end
    before = torch.ones(width, width, dtype=torch.bool).tril()
    same = (parts[:, :, None] == parts[:, None, :]) | (parts[:, None, :] == 0)
    return Batch(ids, positions, (same & before)[:, None], answers, prompts)


def new_model(tokenizer: Any, *, copies: bool) -> Any:
    """A model that knows nothing, but for a head start in copying if it `copies`."""
    torch.manual_seed(WEIGHTS_SEED)
    heads = HIDDEN // HEAD_WIDTH
    config = Qwen2Config(
        vocab_size=len(tokenizer),
        hidden_size=HIDDEN,
        intermediate_size=INNER,
        num_hidden_layers=LAYERS,
        num_attention_heads=heads,
        num_key_value_heads=heads,
        max_position_embeddings=LONGEST,
        tie_word_embeddings=True,
        bos_token_id=None,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
        initializer_range=0.06,
        rope_parameters={"rope_type": "default", "rope_theta": head_start.ROTATION_BASE},
        attn_implementation="sdpa",
    )
    model = Qwen2ForCausalLM(config)
    if copies:
        head_start.give(model)
    return model


def teach(out: Path, tokenizer: Any, batches: Iterator[Sequence[Row]], *, schedule: Schedule, copies: bool) -> None:
    """Train a new model and save it; a line every so many steps says how it goes."""
    model = new_model(tokenizer, copies=copies)
    optimizer = torch.optim.AdamW(model.parameters(), lr=schedule.rate, weight_decay=0.01, betas=(0.9, 0.98))
    began = time.monotonic()
    for step in range(1, schedule.steps + 1):
        for group in optimizer.param_groups:
            group["lr"] = schedule.rate_at(step)
        loss, right = _step(model, optimizer, batch(next(batches), padding=tokenizer.pad_token_id))
        if step % REPORT_EVERY == 0:
            print(f"step {step}: loss {loss:.4f}, {right:.1%} right, {time.monotonic() - began:.0f} s", flush=True)
    save(model, tokenizer, out)


def _step(model: Any, optimizer: Any, given: Batch) -> tuple[float, float]:
    """One step; its loss, and the share of answers' tokens that were the likeliest. The prompt counts a tenth of the answer."""
    output = model.model(input_ids=given.ids, attention_mask=given.visible, position_ids=given.positions)
    hidden = output.last_hidden_state[:, :-1]

    def loss_on(labels: Any) -> tuple[Any, float]:
        wanted = labels[:, 1:]
        asked = wanted != IGNORED
        logits = model.lm_head(hidden[asked])
        right = (logits.argmax(-1) == wanted[asked]).float().mean().item()
        return torch.nn.functional.cross_entropy(logits, wanted[asked]), right

    loss, right = loss_on(given.answers)
    optimizer.zero_grad()
    (loss + PROMPT_SHARE * loss_on(given.prompts)[0]).backward()
    torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimizer.step()
    return loss.item(), right
