"""What the verbs share about scorer Loss: its options, and how losses are shown."""

from __future__ import annotations

import argparse

from pydantic import ValidationError

from bitagent_crds.evaluation import LossParameters, Scorer
from bitagent_evaluator.scoring import Aggregate

_OPTIONS = {"sequence_length": "--sequence-length", "batches": "--batches"}


def add_batches(parser: argparse.ArgumentParser) -> None:
    """`--batches`."""
    default = LossParameters().batches
    parser.add_argument(
        "--batches", type=int, metavar="N",
        help=f"with scorer Loss: parts of the samples whose mean losses are also given (default: {default})",
    )  # fmt: skip


def add_sequence_length(parser: argparse.ArgumentParser) -> None:
    """`--sequence-length`."""
    default = LossParameters().sequence_length
    parser.add_argument(
        "--sequence-length", type=int, metavar="N",
        help=f"with scorer Loss: most tokens of prompt and reference together, what is beyond is cut (default: {default})",
    )  # fmt: skip


def loss_parameters(options: argparse.Namespace) -> LossParameters:
    """The parameters given. Raises ValueError, with a text for people, for values out of range and for another scorer."""
    given = {name: value for name in _OPTIONS if (value := getattr(options, name, None)) is not None}
    if given and options.scorer != Scorer.LOSS:
        raise ValueError(f"{_OPTIONS[next(iter(given))]} belongs to --scorer {Scorer.LOSS}")
    try:
        return LossParameters.model_validate(given)
    except ValidationError as error:
        found = error.errors(include_url=False)[0]
        option = next(option for name, option in _OPTIONS.items() if name in given and found["input"] == given[name])
        raise ValueError(f"{option} {found['input']}: {found['msg']}") from None


def losses_text(outcome: Aggregate) -> str:
    """The mean losses, overall and of the batches; empty for another scorer."""
    if outcome.loss is None:
        return ""
    of_batches = ", ".join(outcome.batch_losses)
    return f"{outcome.loss} nats per token; of {len(outcome.batch_losses)} batches: {of_batches}"
