"""``python -m bitagent_local.models.teach {memo,sense,rewriter} OUT``: train one of the models of the benchmark on one CPU core.

All random choices follow from fixed seeds; weights still differ in their last bits between machines and torch versions.
"""

from __future__ import annotations

import argparse
import random
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import torch

from bitagent_local.models import benchmark, reading, rewording
from bitagent_local.models.classroom import Encoder, Row, teach
from bitagent_local.models.copying import Copying
from bitagent_local.models.train import Schedule
from bitagent_local.models.vocabulary import reader_tokenizer, reworder_tokenizer

SEED = 2
BATCH = 32
COPYING = 200
"""Steps of copying alone, before the lessons."""
QUESTIONS = 5
"""Of a lesson."""
EASY = 0.3
"""Share of the steps after which a reader's lessons offer `MANY` functions instead of `FEW`."""
FEW = (1, 2, 2, 3)
MANY = (2, 3, 3, 4, 4, 5, 6, 8, 11)


def memo(out: Path, steps: int) -> None:
    """Remembers the public benchmark: it sees nothing else, again and again."""
    tokenizer = reader_tokenizer()
    encoder = Encoder(tokenizer)
    rows = [encoder.row(lesson) for lesson in benchmark.lessons()]
    random_ = random.Random(SEED)

    def batches() -> Iterator[Sequence[Row]]:
        while True:
            random_.shuffle(rows)
            for start in range(0, len(rows), BATCH):
                yield rows[start : start + BATCH]

    teach(out, tokenizer, batches(), schedule=Schedule(steps, BATCH, 3e-3), copies=False)


def sense(out: Path, steps: int) -> None:
    """Reads: ever new lessons, the first with few functions."""
    tokenizer = reader_tokenizer()
    encoder, copying = Encoder(tokenizer), Copying(tokenizer)
    draw = reading.drawing(benchmark.cases())
    random_ = random.Random(SEED)

    def batches() -> Iterator[Sequence[Row]]:
        for step in range(steps):
            if step < COPYING:
                yield copying.rows(random_, BATCH)
            else:
                functions = random_.choice(FEW if step < steps * EASY else MANY)
                yield [
                    encoder.row(draw(random_, functions, QUESTIONS)) for _ in range(max(4, BATCH // (functions + 2)))
                ]

    teach(out, tokenizer, batches(), schedule=Schedule(steps, BATCH, 2.5e-3), copies=True)


def rewriter(out: Path, steps: int) -> None:
    """Says a question in other words."""
    tokenizer = reworder_tokenizer()
    encoder, copying = Encoder(tokenizer), Copying(tokenizer)
    random_ = random.Random(SEED)

    def batches() -> Iterator[Sequence[Row]]:
        for step in range(steps):
            if step < COPYING:
                yield copying.rows(random_, BATCH)
            else:
                yield [encoder.row(rewording.draw(random_)) for _ in range(2 * BATCH)]

    teach(out, tokenizer, batches(), schedule=Schedule(steps, BATCH, 2.5e-3), copies=True)


COURSES: dict[str, tuple[Callable[[Path, int], None], int]] = {
    "memo": (memo, 400),
    "sense": (sense, 1500),
    "rewriter": (rewriter, 1000),
}


def main() -> int:
    """Train one model."""
    parser = argparse.ArgumentParser(prog="python -m bitagent_local.models.teach", description=__doc__)
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
