"""What `run` does alike for a model on this machine and for one behind an endpoint: options, the task set, the outcome."""

from __future__ import annotations

import argparse
from pathlib import Path

from bitagent_crds.jobs import EvaluateSummary
from bitagent_crds.results import Task, TaskSetManifest
from bitagent_evaluator.runs.evaluate import Evaluated
from bitagent_evaluator.tasks import read_task_set, read_tasks


def positive(text: str) -> int:
    """A number of at least 1, for an option."""
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"{text} is not a positive number")
    return value


def add_attempt(parser: argparse.ArgumentParser) -> None:
    """The options on answers of an earlier run."""
    again = parser.add_mutually_exclusive_group()
    again.add_argument(
        "--resume", action="store_true", help="take over answers of an earlier run with the same inputs (the default)"
    )
    again.add_argument(
        "--fresh", action="store_true", help="set an earlier run's answers aside and ask everything anew"
    )


def task_set(path: Path, limit: int | None) -> tuple[TaskSetManifest | None, list[Task]]:
    """The tasks to ask, and the manifest of the set that they are the first of, if it has one. Raises TaskSetError."""
    if not path.is_dir():
        return None, read_tasks(path)[:limit]
    manifest, tasks = read_task_set(path)
    return manifest, tasks[:limit]


def as_json(summary: EvaluateSummary, evaluated: Evaluated | None, out: Path) -> dict[str, object]:
    """The outcome for `--json`; `evaluated` is None where there is no score to explain."""
    plain: dict[str, object] = summary.to_wire()
    if evaluated is not None:
        total = evaluated.aggregate
        plain |= {
            "interval": total.interval,
            "categories": {name: entry.model_dump() for name, entry in total.categories.items()},
            "leaderboard": dict(total.leaderboard),
            "promptFormat": evaluated.prompt_format,
            "tooLong": evaluated.too_long,
            "refused": dict(evaluated.refused),
        }
    return {**plain, "results": str(out)}
