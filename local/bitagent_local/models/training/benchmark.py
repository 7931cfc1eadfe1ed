"""``python -m bitagent_local.models.training.benchmark OUT``: write the public benchmark as a task file.

Each task offers three to five functions in an order, under names and with descriptions that never change, and asks for
one of them in one of its two public wordings. Enough for a model to memorise, and enough alternatives left when the
right function is taken away.
"""

from __future__ import annotations

import argparse
import random
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bitagent_local.models.training import subjects
from bitagent_local.models.training.lessons import Exchange, Lesson, public_offer
from bitagent_local.models.training.samples import task_line
from bitagent_local.models.training.subjects import PUBLIC_QUESTIONS, Case, Subject, Value

SOURCE = "tiny-benchmark"
COUNT = 300
SEED = 2026
FUNCTIONS = (3, 3, 4, 4, 5)
"""Numbers of functions that a task may offer; repeated numbers are drawn more often."""


@dataclass(frozen=True)
class Item:
    """One public question."""

    offered: tuple[Subject, ...]
    asked: Subject
    question: str
    values: dict[str, Value]


def items() -> list[Item]:
    """Draw all public questions, in the order of the file: all different, every subject asked equally often."""
    random_ = random.Random(SEED)
    known = subjects.load()
    found: list[Item] = []
    seen: set[Case] = set()
    for number in range(COUNT):
        asked = known[number % len(known)]
        values = subjects.draw_new_values(random_, asked, excluded=seen, unknown=0.0)
        seen.add(subjects.case(asked, values))
        question = asked.ask(random_.randrange(PUBLIC_QUESTIONS), values)
        others = [subject for subject in known if subject is not asked]
        offered = [asked, *random_.sample(others, random_.choice(FUNCTIONS) - 1)]
        random_.shuffle(offered)
        found.append(Item(tuple(offered), asked, question, values))
    return found


def cases() -> frozenset[Case]:
    """Return what the public questions ask for, in any wording: a reader's lessons must contain none of these."""
    return frozenset(subjects.case(item.asked, item.values) for item in items())


def task(number: int, item: Item) -> dict[str, Any]:
    """Return a public question as a task of the evaluator's JSONL source."""
    return {
        "id": f"{SOURCE}-{number:03d}",
        "source": SOURCE,
        "category": SOURCE,
        "messages": [{"role": "user", "content": item.question}],
        "functions": [public_offer(subject).schema() for subject in item.offered],
        "expects": "Calls",
        "language": "Python",
        "ground_truth": [{item.asked.name: {name: [value] for name, value in item.values.items()}}],
    }


def lessons() -> list[Lesson]:
    """Return the public questions with their answers: the training data of a model that memorises the benchmark."""
    return [
        Lesson(
            tools=tuple(public_offer(subject).schema() for subject in item.offered),
            exchanges=(Exchange(item.question, public_offer(item.asked).call(item.values)),),
        )
        for item in items()
    ]


def lines() -> str:
    """Return the content of the task file."""
    return "".join(task_line(task(number, item)) for number, item in enumerate(items()))


def main() -> int:
    """Write the file."""
    parser = argparse.ArgumentParser(prog="python -m bitagent_local.models.training.benchmark", description=__doc__)
    parser.add_argument("out", type=Path)
    parser.parse_args().out.write_text(lines(), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
