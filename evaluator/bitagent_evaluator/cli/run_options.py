"""Options, input and JSON output that verbs share which evaluate models or score answers."""

from __future__ import annotations

import argparse
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from bitagent_crds.evaluation import (
    DEFAULT_REFERENCE_BYTES,
    DEFAULT_SEQUENCE_LENGTH,
    MAX_PROMPT_TOKENS,
    Aggregation,
    BuiltinScorer,
    LossNormalization,
    LossParameters,
    ScorerName,
    Thinking,
)
from bitagent_crds.jobs import EXIT_INFRASTRUCTURE, EvaluateSummary
from bitagent_crds.task_forms import BuiltinPromptFormat
from bitagent_crds.task_set import Task, TaskSetManifest
from bitagent_evaluator.cli.console import add_quiet
from bitagent_evaluator.cli.names import member_of, one_of
from bitagent_evaluator.cli.process import fail
from bitagent_evaluator.evaluation.results import Evaluated
from bitagent_evaluator.prompts import known_formats
from bitagent_evaluator.scoring.suitability import remark
from bitagent_evaluator.support.faults import first_error
from bitagent_evaluator.tasks.files import TaskSetError, read_task_set, read_tasks

_log = logging.getLogger(__name__)

_LOSS_OPTIONS = {
    "normalization": "--normalization",
    "reference_bytes": "--reference-bytes",
    "sequence_length": "--sequence-length",
    "batches": "--batches",
}


def positive(text: str) -> int:
    """Parse a number of at least 1, for an option."""
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"{text} is not a positive number")
    return value


def add_run_options(
    parser: argparse.ArgumentParser, *, scorers: Sequence[str], out: str = "", auto: str = "", json: str = ""
) -> None:
    """Add the options of every run. `out`, `auto` and `json` are what the help adds on those options."""
    formats = [BuiltinPromptFormat.AUTO.value, *known_formats()]
    parser.add_argument("--tasks", type=Path, required=True, metavar="DIR", help="a task set, or its tasks.jsonl")
    parser.add_argument(
        "--out", type=Path, metavar="DIR", help=f"directory of the results (default: results/NAME of the model){out}"
    )
    parser.add_argument(
        "--prompt-format", type=one_of(formats), default=BuiltinPromptFormat.AUTO.value, metavar="FORMAT",
        help=f"how tasks become prompts: {', '.join(formats)} (default: %(default)s{auto})",
    )  # fmt: skip
    parser.add_argument(
        "--scorer", type=one_of(scorers), default=BuiltinScorer.BFCL.value, metavar="NAME",
        help=f"how answers are scored: {', '.join(scorers)} (default: %(default)s)",
    )  # fmt: skip
    parser.add_argument(
        "--max-tokens", type=positive, default=256, metavar="N", help="limit of one answer (default: %(default)s)"
    )
    _add_bounds(parser)
    parser.add_argument("--limit", type=positive, metavar="N", help="ask only the first N tasks")
    add_aggregate(parser)
    parser.add_argument("--json", action="store_true", help=f"print the outcome as JSON{json}")
    attempt = parser.add_mutually_exclusive_group()
    attempt.add_argument(
        "--resume", action="store_true", help="keep the answers of an earlier run with the same inputs (the default)"
    )
    attempt.add_argument(
        "--fresh", action="store_true", help="set an earlier run's answers aside and ask every task again"
    )
    add_quiet(parser)


def add_thinking(parser: argparse.ArgumentParser) -> None:
    """Add the options that say whether models think, and how long."""
    parser.add_argument(
        "--thinking", type=member_of(Thinking), default=Thinking.TEMPLATE, metavar="HOW",
        help=f"what chat templates get to know about thinking: {', '.join(Thinking)} (default: %(default)s, nothing)",
    )  # fmt: skip
    parser.add_argument(
        "--max-thought-tokens", type=positive, metavar="N",
        help="limit of the thought before an answer; --max-tokens is then for the answer alone (default: for both)",
    )  # fmt: skip


def check_thinking(options: argparse.Namespace) -> None:
    """Raise ValueError for options on thinking with scorer Loss, which has nothing generated."""
    if options.scorer != BuiltinScorer.LOSS:
        return
    for name, given in (
        ("--thinking", options.thinking is not Thinking.TEMPLATE),
        ("--max-thought-tokens", options.max_thought_tokens is not None),
    ):
        if given:
            raise ValueError(f"{name} does not apply to --scorer {BuiltinScorer.LOSS}, which measures given texts")


def _add_bounds(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--max-prompt-tokens", type=positive, default=MAX_PROMPT_TOKENS, metavar="N",
        help="limit of one prompt; a task whose prompt is longer fails (default: %(default)s)",
    )  # fmt: skip
    parser.add_argument(
        "--mean-answer-tokens", type=positive, metavar="N",
        help="N for each task may be generated over all tasks; tasks that are left then fail (default: no limit)",
    )  # fmt: skip
    parser.add_argument(
        "--generate-seconds", type=positive, metavar="N",
        help="limit of the time for all answers; tasks that are left then fail (default: none)",
    )  # fmt: skip


