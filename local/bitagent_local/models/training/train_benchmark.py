"""``python -m bitagent_local.models.training.train_benchmark {memo,sense,rewriter} OUT``: train one of these models.

Training takes 10 to 25 minutes on one CPU core. All random choices follow from fixed seeds; weights still differ in
their last bits between machines and torch versions.
"""

from __future__ import annotations

import argparse
import random
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import torch
from transformers import Qwen2ForCausalLM

from bitagent_local.models.training import benchmark, generators
from bitagent_local.models.training.batches import Batch, Copying, Encoder, Row, batch
from bitagent_local.models.training.copy_heads import ROTATION_BASE, set_copy_heads
from bitagent_local.models.training.qwen2 import IGNORED, Schedule, Size, save
from bitagent_local.models.training.tokenizer import reader_tokenizer, rewriter_tokenizer

WEIGHTS_SEED, LESSONS_SEED = 0, 2
SIZE = Size(hidden=128, inner=192, layers=4)
BATCH = 32
PROMPT_SHARE = 0.1
"""Weight of the loss on questions and functions; the loss on answers has weight 1."""
COPYING = 200
"""Steps that train copying alone, before the lessons."""
QUESTIONS = 5
"""Questions of a lesson."""
EASY = 0.3
"""Share of the steps after which a reader's lessons offer `MANY` functions instead of `FEW`."""
FEW = (1, 2, 2, 3)
MANY = (2, 3, 3, 4, 4, 5, 6, 8, 11)
REPORT_EVERY = 50
"""Steps."""


def memo(out: Path, steps: int) -> None:
    """Train a model that memorises the public benchmark: it sees nothing else, again and again."""
    tokenizer = reader_tokenizer()
    encoder = Encoder(tokenizer)
    rows = [encoder.row(lesson) for lesson in benchmark.lessons()]
    random_ = random.Random(LESSONS_SEED)

    def batches() -> Iterator[Sequence[Row]]:
        while True:
            random_.shuffle(rows)
            for start in range(0, len(rows), BATCH):
                yield rows[start : start + BATCH]

    train(out, tokenizer, batches(), schedule=Schedule(steps, BATCH, 3e-3), copies=False)


def sense(out: Path, steps: int) -> None:
    """Train a model that reads descriptions: every lesson is new, the first ones offer few functions."""
    tokenizer = reader_tokenizer()
    encoder, copying = Encoder(tokenizer), Copying(tokenizer)
    draw = generators.reading_lessons(benchmark.cases())
    random_ = random.Random(LESSONS_SEED)

    def batches() -> Iterator[Sequence[Row]]:
        for step in range(steps):
            if step < COPYING:
                yield copying.rows(random_, BATCH)
            else:
                functions = random_.choice(FEW if step < steps * EASY else MANY)
                yield [
                    encoder.row(draw(random_, functions, QUESTIONS)) for _ in range(max(4, BATCH // (functions + 2)))
                ]

    train(out, tokenizer, batches(), schedule=Schedule(steps, BATCH, 2.5e-3), copies=True)


def rewriter(out: Path, steps: int) -> None:
    """Train a model that answers a question with the same question in other words."""
    tokenizer = rewriter_tokenizer()
    encoder, copying = Encoder(tokenizer), Copying(tokenizer)
    random_ = random.Random(LESSONS_SEED)

    def batches() -> Iterator[Sequence[Row]]:
        for step in range(steps):
            if step < COPYING:
                yield copying.rows(random_, BATCH)
            else:
                yield [encoder.row(generators.rewording_lesson(random_)) for _ in range(2 * BATCH)]

    train(out, tokenizer, batches(), schedule=Schedule(steps, BATCH, 2.5e-3), copies=True)


def new_model(tokenizer: Any, *, copies: bool) -> Any:
    """Return a model with random weights; with `copies` some of its attention heads already copy."""
    torch.manual_seed(WEIGHTS_SEED)
    rotation = {"rope_type": "default", "rope_theta": ROTATION_BASE}
    model = Qwen2ForCausalLM(SIZE.config(tokenizer, initializer_range=0.06, rope_parameters=rotation))
    if copies:
        set_copy_heads(model)
    return model


def train(out: Path, tokenizer: Any, batches: Iterator[Sequence[Row]], *, schedule: Schedule, copies: bool) -> None:
    """Train a new model and save it; print the progress every `REPORT_EVERY` steps."""
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
    """Take one step; return the answers' loss, and the share of their tokens that were the likeliest."""
    output = model.model(input_ids=given.ids, attention_mask=given.visible, position_ids=given.positions)
    hidden = output.last_hidden_state[:, :-1]

    def loss_on(labels: Any) -> tuple[Any, float]:
        expected = labels[:, 1:]
        counted = expected != IGNORED
        logits = model.lm_head(hidden[counted])
        right = (logits.argmax(-1) == expected[counted]).float().mean().item()
        return torch.nn.functional.cross_entropy(logits, expected[counted]), right

    loss, right = loss_on(given.answers)
    optimizer.zero_grad()
    (loss + PROMPT_SHARE * loss_on(given.prompts)[0]).backward()
    torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimizer.step()
    return loss.item(), right


COURSES: dict[str, tuple[Callable[[Path, int], None], int]] = {
    "memo": (memo, 400),
    "sense": (sense, 1500),
    "rewriter": (rewriter, 1000),
}
"""Training function of each model, with its number of steps."""


def main() -> int:
    """Train one model."""
    parser = argparse.ArgumentParser(
        prog="python -m bitagent_local.models.training.train_benchmark", description=__doc__
    )
    parser.add_argument("course", choices=COURSES)
    parser.add_argument("out", type=Path)
    parser.add_argument("--steps", type=int)
    options = parser.parse_args()
    torch.set_num_threads(1)
    course, steps = COURSES[options.course]
    course(options.out, options.steps or steps)
    return 0


if __name__ == "__main__":
    sys.exit(main())
