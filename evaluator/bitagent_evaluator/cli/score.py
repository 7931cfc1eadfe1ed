"""`bitagent-eval score`: judge answers that exist already, of a task set or of lines that carry task and answer together."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path

from pydantic import ValidationError
from rich.table import Table

from bitagent_crds.evaluation import Scorer
from bitagent_crds.fields import PromptFormat
from bitagent_crds.jobs import EXIT_INFRASTRUCTURE, EXIT_OK, EXIT_USAGE
from bitagent_crds.results import Response, ResultsManifest
from bitagent_evaluator.bounded.process import ChildLost
from bitagent_evaluator.cli.leaderboard import columns_view
from bitagent_evaluator.cli.losses import add_batches, loss_parameters, losses_text
from bitagent_evaluator.cli.output import fail, interval_text, print_json, results, working
from bitagent_evaluator.runs.readable import readable
from bitagent_evaluator.runs.results import MANIFEST
from bitagent_evaluator.scoring import Aggregate, aggregate, score
from bitagent_evaluator.scoring.pairs import PAIR_FORMATS, BadLine, pair_format
from bitagent_evaluator.tasks import TaskSetError, read_tasks
from bitagent_evaluator.tasks.files import digest_of, encode_tasks


class _Unusable(Exception):
    """The input cannot be used."""


class _Unwritable(Exception):
    """The output cannot be written."""


def main(argv: list[str]) -> int:
    """Run the verb. Exit codes: 0 done (whatever the score), 2 unusable input, 1 the verdicts cannot be made or written."""
    args = _parser().parse_args(argv)
    try:
        return _score_pairs(args) if args.pairs else _score_task_set(args)
    except (TaskSetError, _Unusable) as error:
        return fail("score", str(error), EXIT_USAGE)
    except (_Unwritable, ChildLost) as error:
        return fail("score", str(error), EXIT_INFRASTRUCTURE)


def _score_task_set(args: argparse.Namespace) -> int:
    if args.tasks is None or args.responses is None:
        raise _Unusable("give --tasks and --responses, or --pairs")
    if args.scorer not in list(Scorer):
        raise _Unusable(f"--scorer {args.scorer}: with --tasks there are: {', '.join(Scorer)}")
    try:
        loss = loss_parameters(args)
    except ValueError as error:
        raise _Unusable(str(error)) from error
    tasks = read_tasks(args.tasks)
    responses = _read_responses(args.responses)
    if not {task.id for task in tasks} & {response.id for response in responses}:
        raise _Unusable(f"no response of {args.responses} belongs to a task of {args.tasks}")
    used = PromptFormat(args.prompt_format) if args.prompt_format else _format_of(args.responses)
    with working(f"judging {len(tasks)} answers"):
        verdicts = score(tasks, readable(tasks, responses, used), scorer=args.scorer)
        outcome = aggregate(verdicts, seed=digest_of(encode_tasks(tasks)), scorer=args.scorer, loss=loss)
    _write(args.out, (verdict.model_dump_json() for verdict in verdicts))
    if args.json:
        print_json(_plain(outcome))
    else:
        _show(outcome, args.out)
    return EXIT_OK


def _score_pairs(args: argparse.Namespace) -> int:
    if args.tasks is not None or args.responses is not None:
        raise _Unusable("--pairs carries tasks and responses; leave --tasks and --responses out")
    name = args.scorer.lower()
    if name not in PAIR_FORMATS.names():
        raise _Unusable(f"--scorer {args.scorer}: with --pairs there are: {', '.join(PAIR_FORMATS.names())}")
    try:
        with working(f"judging {args.pairs}"):
            judged = list(pair_format(name).judge(_lines(args.pairs)))
    except BadLine as error:
        raise _Unusable(f"{args.pairs}, {error}") from error
    _write(args.out, (json.dumps(result) for result in judged))
    if args.json:
        print_json({"lines": len(judged)})
    return EXIT_OK


def _lines(path: Path) -> list[bytes]:
    try:
        return path.read_bytes().split(b"\n")
    except OSError as error:
        raise _Unusable(f"{path}: {error.strerror}") from error


def _format_of(responses: Path) -> PromptFormat:
    """The prompt format that the results manifest beside the answers names; Bfcl where none is about them."""
    try:
        manifest = ResultsManifest.model_validate_json((responses.parent / MANIFEST).read_bytes())
        return (
            manifest.prompt_format
            if manifest.responses_digest == digest_of(responses.read_bytes())
            else PromptFormat.BFCL
        )
    except (OSError, ValidationError):
        return PromptFormat.BFCL


def _read_responses(path: Path) -> list[Response]:
    responses: list[Response] = []
    for number, line in enumerate(_lines(path), 1):
        if line.strip():
            try:
                responses.append(Response.model_validate_json(line))
            except ValidationError as error:
                found = error.errors(include_url=False)[0]
                where = ".".join(str(part) for part in found["loc"])
                raise _Unusable(f"{path}, line {number}: {where + ': ' if where else ''}{found['msg']}") from error
    return responses


def _write(path: Path, lines: Iterable[str]) -> None:
    partial = path.with_name(path.name + ".partial")
    try:
        partial.write_text("".join(line + "\n" for line in lines), encoding="utf-8")
        partial.replace(path)
    except OSError as error:
        raise _Unwritable(f"cannot write {path}: {error}") from error


def _plain(outcome: Aggregate) -> dict[str, object]:
    """The outcome as JSON, without what only other scorers and categories have."""
    plain = asdict(outcome) | {"categories": {name: of.model_dump() for name, of in outcome.categories.items()}}
    silent = {name for name in ("loss", "batch_losses", "leaderboard") if not plain[name]}
    return {name: value for name, value in plain.items() if name not in silent}


def _show(outcome: Aggregate, out: Path) -> None:
    table = Table(caption=f"verdicts in {out}", caption_justify="left")
    table.add_column("category")
    for name in ("passed", "total", "score", "95 % interval"):
        table.add_column(name, justify="right")
    for category, of in outcome.categories.items():
        table.add_row(category, str(of.passed), str(of.total), f"{float(of.score):.1%}", interval_text(of.interval))
    table.add_section()
    table.add_row(
        "all", str(outcome.passed), str(outcome.total), outcome.score, interval_text(outcome.interval), style="bold"
    )
    results().print(table, *columns_view(outcome))
    if losses := losses_text(outcome):
        results().print(f"mean loss {losses}")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="bitagent-eval score",
        description="Judge a model's answers. A task without an answer counts as failed.",
        epilog="exit codes: 0 judged, whatever the score; 2 unusable input; 1 the verdicts cannot be made or written",
    )
    parser.add_argument("--tasks", type=Path, metavar="DIR|FILE", help="a task set, or a tasks.jsonl alone")
    parser.add_argument("--responses", type=Path, metavar="FILE", help="responses.jsonl of a run")
    parser.add_argument(
        "--pairs", type=Path, metavar="FILE", help="lines of task and answer instead, for comparing with a reference"
    )
    parser.add_argument(
        "--scorer", default=Scorer.BFCL.value, metavar="NAME",
        help=f"{', '.join(Scorer)}; with --pairs the format of the lines: {', '.join(PAIR_FORMATS.names())} "
        "(default: %(default)s)",
    )  # fmt: skip
    formats = [f.value for f in PromptFormat if f is not PromptFormat.AUTO]
    parser.add_argument(
        "--prompt-format", choices=formats, metavar="FORMAT",
        help=f"how the answers were asked for, which decides how they are read: {', '.join(formats)} "
        f"(default: what manifest.json beside them says, else {PromptFormat.BFCL})",
    )  # fmt: skip
    add_batches(parser)
    parser.add_argument("--out", type=Path, required=True, metavar="FILE", help="verdicts, one JSON line per task")
    parser.add_argument("--json", action="store_true", help="print the score as JSON")
    return parser
