"""`bitagent-eval score`: judge answers that exist already."""

from __future__ import annotations

import argparse
from dataclasses import asdict
from pathlib import Path

from pydantic import ValidationError
from rich.table import Table

from bitagent_crds.jobs import EXIT_INFRASTRUCTURE, EXIT_OK, EXIT_USAGE
from bitagent_crds.results import Response, Verdict
from bitagent_evaluator.cli.output import fail, print_json, results, working
from bitagent_evaluator.scoring import Aggregate, aggregate, score
from bitagent_evaluator.tasks import TaskSetError, read_tasks


class _BadFile(Exception):
    """The file of responses cannot be used."""


def main(argv: list[str]) -> int:
    """Run the verb. Exit codes: 0 done (whatever the score), 2 unusable input, 1 the verdicts cannot be written."""
    args = _parser().parse_args(argv)
    try:
        tasks = read_tasks(args.tasks)
        responses = _read_responses(args.responses)
    except (TaskSetError, _BadFile) as error:
        return fail("score", str(error), EXIT_USAGE)
    if not {task.id for task in tasks} & {response.id for response in responses}:
        return fail("score", f"no response of {args.responses} belongs to a task of {args.tasks}", EXIT_USAGE)
    with working(f"judging {len(tasks)} answers"):
        verdicts = score(tasks, responses)
    try:
        _write(args.out, verdicts)
    except OSError as error:
        return fail("score", f"cannot write {args.out}: {error}", EXIT_INFRASTRUCTURE)
    outcome = aggregate(verdicts)
    if args.json:
        print_json(asdict(outcome) | {"categories": {name: c.model_dump() for name, c in outcome.categories.items()}})
    else:
        _show(outcome, args.out)
    return EXIT_OK


def _read_responses(path: Path) -> list[Response]:
    try:
        lines = path.read_bytes().split(b"\n")
    except OSError as error:
        raise _BadFile(f"{path}: {error.strerror}") from error
    responses: list[Response] = []
    for number, line in enumerate(lines, 1):
        if line.strip():
            try:
                responses.append(Response.model_validate_json(line))
            except ValidationError as error:
                found = error.errors(include_url=False)[0]
                where = ".".join(str(part) for part in found["loc"])
                raise _BadFile(f"{path}, line {number}: {where + ': ' if where else ''}{found['msg']}") from error
    return responses


def _write(path: Path, verdicts: list[Verdict]) -> None:
    partial = path.with_name(path.name + ".partial")
    partial.write_text("".join(verdict.model_dump_json() + "\n" for verdict in verdicts), encoding="utf-8")
    partial.replace(path)


def _show(outcome: Aggregate, out: Path) -> None:
    table = Table(caption=f"verdicts in {out}", caption_justify="left")
    table.add_column("category")
    for name in ("passed", "total", "score"):
        table.add_column(name, justify="right")
    for category, count in outcome.categories.items():
        table.add_row(category, str(count.passed), str(count.total), f"{count.passed / count.total:.1%}")
    table.add_section()
    table.add_row("all", str(outcome.passed), str(outcome.total), outcome.score, style="bold")
    results().print(table)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="bitagent-eval score",
        description="Judge a model's answers by the official rules. A task without an answer counts as failed.",
    )
    parser.add_argument(
        "--tasks", type=Path, required=True, metavar="DIR|FILE", help="a task set, or a tasks.jsonl alone"
    )
    parser.add_argument("--responses", type=Path, required=True, metavar="FILE", help="responses.jsonl of a run")
    parser.add_argument("--out", type=Path, required=True, metavar="FILE", help="verdicts, one JSON line per task")
    parser.add_argument("--json", action="store_true", help="print the score as JSON")
    return parser
