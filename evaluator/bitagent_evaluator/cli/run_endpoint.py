"""`bitagent-eval run --endpoint URL --model-name NAME`: evaluate a model that something else serves, over its OpenAI-compatible API."""

from __future__ import annotations

import argparse
import os
from pathlib import Path

from rich.console import Console

from bitagent_crds.evaluation import Scorer
from bitagent_crds.fields import PromptFormat
from bitagent_crds.jobs import EXIT_INFRASTRUCTURE, EXIT_OK, EXIT_USAGE
from bitagent_evaluator.cli.output import fail, print_json, results
from bitagent_evaluator.cli.run_common import add_attempt, as_json, positive, task_set
from bitagent_evaluator.cli.show import results_view
from bitagent_evaluator.cli.watching import add_quiet, progress_console, watched_progress
from bitagent_evaluator.endpoint import Address
from bitagent_evaluator.faults import InfrastructureFault
from bitagent_evaluator.runs.questions import ToolChoice
from bitagent_evaluator.runs.remote import RemoteEvaluation, UnsuitedTasks, evaluate_endpoint
from bitagent_evaluator.runs.results import write_summary
from bitagent_evaluator.runs.summary import summary_of
from bitagent_evaluator.tasks import TaskSetError
from bitagent_evaluator.tasks.files import digest_of, encode_tasks

_EPILOG = "exit codes: 0 scored, 2 wrong usage, anything else infrastructure: the endpoint is of no use, or some tasks got no answer"


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="bitagent-eval run", description=__doc__, epilog=_EPILOG)
    parser.add_argument(
        "--endpoint",
        required=True,
        metavar="URL",
        help="base URL, up to and with /v1, such as http://localhost:8000/v1",
    )
    parser.add_argument(
        "--model-name", required=True, metavar="NAME", help="the name by which the endpoint knows the model"
    )
    parser.add_argument(
        "--api-key-env", metavar="VAR", help="environment variable with the endpoint's key (default: no key is sent)"
    )
    parser.add_argument("--tasks", type=Path, required=True, metavar="DIR", help="a task set, or its tasks.jsonl")
    parser.add_argument(
        "--out", type=Path, metavar="DIR", help="directory of the results (default: results/NAME of the model)"
    )
    parser.add_argument(
        "--prompt-format", type=PromptFormat, choices=list(PromptFormat), default=PromptFormat.AUTO, metavar="FORMAT",
        help=f"how tasks become prompts: {', '.join(PromptFormat)} (default: %(default)s, which is ChatTemplate: functions as tools)",
    )  # fmt: skip
    parser.add_argument(
        "--tool-choice", type=ToolChoice, choices=list(ToolChoice), default=ToolChoice.AUTO, metavar="CHOICE",
        help="for ChatTemplate: auto has the server parse calls, none takes them as the text that the model wrote (default: %(default)s)",
    )  # fmt: skip
    parser.add_argument(
        "--scorer", type=Scorer, choices=[s for s in Scorer if s is not Scorer.LOSS], default=Scorer.BFCL,
        metavar="NAME", help=f"how answers are judged: {', '.join(s for s in Scorer if s is not Scorer.LOSS)} (default: %(default)s)",
    )  # fmt: skip
    parser.add_argument(
        "--max-tokens", type=positive, default=256, metavar="N", help="limit of one answer (default: %(default)s)"
    )
    parser.add_argument(
        "--concurrency", type=positive, default=16, metavar="N", help="requests open at once (default: %(default)s)"
    )
    parser.add_argument(
        "--timeout", type=positive, default=120, metavar="SECONDS", help="limit of one request (default: %(default)s)"
    )
    parser.add_argument("--limit", type=positive, metavar="N", help="ask only the first N tasks")
    parser.add_argument("--json", action="store_true", help="print the outcome as JSON")
    add_quiet(parser)
    add_attempt(parser)
    return parser


def main(argv: list[str]) -> int:
    """Evaluate and show the outcome."""
    options = _parser().parse_args(argv)
    console = progress_console(quiet=options.quiet)
    if not options.endpoint.startswith(("http://", "https://")):
        return fail("run", f"--endpoint {options.endpoint}: no http or https URL", EXIT_USAGE)
    key = os.environ.get(options.api_key_env, "") if options.api_key_env else None
    if key == "":
        return fail("run", f"--api-key-env {options.api_key_env}: this variable is not set", EXIT_USAGE)
    try:
        manifest, tasks = task_set(options.tasks, options.limit)
    except TaskSetError as error:
        return fail("run", str(error), EXIT_USAGE)
    out: Path = options.out or Path("results") / options.model_name.replace("/", "--")
    evaluation = RemoteEvaluation(
        address=Address(options.endpoint, options.model_name, key),
        tasks=tasks,
        task_set_digest=digest_of(encode_tasks(tasks)),
        task_set=manifest,
        out_dir=out,
        max_tokens=options.max_tokens,
        prompt_format=options.prompt_format,
        tool_choice=options.tool_choice,
        scorer=options.scorer,
        concurrency=options.concurrency,
        timeout_seconds=options.timeout,
        fresh=options.fresh,
    )
    return _run(evaluation, console, machine=options.json)


def _run(evaluation: RemoteEvaluation, console: Console, *, machine: bool) -> int:
    out = evaluation.out_dir
    try:
        with watched_progress(console) as progress:
            evaluated = evaluate_endpoint(evaluation, progress)
    except UnsuitedTasks as error:
        return fail("run", str(error), EXIT_USAGE)
    except InfrastructureFault as fault:
        return fail("run", f"{fault.reason}: {fault.message}", EXIT_INFRASTRUCTURE)
    except OSError as error:
        return fail("run", f"{error.filename or out}: {error.strerror}", EXIT_INFRASTRUCTURE)
    except KeyboardInterrupt:
        return fail("run", f"stopped; the same command goes on from the answers in {out}", EXIT_INFRASTRUCTURE)
    summary = summary_of(evaluated, task_set_digest=evaluation.task_set_digest)
    write_summary(out, summary)
    if machine:
        print_json(as_json(summary, evaluated, out))
    else:
        results().print(results_view(evaluation.address.model, evaluated, out))
    return EXIT_OK
