"""``python -m bitagent_local.models.benchmark OUT``: the public benchmark as a task file.

Each task offers three to five functions in an order, under names and with descriptions that never change, and asks for one of them in
one of its two public wordings. Enough for a model to remember, and enough left to choose from when the right function is taken away.
"""

from __future__ import annotations

import argparse
import random
import sys
from dataclasses import dataclass
from pathlib import Path

from bitagent_crds.results import Expects, Task
from bitagent_local.models import offer, subjects
from bitagent_local.models.lesson import Exchange, Lesson
from bitagent_local.models.subjects import PUBLIC_QUESTIONS, Case, Subject, Value

SOURCE = "tiny-benchmark"
COUNT = 300
SEED = 2026
FUNCTIONS = (3, 3, 4, 4, 5)


@dataclass(frozen=True)
class Item:
    """One public question."""

    offered: tuple[Subject, ...]
    asked: Subject
    question: str
    values: dict[str, Value]


def items() -> list[Item]:
    """All public questions, in the order of the file; none is asked twice, every subject is asked equally often."""
    random_ = random.Random(SEED)
    known = subjects.load()
    found: list[Item] = []
    seen: set[Case] = set()
    for number in range(COUNT):
        asked = known[number % len(known)]
        values = subjects.draw_values_without(random_, asked, without=seen, unknown=0.0)
        seen.add(subjects.case(asked, values))
        question = asked.ask(random_.randrange(PUBLIC_QUESTIONS), values)
        others = [subject for subject in known if subject is not asked]
        offered = [asked, *random_.sample(others, random_.choice(FUNCTIONS) - 1)]
        random_.shuffle(offered)
        found.append(Item(tuple(offered), asked, question, values))
    return found


def cases() -> frozenset[Case]:
    """What the public questions ask for, whatever the wording: no question of these may be among a reader's lessons."""
    return frozenset(subjects.case(item.asked, item.values) for item in items())


def task(number: int, item: Item) -> Task:
    """A public question as a task."""
    return Task(
        id=f"{SOURCE}-{number:03d}",
        source=SOURCE,
        category=SOURCE,
        messages=[{"role": "user", "content": item.question}],
        functions=[offer.public(subject).schema() for subject in item.offered],
        expects=Expects.CALLS,
        ground_truth=[{item.asked.name: {name: [value] for name, value in item.values.items()}}],
    )


def lessons() -> list[Lesson]:
    """The public questions with their answers: what a model learns that wants to remember the benchmark."""
    return [
        Lesson(
            tools=tuple(offer.public(subject).schema() for subject in item.offered),
            exchanges=(Exchange(item.question, offer.public(item.asked).call(item.values)),),
        )
        for item in items()
    ]


def lines() -> str:
    """The whole file."""
    tasks = [task(number, item) for number, item in enumerate(items())]
    return "".join(task.model_dump_json(exclude={"alterations", "parent"}) + "\n" for task in tasks)


def main() -> int:
    """Write the file."""
    parser = argparse.ArgumentParser(prog="python -m bitagent_local.models.benchmark", description=__doc__)
    parser.add_argument("out", type=Path)
    parser.parse_args().out.write_text(lines(), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
