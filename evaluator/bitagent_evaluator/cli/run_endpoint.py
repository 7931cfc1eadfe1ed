"""`bitagent-eval run --endpoint URL --model-name NAME`: evaluate a model behind an OpenAI-compatible endpoint."""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from urllib.parse import urlsplit

from rich.console import Console

from bitagent_crds.evaluation import BuiltinScorer, RunSpec
from bitagent_crds.jobs import EXIT_INFRASTRUCTURE, EXIT_OK, EXIT_USAGE
from bitagent_crds.texts import digest_of
from bitagent_evaluator.cli.console import progress_console, progress_on, show
from bitagent_evaluator.cli.names import member_of
from bitagent_evaluator.cli.process import fail, print_json
from bitagent_evaluator.cli.run_options import (
    add_run_options,
    add_thinking,
    fail_stopped,
    outcome_json,
    positive,
    read_first_tasks,
    spec_members,
)
from bitagent_evaluator.cli.score_views import evaluation_view
from bitagent_evaluator.engines.openai import Address
from bitagent_evaluator.evaluation.endpoint_prompts import ToolChoice
from bitagent_evaluator.evaluation.remote import RemoteEvaluation, UnsuitedTasks, evaluate_endpoint
from bitagent_evaluator.evaluation.results import summary_of, write_summary
from bitagent_evaluator.scoring.scorers import scorer_names
from bitagent_evaluator.support.faults import InfrastructureFault
from bitagent_evaluator.support.http import check_web_address
from bitagent_evaluator.tasks.files import TaskSetError, encode_tasks

_DESCRIPTION = "Evaluate a model behind an OpenAI-compatible endpoint."
_EPILOG = (
    "exit codes: 0 scored, 2 wrong usage, anything else infrastructure: the endpoint cannot be used, or some tasks got "
    "no answer"
)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="bitagent-eval run", description=_DESCRIPTION, epilog=_EPILOG)
    parser.add_argument(
        "--endpoint", required=True, metavar="URL",
        help="base URL, up to and with /v1, such as http://localhost:8000/v1",
    )  # fmt: skip
    parser.add_argument(
        "--model-name", required=True, metavar="NAME", help="the name by which the endpoint knows the model"
    )
    parser.add_argument(
        "--api-key-env", metavar="VAR", help="environment variable with the endpoint's key (default: no key is sent)"
    )
    add_run_options(
        parser,
        scorers=[name for name in scorer_names() if name != BuiltinScorer.LOSS],
        auto=", which is ChatTemplate: functions as tools",
    )
    add_thinking(parser)
    parser.add_argument(
        "--tool-choice", type=member_of(ToolChoice), default=ToolChoice.AUTO, metavar="CHOICE",
        help="for ChatTemplate: auto has the server parse calls, none reads them from the model's text "
        "(default: %(default)s)",
    )  # fmt: skip
    parser.add_argument(
        "--concurrency", type=positive, default=16, metavar="N", help="requests open at once (default: %(default)s)"
    )
    parser.add_argument(
        "--timeout", type=positive, default=120, metavar="SECONDS", help="limit of one request (default: %(default)s)"
    )
    return parser


def main(argv: list[str]) -> int:
    """Evaluate the model and print the outcome. Returns the exit code."""
    options = _parser().parse_args(argv)
    console = progress_console(quiet=options.quiet)
    try:
        check_endpoint(options.endpoint)
        key = _key(options.api_key_env) if options.api_key_env else None
    except ValueError as error:
        return fail("run", str(error), EXIT_USAGE)
    try:
        manifest, tasks = read_first_tasks(options.tasks, options.limit)
    except TaskSetError as error:
        return fail("run", str(error), EXIT_USAGE)
    evaluation = RemoteEvaluation(
        run=RunSpec(
            repo=options.model_name,
            task_set_digest=digest_of(encode_tasks(tasks)),
            **spec_members(options),
        ),
        address=Address(options.endpoint, options.model_name, key),
        tasks=tasks,
        out_dir=options.out or Path("results") / options.model_name.replace("/", "--"),
        tool_choice=options.tool_choice,
        task_set=manifest,
        concurrency=options.concurrency,
        timeout_seconds=options.timeout,
        fresh=options.fresh,
    )
    return _run(evaluation, console, as_json=options.json)


_PATHS = ("/chat/completions", "/completions", "/models", "/responses", "/messages", "/api/chat", "/api/generate")
"""Ends of addresses to which single requests go."""


def check_endpoint(url: str) -> None:
    """Check the base URL of an endpoint. Raises ValueError, which says what is wrong with it."""
    try:
        check_web_address(url)
    except ValueError as error:
        raise ValueError(f"--endpoint is not an http or https URL: {error}") from None
    path = urlsplit(url).path.rstrip("/")
    if end := next((end for end in _PATHS if path.endswith(end)), None):
        raise ValueError(f"--endpoint {url}: leave out {end}: the address mostly ends in /v1")


def _key(variable: str) -> str:
    """Return the key in an environment variable, without blanks around it. Raises ValueError."""
    key = os.environ.get(variable, "").strip()
    if not key:
        raise ValueError(f"--api-key-env {variable}: this variable is not set")
    if not key.isascii() or not key.isprintable() or " " in key:
        raise ValueError(f"--api-key-env {variable}: its value has characters that a key cannot have")
    return key


def _run(evaluation: RemoteEvaluation, console: Console, *, as_json: bool) -> int:
    out = evaluation.out_dir
    try:
        with progress_on(console) as progress:
            evaluated = evaluate_endpoint(evaluation, progress)
    except UnsuitedTasks as error:
        return fail("run", str(error), EXIT_USAGE)
    except InfrastructureFault as fault:
        return fail("run", f"{fault.reason}: {fault.message}", EXIT_INFRASTRUCTURE)
    except OSError as error:
        return fail("run", f"{error.filename or out}: {error.strerror}", EXIT_INFRASTRUCTURE)
    except KeyboardInterrupt:
        return fail_stopped(out)
    summary = summary_of(evaluated)
    write_summary(out, summary)
    if as_json:
        print_json(outcome_json(summary, evaluated, out))
    else:
        show(*evaluation_view(evaluation.address.model, evaluated, out))
    return EXIT_OK
