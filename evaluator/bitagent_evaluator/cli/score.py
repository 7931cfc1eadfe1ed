"""`bitagent-eval score`: score answers that exist already, of a task set or of lines with task and answer together."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path

from pydantic import ValidationError

from bitagent_crds.evaluation import BuiltinScorer
from bitagent_crds.jobs import EXIT_INFRASTRUCTURE, EXIT_OK, EXIT_USAGE
from bitagent_crds.plugins import PluginError
from bitagent_crds.results import Response, ResultsManifest
from bitagent_crds.task_forms import BuiltinPromptFormat
from bitagent_crds.task_set import Task
from bitagent_crds.texts import digest_of
from bitagent_evaluator.cli.console import show, spinner
from bitagent_evaluator.cli.process import complain, fail, print_json
from bitagent_evaluator.cli.run_options import add_aggregate, add_batches, loss_parameters
from bitagent_evaluator.cli.score_views import diagnosis_view, losses_text, score_tables
from bitagent_evaluator.conformance import PAIR_SCORERS, BadLine, PairFormat
from bitagent_evaluator.evaluation.diagnosis import Evidence, diagnose
from bitagent_evaluator.evaluation.given_answers import (
    BadAnswer,
    answer_lines,
    coverage,
    format_of,
    read_given_answer,
)
from bitagent_evaluator.evaluation.given_completions import FailedRequest
from bitagent_evaluator.evaluation.results import MANIFEST
from bitagent_evaluator.prompts import known_formats, prompt_format
from bitagent_evaluator.sandbox.process import SandboxUnavailable
from bitagent_evaluator.scoring.aggregate import Aggregate
from bitagent_evaluator.scoring.kinds import with_kinds
from bitagent_evaluator.scoring.metric import LOSS, LOSS_PER_TOKEN
from bitagent_evaluator.scoring.scorers import aggregate, score, scorer_names
from bitagent_evaluator.support.files import write_atomically
from bitagent_evaluator.tasks.files import TaskSetError, encode_tasks, read_tasks


class _Unusable(Exception):
    """The input cannot be used."""


class _Unwritable(Exception):
    """The output cannot be written."""


def main(argv: list[str]) -> int:
    """Score answers and print the result. Returns the exit code."""
    args = _parser().parse_args(argv)
    try:
        return _score_pairs(args) if args.pairs else _score_task_set(args)
    except (TaskSetError, PluginError, _Unusable) as error:
        return fail("score", str(error), EXIT_USAGE)
    except (_Unwritable, SandboxUnavailable) as error:
        return fail("score", str(error), EXIT_INFRASTRUCTURE)


def _score_task_set(args: argparse.Namespace) -> int:
    if args.tasks is None or args.responses is None:
        raise _Unusable("give --tasks and --responses, or --pairs")
    if args.scorer not in scorer_names():
        raise _Unusable(f"--scorer {args.scorer}: with --tasks there are: {', '.join(scorer_names())}")
    try:
        loss = loss_parameters(args)
    except ValueError as error:
        raise _Unusable(str(error)) from error
    tasks = read_tasks(args.tasks)
    responses = _read_responses(args.responses, tasks)
    found = coverage(tasks, responses)
    if not found.answered:
        if not responses:
            raise _Unusable(f"{args.responses} has no response")
        other, own = responses[0].id, tasks[0].id if tasks else ""
        raise _Unusable(
            f"no response of {args.responses} belongs to a task of {args.tasks}: an answer's id is {other!r}, a task's "
            f"{own!r}"
        )
    for problem in found.problems if args.json else ():  # else they are in the diagnosis
        complain("score", problem)
    manifest = _manifest_beside(args.responses)
    used = args.prompt_format or (manifest.prompt_format if manifest is not None else format_of(responses))
    with spinner(f"scoring {len(tasks)} answers"):
        syntaxes = prompt_format(used).syntaxes
        verdicts = score(tasks, responses, scorer=args.scorer, syntaxes=syntaxes)
        how, digest = args.aggregate, digest_of(encode_tasks(tasks))
        verdicts = with_kinds(verdicts, tasks, how)
        outcome = aggregate(verdicts, seed=digest, scorer=args.scorer, loss=loss, aggregation=how)
    _write(args.out, (verdict.model_dump_json() for verdict in verdicts))
    known = {task.id: task for task in tasks}
    first = {response.id: response for response in reversed(responses) if response.id in known}
    evidence = Evidence(
        args.scorer,
        max((response.completion_tokens for response in first.values()), default=0)
        if manifest is None
        else manifest.max_tokens,
        max_thought_tokens=manifest.max_thought_tokens if manifest is not None else None,
        syntaxes=syntaxes,
        tasks=known,
        notes=manifest.notes if manifest is not None else {},
        coverage=found,
    )
    findings = diagnose(verdicts, first, evidence)
    if args.json:
        counts = {name: count for name, count in asdict(found).items() if name != "answered" and count}
        found_json = {"findings": [finding.to_json() for finding in findings]} if findings else {}
        print_json(_result_json(outcome) | counts | found_json)
    else:
        show(*diagnosis_view(findings))
        per_byte = any(response.loss_bytes is not None for response in responses)
        losses = losses_text(outcome, (LOSS if per_byte else LOSS_PER_TOKEN).unit)
        show(*score_tables(outcome, caption=f"verdicts in {args.out}"), *([f"mean loss {losses}"] if losses else []))
    return EXIT_OK


def _score_pairs(args: argparse.Namespace) -> int:
    if args.tasks is not None or args.responses is not None:
        raise _Unusable("--pairs carries tasks and responses; leave --tasks and --responses out")
    name = args.scorer.lower()
    if name not in list(PairFormat):
        raise _Unusable(f"--scorer {args.scorer}: with --pairs there are: {', '.join(PairFormat)}")
    try:
        with spinner(f"scoring {args.pairs}"):
            scored = list(PAIR_SCORERS[PairFormat(name)]().results(_lines(args.pairs)))
    except BadLine as error:
        raise _Unusable(f"{args.pairs}, {error}") from error
    _write(args.out, (json.dumps(result) for result in scored))
    if args.json:
        print_json({"lines": len(scored)})
    return EXIT_OK


def _lines(path: Path) -> list[bytes]:
    return _content(path).split(b"\n")


def _content(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise _Unusable(f"{path}: {error.strerror}") from error


def _manifest_beside(responses: Path) -> ResultsManifest | None:
    """Return the results manifest beside the answers; None if none is about them."""
    try:
        manifest = ResultsManifest.model_validate_json((responses.parent / MANIFEST).read_bytes())
        return manifest if manifest.responses_digest == digest_of(responses.read_bytes()) else None
    except (OSError, ValidationError):
        return None


def _read_responses(path: Path, tasks: Iterable[Task]) -> list[Response]:
    responses: list[Response] = []
    functions = {task.id: [str(function.get("name")) for function in task.functions] for task in tasks}
    failed: list[str] = []
    try:
        lines = answer_lines(_content(path))
    except BadAnswer as error:
        raise _Unusable(f"{path}: {error}") from error
    for number, line in enumerate(lines, 1):
        if line.strip():
            try:
                responses.append(read_given_answer(line, functions))
            except FailedRequest as error:
                failed.append(f"{path}, line {number}: {error}")
            except BadAnswer as error:
                raise _Unusable(f"{path}, line {number}: {error}") from error
    if failed:
        complain("score", f"{len(failed)} requests have no answer, such as {failed[0]}")
    return responses


def _write(path: Path, lines: Iterable[str]) -> None:
    try:
        write_atomically(path, "".join(line + "\n" for line in lines).encode())
    except OSError as error:
        raise _Unwritable(f"cannot write {path}: {error}") from error


def _result_json(outcome: Aggregate) -> dict[str, object]:
    """Return the result for JSON, without the fields that only other scorers and categories have."""
    tables = {"categories": outcome.categories, "kinds": outcome.kinds}
    content = asdict(outcome) | {
        key: {name: of.model_dump() for name, of in entries.items()} for key, entries in tables.items()
    }
    left_out = {name for name in ("loss", "batch_losses", "leaderboard", "kinds", "baseline") if not content[name]}
    return {name: value for name, value in content.items() if name not in left_out}


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="bitagent-eval score",
        description="Score a model's answers. A task without an answer counts as failed.",
        epilog="exit codes: 0 scored, whatever the score; 2 unusable input; 1 the verdicts cannot be made or written",
    )
    parser.add_argument("--tasks", type=Path, metavar="DIR|FILE", help="a task set, or a tasks.jsonl alone")
    parser.add_argument(
        "--responses",
        type=Path,
        metavar="FILE",
        help="responses.jsonl of a run, lines {id, text}, replies of an API, or a result file of BFCL's own program",
    )
    parser.add_argument(
        "--pairs", type=Path, metavar="FILE", help="lines of task and answer instead, for comparing with a reference"
    )
    parser.add_argument(
        "--scorer", default=BuiltinScorer.BFCL.value, metavar="NAME",
        help=f"{', '.join(scorer_names())}; with --pairs the format of the lines: {', '.join(PairFormat)} "
        "(default: %(default)s)",
    )  # fmt: skip
    formats = known_formats()
    parser.add_argument(
        "--prompt-format", choices=formats, metavar="FORMAT",
        help=f"how the answers were asked for, which decides how they are read: {', '.join(formats)} "
        f"(default: what manifest.json beside them says, else {BuiltinPromptFormat.BFCL}, or "
        f"{BuiltinPromptFormat.CHAT_TEMPLATE} if the calls are objects)",
    )  # fmt: skip
    add_batches(parser)
    add_aggregate(parser)
    parser.add_argument("--out", type=Path, required=True, metavar="FILE", help="verdicts, one JSON line per task")
    parser.add_argument("--json", action="store_true", help="print the score as JSON")
    return parser
