"""`bitagent-eval similar`: how much the weights of two models are alike, and what a round makes of that."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from rich.table import Table
from rich.text import Text

from bitagent_crds.jobs import EXIT_INFRASTRUCTURE, EXIT_MODEL_FAULT, EXIT_OK, EXIT_USAGE
from bitagent_crds.sketches import SAME_BASE, SAME_FUNCTION, WeightsSketch
from bitagent_evaluator.cli.console import show, spinner, untrusted
from bitagent_evaluator.cli.process import fail, print_json
from bitagent_evaluator.models.digests import weights_digest
from bitagent_evaluator.models.similarity import similarity_sketch
from bitagent_evaluator.models.untrained import ADDED, FEWEST_WITNESSES, Changes, find_changes
from bitagent_evaluator.models.validation.files import weight_files
from bitagent_evaluator.sandbox.protocol import Refused

_DESCRIPTION = "Tell whether the weights of two models make one a copy of the other."
_EPILOG = (
    "A round also compares the answers: models of one base are near copies only if they share most of their mistakes. "
    "With --among, the change from A to B is compared with other trainings of the base as well, which a round does not "
    "do: it finds noise, rounding and pruning of any size. "
    "exit codes: 0 compared, 2 wrong usage, 78 the files of a model cannot be read, 1 this machine"
)


class Relation(StrEnum):
    """What the weights say about two models."""

    SAME_WEIGHTS = "SameWeights"
    SAME_FUNCTION = "SameFunction"
    UNTRAINED_COPY = "UntrainedCopy"
    SAME_BASE = "SameBase"
    UNRELATED = "Unrelated"
    UNKNOWN = "Unknown"

    @property
    def meaning(self) -> str:
        """What a round makes of it."""
        return _MEANINGS[self]


_MEANINGS = {
    Relation.SAME_WEIGHTS: "the later one is a duplicate of the earlier one, and is not evaluated",
    Relation.SAME_FUNCTION: "one is the other in another form: the later one is a near copy if their answers agree",
    Relation.UNTRAINED_COPY: "B is A with noise, rounding or pruning, and no training; a round flags it only if they "
    "share their mistakes",
    Relation.SAME_BASE: "they may have a common base: the later one is a near copy only if they share their mistakes",
    Relation.UNRELATED: "no copies",
    Relation.UNKNOWN: "one of them is of a kind whose weights are not compared; only equal digests make a duplicate",
}


@dataclass(frozen=True)
class _Comparison:
    digests: tuple[str, str]
    similarity: float | None
    """From 0 to 1; None if a model has no sketch."""
    distance: float | None
    changes: Changes | None = None
    """From the first to the second; None if they were not looked for, or if the weights cannot be compared."""

    @property
    def relation(self) -> Relation:
        if self.digests[0] == self.digests[1]:
            return Relation.SAME_WEIGHTS
        if self.similarity is None or self.distance is None:
            return Relation.UNKNOWN
        if self.distance <= SAME_FUNCTION:
            return Relation.SAME_FUNCTION
        if self.changes is not None and self.changes.added:
            return Relation.UNTRAINED_COPY
        return Relation.SAME_BASE if self.similarity >= SAME_BASE else Relation.UNRELATED


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="bitagent-eval similar", description=_DESCRIPTION, epilog=_EPILOG)
    parser.add_argument("first", metavar="A", type=Path, help="directory of a model, the earlier one")
    parser.add_argument("second", metavar="B", type=Path, help="directory of another")
    parser.add_argument(
        "--among", metavar="DIR", type=Path, nargs="+", default=[],
        help=f"other models of their base, at least {FEWEST_WITNESSES}: tell whether B is A without any training",
    )  # fmt: skip
    parser.add_argument("--json", action="store_true", help="print the comparison as JSON")
    return parser


def main(argv: list[str]) -> int:
    """Compare two models and print the result. Returns the exit code."""
    options = _parser().parse_args(argv)
    models = (options.first, options.second)
    for model in (*models, *options.among):
        if not model.is_dir() or not weight_files(entry.name for entry in model.iterdir()):
            return fail("similar", f"{model} is not a directory with a model's weights", EXIT_USAGE)
    try:
        with spinner("reading the weights"):
            found = _compare(*models, options.among)
    except Refused as error:
        return fail("similar", error.message, EXIT_MODEL_FAULT)
    except OSError as error:
        return fail("similar", f"{error.filename}: {error.strerror}", EXIT_INFRASTRUCTURE)
    if options.json:
        content: dict[str, object] = {"weightsDigests": list(found.digests)}
        content |= {"similarity": found.similarity, "distance": found.distance}
        if options.among:
            content["changes"] = _changes_content(found.changes, options.among)
        print_json({"models": [str(model) for model in models], **content, "relation": found.relation})
    else:
        show(_view(models, found, options.among))
    return EXIT_OK


def _compare(first: Path, second: Path, others: Sequence[Path]) -> _Comparison:
    digests = (weights_digest(first), weights_digest(second))
    texts = (similarity_sketch(first), similarity_sketch(second))
    if texts[0] is None or texts[1] is None:
        return _Comparison(digests, None, None)
    a, b = WeightsSketch.decode(texts[0]), WeightsSketch.decode(texts[1])
    changes = find_changes(first, second, others) if others else None
    return _Comparison(digests, a.similarity(b), a.distance(b), changes)


def _changes_content(changes: Changes | None, others: Sequence[Path]) -> dict[str, object] | None:
    if changes is None:
        return None
    deviations = [{"model": str(each), "deviation": at} for each, at in zip(others, changes.deviations, strict=True)]
    return {"size": changes.size, "aligned": changes.aligned, "among": deviations}


def _view(models: tuple[Path, Path], found: _Comparison, others: Sequence[Path]) -> Table:
    table = Table.grid(padding=(0, 2))
    for model, digest in zip(models, found.digests, strict=True):
        table.add_row(untrusted(str(model)), digest)
    if found.similarity is not None and found.distance is not None:
        table.add_row("similarity", f"{found.similarity:.4f} (of one base from {SAME_BASE})")
        table.add_row("distance", f"{found.distance:.5f} (of one function up to {SAME_FUNCTION:.5f})")
    if found.changes is not None:
        _add_changes(table, found.changes, others)
    table.add_row("relation", Text(found.relation, style="bold"))
    table.add_row("in a round", found.relation.meaning)
    return table


def _add_changes(table: Table, changes: Changes, others: Sequence[Path]) -> None:
    table.add_row("change", f"{changes.size:.2%} of the weights")
    if not changes.aligned:
        table.add_row("", "neurons, heads or the hidden state are in another order or basis: no training does that")
        return
    for other, deviation in zip(others, changes.deviations, strict=True):
        shown = (
            "shows nothing: no other training, or hidden by the change"
            if deviation is None
            else f"deviation {deviation:.2f}"
        )
        table.add_row("among", Text.assemble(untrusted(str(other)), f": {shown}"))
    table.add_row(
        "", f"without training at most {ADDED:.0f} with each of at least {FEWEST_WITNESSES} that show training"
    )