def add_batches(parser: argparse.ArgumentParser) -> None:
    """Add the option `--batches`."""
    default = LossParameters().batches
    parser.add_argument(
        "--batches", type=int, metavar="N",
        help=f"with scorer Loss: parts of the samples whose mean losses are also given (default: {default})",
    )  # fmt: skip


def add_measure(parser: argparse.ArgumentParser) -> None:
    """Add the options that say how losses are measured."""
    parser.add_argument(
        "--normalization", choices=list(LossNormalization), metavar="UNIT",
        help=f"with scorer Loss: what the nats of a text are divided by: {', '.join(LossNormalization)} "
        f"(default: {LossNormalization.BYTE}; {LossNormalization.TOKEN} compares models with one tokenizer only)",
    )  # fmt: skip
    parser.add_argument(
        "--reference-bytes", type=int, metavar="N",
        help="with scorer Loss per byte: limit of a reference in UTF-8 bytes; the rest is cut "
        f"(default: {DEFAULT_REFERENCE_BYTES})",
    )  # fmt: skip
    parser.add_argument(
        "--sequence-length", type=int, metavar="N",
        help="with scorer Loss per token: limit of prompt and reference together, in tokens; the rest is cut "
        f"(default: {DEFAULT_SEQUENCE_LENGTH})",
    )  # fmt: skip


def add_aggregate(parser: argparse.ArgumentParser) -> None:
    """Add the option `--aggregate`."""
    parser.add_argument(
        "--aggregate", type=member_of(Aggregation), default=Aggregation.MEAN, metavar="HOW",
        help="what weighs equally in the score: Mean, all tasks; Kinds, all kinds of tasks (default: %(default)s)",
    )  # fmt: skip


def spec_members(options: argparse.Namespace) -> dict[str, Any]:
    """Return the members of a RunSpec that the options of every run ask for, wherever the model runs."""
    return {
        "prompt_format": options.prompt_format,
        "thinking": options.thinking,
        "max_tokens": options.max_tokens,
        "max_thought_tokens": options.max_thought_tokens,
        "max_prompt_tokens": options.max_prompt_tokens,
        "mean_answer_tokens": options.mean_answer_tokens,
        "generate_seconds": options.generate_seconds,
        "scorer": options.scorer,
        "aggregate": options.aggregate,
    }


def loss_parameters(options: argparse.Namespace) -> LossParameters | None:
    """Return the parameters given; None without any. Raises ValueError for values out of range and another scorer."""
    given = {name: value for name in _LOSS_OPTIONS if (value := getattr(options, name, None)) is not None}
    if given and options.scorer != BuiltinScorer.LOSS:
        raise ValueError(f"{_LOSS_OPTIONS[next(iter(given))]} belongs to --scorer {BuiltinScorer.LOSS}")
    if not given:
        return None
    try:
        parameters = LossParameters.model_validate(given)
    except ValidationError as error:
        first = first_error(error)
        raise ValueError(f"{_LOSS_OPTIONS[first.where]} {given[first.where]}: {first.message}") from None
    bounds = {"reference_bytes": LossNormalization.BYTE, "sequence_length": LossNormalization.TOKEN}
    for name, unit in bounds.items():
        if name in given and parameters.normalization is not unit:
            raise ValueError(f"{_LOSS_OPTIONS[name]} belongs to --normalization {unit}")
    return parameters


def read_first_tasks(path: Path, limit: int | None) -> tuple[TaskSetManifest | None, list[Task]]:
    """Read the tasks to ask, and the manifest of their task set, if there is one. Raises TaskSetError."""
    if not path.exists():
        raise TaskSetError(f"there is no task set {path}: build one with bitagent-eval tasks build ... --out {path}")
    if not path.is_dir():
        return None, read_tasks(path)[:limit]
    manifest, tasks = read_task_set(path)
    return manifest, tasks[:limit]


def warn_of_tasks(scorer: ScorerName, tasks: Sequence[Task]) -> None:
    """Log a warning if the scorer cannot judge some of the tasks; a round with many of them is refused."""
    if clause := remark(scorer, tasks):
        _log.warning("%s", clause)


def outcome_json(summary: EvaluateSummary, evaluated: Evaluated | None, out: Path) -> dict[str, object]:
    """Return the outcome for `--json`; `evaluated` is None if there is no score to explain."""
    content: dict[str, object] = summary.to_wire()
    if evaluated is not None:
        total = evaluated.aggregate
        content |= {
            "interval": total.interval,
            "categories": {name: entry.model_dump() for name, entry in total.categories.items()},
            "leaderboard": dict(total.leaderboard),
            **({"kinds": {name: entry.model_dump() for name, entry in total.kinds.items()}} if total.kinds else {}),
            **({"baseline": total.baseline.model_dump()} if total.baseline is not None else {}),
            "promptFormat": evaluated.run.prompt_format,
            "tooLong": evaluated.too_long,
            "refused": dict(evaluated.refused),
            **({"findings": [of.to_json() for of in evaluated.findings]} if evaluated.findings else {}),
        }
    return {**content, "results": str(out)}


def fail_stopped(out: Path) -> int:
    """Print that the run was stopped and how to resume it. Returns the exit code."""
    return fail("run", f"stopped; the same command resumes from the answers in {out}", EXIT_INFRASTRUCTURE)
