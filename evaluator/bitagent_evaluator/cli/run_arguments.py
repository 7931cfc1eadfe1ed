"""Options of `run` for models on this machine, and the RunSpec that they ask for."""

from __future__ import annotations

import argparse

from pydantic import ValidationError

from bitagent_crds.evaluation import RunSpec
from bitagent_crds.minermodel import DType, EngineChoices
from bitagent_evaluator.cli.admission import add_admission
from bitagent_evaluator.cli.names import member_of
from bitagent_evaluator.cli.run_models import add_fetch_options
from bitagent_evaluator.cli.run_options import add_batches, add_measure, add_run_options, add_thinking, spec_members
from bitagent_evaluator.scoring.scorers import scorer_names
from bitagent_evaluator.support.faults import first_error

_DESCRIPTION = (
    "Evaluate models on a task set, as a validator's pods do. A repository is fetched first, and kept. Several models "
    "run in one process; a model that is at fault does not stop the others."
)
_EPILOG = (
    "exit codes: 0 scored, 2 wrong usage, 78 the model's fault (score 0), anything else infrastructure; "
    "of several models, infrastructure before a model's fault before 0. "
    "The hub's address and token come from HF_ENDPOINT and HF_TOKEN. "
    "`run --endpoint URL --model-name NAME --help` shows the options for models behind an OpenAI-compatible endpoint"
)


def run_parser() -> argparse.ArgumentParser:
    """Return the parser of the options for models on this machine."""
    parser = argparse.ArgumentParser(prog="bitagent-eval run", description=_DESCRIPTION, epilog=_EPILOG)
    parser.add_argument(
        "models", nargs="*", metavar="MODEL",
        help="a model's folder, or a repository as owner/name or owner/name@revision; several share one process",
    )  # fmt: skip
    parser.add_argument(
        "--model", action="append", default=[], metavar="MODEL", help="the same as an option, as often as needed"
    )
    add_fetch_options(parser)
    add_run_options(
        parser,
        scorers=scorer_names(),
        out="; of several models each has DIR/NAME",
        json=", a list for several models",
    )
    parser.add_argument(
        "--dtype", type=member_of(DType), default=DType.AUTO, metavar="TYPE",
        help=f"number format in the engine: {', '.join(DType)} (default: %(default)s, the checkpoint's own)",
    )  # fmt: skip
    parser.add_argument(
        "--max-model-length", type=_model_length, metavar="N",
        help="limit of prompt and answer together, in tokens (default: what tasks and model allow)",
    )  # fmt: skip
    add_admission(parser)
    add_thinking(parser)
    add_measure(parser)
    add_batches(parser)
    return parser


def _model_length(text: str) -> int:
    try:
        return EngineChoices.model_validate({"maxModelLength": text}).max_model_length or 0
    except ValidationError as error:
        raise argparse.ArgumentTypeError(first_error(error).message) from None


def run_spec(
    options: argparse.Namespace,
    *,
    repo: str,
    commit: str | None = None,
    weights_digest: str | None = None,
    model_digest: str | None = None,
    task_set_digest: str,
) -> RunSpec:
    """Return what the options ask for, of one model and one task set."""
    return RunSpec(
        repo=repo,
        commit=commit,
        weights_digest=weights_digest,
        model_digest=model_digest,
        task_set_digest=task_set_digest,
        engine=EngineChoices(dtype=options.dtype, max_model_length=options.max_model_length),
        loss=options.loss,
        **spec_members(options),
    )
