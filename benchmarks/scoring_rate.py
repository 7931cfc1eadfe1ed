"""How fast answers are judged: ours against the official decoder and checker, on the same answers, in one run.

    python benchmarks/scoring_rate.py [--repeat N] [--out FILE]

    baseline   bfcl-eval's own decoding (which evaluates what the model wrote) and its checker, one process
    here       our reading of answers and the same checker, one process, as at the end of a run
    beside     the same in as many processes as there are cores, as while an engine generates (their start included)

Answers are the reference rows of tests/golden (Python categories: the others go through tree-sitter in both). Verdicts
must be equal. Writes scoring_rate.json beside this file: the best of the repetitions, and rates against `baseline`.
"""

from __future__ import annotations

import argparse
import gzip
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from bfcl_eval.model_handler.utils import default_decode_ast_prompting
from machine import described

from bitagent_crds.results import Response
from bitagent_crds.task_forms import BuiltinPromptFormat, Expects, Language
from bitagent_crds.task_set import Task
from bitagent_evaluator.conformance import text_response
from bitagent_evaluator.evaluation.scoring_pool import ScoringPool, usable_cores
from bitagent_evaluator.scoring import bfcl as official
from bitagent_evaluator.scoring.scorers import score

GOLDEN = Path(__file__).resolve().parents[1] / "tests" / "golden" / "bfcl"
CATEGORIES = ("simple_python", "multiple", "parallel", "parallel_multiple", "live_simple", "live_multiple")


def rows(name: str) -> list[dict[str, Any]]:
    """The lines of a golden file."""
    with gzip.open(GOLDEN / name, "rt", encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


def material() -> tuple[list[Task], list[Response]]:
    """One task per row, so that a task set holds all of them."""
    cases = {case["id"]: case for case in rows("tasks.jsonl.gz") if case["category"] in CATEGORIES}
    tasks, responses = [], []
    for number, row in enumerate(row for row in rows("rows.jsonl.gz") if row["id"] in cases):
        case = cases[row["id"]]
        task = Task(
            id=str(number), source="bfcl", category=case["category"], messages=case["question"][0],
            functions=case["functions"], ground_truth=case["ground_truth"], expects=Expects.CALLS,
        )  # fmt: skip
        tasks.append(task)
        responses.append(text_response(task, row["response"]))
    return tasks, responses


def officially(tasks: list[Task], responses: list[Response]) -> list[bool]:
    """The leaderboard's way, decoder included."""
    passed = []
    for task, response in zip(tasks, responses, strict=True):
        try:
            calls = default_decode_ast_prompting(response.text)
            result = official.check_calls(
                functions=task.functions, calls=calls, possible_answers=task.ground_truth or [],
                language=Language.PYTHON, category=task.category,
            )  # fmt: skip
            passed.append(bool(result["valid"]))
        except Exception:  # noqa: BLE001 - the leaderboard counts whatever its decoder raises as a wrong answer
            passed.append(False)
    return passed


def here(tasks: list[Task], responses: list[Response]) -> list[bool]:
    """As at the end of a run."""
    return [verdict.passed for verdict in score(tasks, responses)]


def beside(tasks: list[Task], responses: list[Response]) -> list[bool]:
    """As while an engine generates."""
    with ScoringPool(tasks, BuiltinPromptFormat.BFCL, "Bfcl", workers=usable_cores()) as pool:
        return [verdict.passed for verdict in pool.verdicts(responses)]


WAYS: dict[str, Callable[[list[Task], list[Response]], list[bool]]] = {
    "baseline": officially,
    "here": here,
    "beside": beside,
}


def main() -> None:
    """Measure, compare, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeat", type=int, default=5, metavar="N", help="repetitions (default: %(default)s)")
    parser.add_argument("--out", type=Path, default=Path(__file__).with_suffix(".json"), metavar="FILE")
    options = parser.parse_args()
    tasks, responses = material()
    expected = officially(tasks, responses)  # imports, too
    seconds = dict.fromkeys(WAYS, float("inf"))
    for _ in range(options.repeat):
        for name, way in WAYS.items():
            began = time.monotonic()
            verdicts = way(tasks, responses)
            seconds[name] = min(seconds[name], time.monotonic() - began)
            if verdicts != expected:
                sys.exit(f"{name} differs from the official verdicts in {sum(map(bool.__ne__, verdicts, expected))}")
    result = {
        "machine": described("bfcl-eval", "bitagent"),
        "answers": len(tasks),
        "passed": sum(expected),
        "seconds": {name: round(of, 3) for name, of in seconds.items()},
        "answers_per_second": {name: round(len(tasks) / of) for name, of in seconds.items()},
        "ratio_to_baseline": {name: round(seconds["baseline"] / of, 2) for name, of in seconds.items()},
    }
    print(json.dumps(result, indent=2))
    options.out.write_text(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    main()
