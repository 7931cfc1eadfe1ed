"""`bitagent-eval serve`: serve a model to the rounds of a Validator, as in the operator's rewriter pods."""

from __future__ import annotations

import argparse
import os
from pathlib import Path

from bitagent_crds.jobs import EXIT_MODEL_FAULT, EXIT_NO_MODEL
from bitagent_crds.minermodel import DType, EngineChoices
from bitagent_crds.rewriter import SERVED_MODEL
from bitagent_evaluator.cli.names import member_of
from bitagent_evaluator.cli.process import fail
from bitagent_evaluator.engines.server import server_command, server_environment
from bitagent_evaluator.evaluation.prepared import checked_model
from bitagent_evaluator.models.validation.files import weight_files
from bitagent_evaluator.support.faults import ModelFault

_DESCRIPTION = "Serve a model by vLLM's OpenAI server, as in the operator's rewriter pods."
_EPILOG = "exit codes: 66 there is no model, 78 the model's fault; else those of the server, which runs until stopped"


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="bitagent-eval serve", description=_DESCRIPTION, epilog=_EPILOG)
    parser.add_argument("model", type=Path, metavar="MODEL", help="directory of the model's files")
    parser.add_argument(
        "--name", action="append", help=f"the model's name for clients; may be repeated (default: {SERVED_MODEL})"
    )
    parser.add_argument("--port", type=int, default=8000, help="port (default: %(default)s)")
    parser.add_argument(
        "--gpus", type=int, default=1, metavar="N", help="GPUs to use; 0: the CPU (default: %(default)s)"
    )
    parser.add_argument(
        "--dtype", type=member_of(DType), default=DType.AUTO, metavar="TYPE",
        help=f"number format: {', '.join(DType)} (default: %(default)s)",
    )  # fmt: skip
    parser.add_argument("--max-model-length", type=int, metavar="N", help="most tokens of prompt and answer together")
    return parser


def main(argv: list[str]) -> int:
    """Become the server. Returns an exit code only if the model cannot be served."""
    options = _parser().parse_args(argv)
    model: Path = options.model
    weights = weight_files(entry.name for entry in model.iterdir()) if model.is_dir() else []
    if not weights:
        return fail("serve", f"{model} holds no model: was it removed from the cache?", EXIT_NO_MODEL)
    try:
        checked = checked_model(model)
    except ModelFault as fault:
        return fail("serve", f"{fault.reason}: {fault.message}", EXIT_MODEL_FAULT)
    choices = EngineChoices(dtype=options.dtype, max_model_length=options.max_model_length)
    command = server_command(
        model,
        dict(checked.config or {}),
        choices,
        names=options.name or [SERVED_MODEL],
        port=options.port,
        gpus=options.gpus,
    )
    size = sum((model / name).stat().st_size for name in weights)
    os.environ.update(server_environment(size, gpus=options.gpus))
    os.execv(command[0], command)  # noqa: S606 - the server must be the container's process, to get its signals
