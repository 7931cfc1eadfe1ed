"""``python -m bitagent_local.models.tasks OUT``: the held-out questions as a task file.

One task a line, in the format that the evaluator's JSONL source reads. The ground truth is in BFCL's form: for every
argument the list of values that are right.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from bitagent_crds.results import Expects, Task
from bitagent_local.models.data import Sample, held_out

SOURCE = "tiny-fc"


def task(number: int, sample: Sample) -> Task:
    """A sample as a task. The category says, in BFCL's words, whether there is a function to choose."""
    functions = []
    for tool in sample.tools:
        schema = tool.schema()
        functions.append({**schema, "parameters": {**schema["parameters"], "type": "dict"}})
    return Task(
        id=f"{SOURCE}-{number:03d}",
        source=SOURCE,
        category=f"{SOURCE}-{'simple' if len(functions) == 1 else 'multiple'}",
        messages=[{"role": "user", "content": sample.question}],
        functions=functions,
        expects=Expects.CALLS,
        ground_truth=[{sample.function: {name: [value] for name, value in sample.arguments.items()}}],
    )


def lines() -> str:
    """The whole file."""
    tasks = [task(number, sample) for number, sample in enumerate(held_out())]
    return "".join(task.model_dump_json(exclude={"alterations", "parent"}) + "\n" for task in tasks)


def main() -> int:
    """Write the file."""
    parser = argparse.ArgumentParser(prog="python -m bitagent_local.models.tasks", description=__doc__)
    parser.add_argument("out", type=Path)
    parser.parse_args().out.write_text(lines(), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
