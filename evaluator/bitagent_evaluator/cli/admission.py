"""A round's conditions of admission, applied to a local model by the rules of the operator."""

from __future__ import annotations

import argparse
from pathlib import Path

from pydantic import ValidationError

from bitagent_crds.admission import Refusal, refuse, refuse_memory
from bitagent_crds.evalround import Admission
from bitagent_crds.evaluation import RunSpec
from bitagent_evaluator.models.preflight import check_directory
from bitagent_evaluator.support.faults import first_error


def add_admission(parser: argparse.ArgumentParser) -> None:
    """Add the option of a round's conditions."""
    parser.add_argument(
        "--admission", type=admission_of, metavar="JSON",
        help="conditions of admission, as spec.admission of a round: a model that breaks one is refused before it is "
        "loaded (default: none)",
    )  # fmt: skip


def admission_of(text: str) -> Admission:
    """Return the conditions of an option's JSON. Raises argparse.ArgumentTypeError."""
    try:
        return Admission.model_validate_json(text)
    except ValidationError as error:
        raise argparse.ArgumentTypeError(str(first_error(error, whole="spec.admission"))) from None


def refusal_of(directory: Path, rules: Admission, run: RunSpec, *, max_bytes: int) -> Refusal | None:
    """Return why a round of these rules would not admit a model; None if it would.

    A model whose files are not sound has no facts: the evaluation itself says what is wrong with it. Raises OSError.
    """
    facts = check_directory(directory, max_bytes=max_bytes, scan_values=False).facts
    if facts is None:
        return None
    return refuse(rules, facts) or refuse_memory(rules, run, run.engine, facts)
