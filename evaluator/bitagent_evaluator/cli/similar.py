"""`bitagent-eval similar`: how much the weights of two models are alike, and what a round makes of that."""

from __future__ import annotations

import argparse
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
from bitagent_evaluator.models.validation.files import weight_files
from bitagent_evaluator.sandbox.protocol import Refused

_DESCRIPTION = "Tell whether the weights of two models make one a copy of the other."
_EPILOG = (
    "A round also compares the answers: models of one base are near copies only if they share most of their mistakes. "
    "exit codes: 0 compared, 2 wrong usage, 78 the files of a model cannot be read, 1 this machine"
)


class Relation(StrEnum):
    """What the weights say about two models."""

    SAME_WEIGHTS = "SameWeights"
    SAME_FUNCTION = "SameFunction"
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

    @property
    def relation(self) -> Relation:
        if self.digests[0] == self.digests[1]:
            return Relation.SAME_WEIGHTS
        if self.similarity is None or self.distance is None:
            return Relation.UNKNOWN
        if self.distance <= SAME_FUNCTION:
            return Relation.SAME_FUNCTION
        return Relation.SAME_BASE if self.similarity >= SAME_BASE else Relation.UNRELATED


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="bitagent-eval similar", description=_DESCRIPTION, epilog=_EPILOG)
    parser.add_argument("first", metavar="A", type=Path, help="directory of a model")
    parser.add_argument("second", metavar="B", type=Path, help="directory of another")
    parser.add_argument("--json", action="store_true", help="print the comparison as JSON")
    return parser


def main(argv: list[str]) -> int:
    """Compare two models and print the result. Returns the exit code."""
    options = _parser().parse_args(argv)
    models = (options.first, options.second)
    for model in models:
        if not model.is_dir() or not weight_files(entry.name for entry in model.iterdir()):
            return fail("similar", f"{model} is not a directory with a model's weights", EXIT_USAGE)
    try:
        with spinner("reading the weights"):
            found = _compare(*models)
    except Refused as error:
        return fail("similar", error.message, EXIT_MODEL_FAULT)
    except OSError as error:
        return fail("similar", f"{error.filename}: {error.strerror}", EXIT_INFRASTRUCTURE)
    if options.json:
        content = {"weightsDigests": list(found.digests), "similarity": found.similarity, "distance": found.distance}
        print_json({"models": [str(model) for model in models], **content, "relation": found.relation})
    else:
        show(_view(models, found))
    return EXIT_OK


def _compare(first: Path, second: Path) -> _Comparison:
    digests = (weights_digest(first), weights_digest(second))
    texts = (similarity_sketch(first), similarity_sketch(second))
    if texts[0] is None or texts[1] is None:
        return _Comparison(digests, None, None)
    a, b = WeightsSketch.decode(texts[0]), WeightsSketch.decode(texts[1])
    return _Comparison(digests, a.similarity(b), a.distance(b))


def _view(models: tuple[Path, Path], found: _Comparison) -> Table:
    table = Table.grid(padding=(0, 2))
    for model, digest in zip(models, found.digests, strict=True):
        table.add_row(untrusted(str(model)), digest)
    if found.similarity is not None and found.distance is not None:
        table.add_row("similarity", f"{found.similarity:.4f} (of one base from {SAME_BASE})")
        table.add_row("distance", f"{found.distance:.5f} (of one function up to {SAME_FUNCTION:.5f})")
    table.add_row("relation", Text(found.relation, style="bold"))
    table.add_row("in a round", found.relation.meaning)
    return table
