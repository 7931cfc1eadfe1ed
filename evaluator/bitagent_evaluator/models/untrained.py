"""Whether what a later model has beyond an earlier one was learned, or only added: by noise, rounding or pruning.

Training from a base changes what other trainings from it change, too, and training on from a model depends on what that
model has learned. What is added without data depends on neither. So where the earlier model differs by training from a
third one of the base (a witness), the change from the earlier to the later model is correlated with that difference in
most of the matrices if it was learned, however small it is. If it was added, it is uncorrelated, however large it is.

The correlation of N weights has a standard deviation of 1/sqrt(N) where there is none. Measured in such deviations, an
added change has about 1 in models of any size, and a learned one the more, the larger the model.
docs/decisions/061-changes-without-training.md has the measurements, and what a copier can do against it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import fmean, median
from typing import Any

import numpy as np

from bitagent_evaluator.models.dequantization import Matrix
from bitagent_evaluator.models.digests import read_config, used_tensors
from bitagent_evaluator.models.layer_weights import Shape, layer_weights, shape_of
from bitagent_evaluator.models.values import Floats, StoredTensor
from bitagent_evaluator.sandbox.protocol import Refused

ADDED = 2.0
"""Largest deviation of an added change: copies had at most 1.7. Of three witnesses of an honest model one had 2.35 at
least."""
FEWEST_WITNESSES = 3
"""Witnesses without which nothing is said: a single one of an honest model had as little as 1.6."""
TRAINED = 1.3
"""Largest singular value, as a multiple of that of noise, from which a difference is one of training: noise and
rounding had at most 1.1, trainings 1.8 and more."""
UNCERTAIN = 0.1
"""Share of the earlier model's difference to a witness, per matrix, beyond which a large change hides what was kept of
it. It allows for changes of 10 times the difference in matrices of 10,000 weights, and of 200 times in 4 million."""
ALIGNED = 0.5
"""Cosine below which two models of one base have their neurons, heads or hidden state in another order or basis."""
_PART_VALUES = 1 << 22
"""Values of a matrix that are compared at once."""
_ITERATIONS = 12
"""Steps of the power iteration."""


@dataclass(frozen=True)
class Changes:
    """What a later model has beyond an earlier one."""

    size: float
    """Norm of the change, as a share of that of the weights."""
    aligned: bool
    """Whether both models have their weights in one order and basis. The deviations mean nothing without that."""
    deviations: tuple[float | None, ...]
    """For each of the other models, how far the change is correlated with the earlier model's difference to it, in
    standard deviations; None if that difference is none of training or is hidden by the change, or if the model cannot
    be compared."""

    @property
    def added(self) -> bool:
        """Whether the change was added without training."""
        witnesses = [deviation for deviation in self.deviations if deviation is not None]
        return self.aligned and len(witnesses) >= FEWEST_WITNESSES and max(witnesses) <= ADDED


def find_changes(first: Path, later: Path, others: Sequence[Path]) -> Changes | None:
    """Return what `later` has beyond `first`; None if there is nothing, or if their weights cannot be compared.

    `others` are directories of models of their base. Raises Refused if a header is malformed, and OSError if a file
    cannot be read.
    """
    pair, witnesses = (_open(first), _open(later)), [_Witness(_open(path)) for path in others]
    if pair[0] is None or pair[1] is None:
        return None
    sums = _Sums()
    with np.errstate(over="ignore", invalid="ignore"):
        if not _compare_layers(sums, witnesses, (pair[0], pair[1])):
            return None
    if not sums.change or not sums.first:
        return None
    return Changes(
        size=math.sqrt(sums.change / sums.first),
        aligned=sums.product >= ALIGNED * math.sqrt(sums.first * sums.later),
        deviations=tuple(witness.deviation() for witness in witnesses),
    )


def _compare_layers(sums: _Sums, witnesses: Sequence[_Witness], pair: tuple[_Opened, _Opened]) -> bool:
    """Add what all layers show. Returns False if the models have other matrices."""
    first, later = pair
    for layer in range(first.shape.layers):
        matrices, changed = first.matrices(layer), later.matrices(layer)
        if not matrices or _shapes(matrices) != _shapes(changed):
            return False
        for witness in witnesses:
            witness.begin(layer, matrices)
        for number, (matrix, other) in enumerate(zip(matrices, changed, strict=True)):
            _compare(sums, witnesses, number, matrix, other)
    return True


@dataclass(frozen=True)
class _Opened:
    tensors: dict[str, StoredTensor]
    shape: Shape

    def matrices(self, layer: int) -> list[Matrix]:
        """Return the layer's matrices; none if it has no such layer, or if they are not stored in a known way."""
        try:
            found = layer_weights(self.tensors, layer, self.shape)
        except (KeyError, IndexError, ValueError):
            return []
        if found is None:
            return []
        matrices = [found.query, found.key, found.value, found.output, found.gate, found.up, found.down]
        return matrices if all(len(matrix.shape) == 2 for matrix in matrices) else []


def _open(path: Path) -> _Opened | None:
    tensors = used_tensors(path)
    try:
        return _Opened(tensors, shape_of(read_config(path)))
    except Refused:
        return None


def _shapes(matrices: Sequence[Matrix]) -> list[tuple[int, ...]]:
    return [matrix.shape for matrix in matrices]


@dataclass
class _Sums:
    """Squares and products of two models' weights."""

    first: float = 0.0
    later: float = 0.0
    product: float = 0.0
    change: float = 0.0


@dataclass
class _Witness:
    """What one more model shows; its numbers are of one matrix each."""

    model: _Opened | None
    squares: list[float] = field(default_factory=list)
    """Squares of the correlation, in standard deviations."""
    structures: list[float] = field(default_factory=list)
    """Largest singular values of the difference, as multiples of that of noise."""
    uncertainties: list[float] = field(default_factory=list)
    """Standard deviations of the share of the difference that was kept."""
    matrices: Sequence[Matrix] = ()
    """Those of the layer that is read."""

    def begin(self, layer: int, like: Sequence[Matrix]) -> None:
        """Take up a layer; a model whose layers have other shapes is out."""
        self.matrices = self.model.matrices(layer) if self.model is not None else ()
        if _shapes(self.matrices) != _shapes(like):
            self.model, self.matrices = None, ()

    def deviation(self) -> float | None:
        """Return the root of the mean square of the correlations; None if the model shows nothing."""
        if self.model is None or not self.squares:
            return None
        if median(self.structures) < TRAINED or median(self.uncertainties) > UNCERTAIN:
            return None
        found = math.sqrt(fmean(self.squares))
        return found if math.isfinite(found) else None


def _compare(sums: _Sums, witnesses: Sequence[_Witness], number: int, first: Matrix, later: Matrix) -> None:
    """Add what one matrix shows."""
    outputs, inputs = first.shape
    step = max(1, _PART_VALUES // inputs)
    shown = [_Correlation() for _ in witnesses]
    for start in range(0, outputs, step):
        stop = min(outputs, start + step)
        a, b = first.rows(start, stop), later.rows(start, stop)
        change = b - a
        sums.first += _dot(a, a)
        sums.later += _dot(b, b)
        sums.product += _dot(a, b)
        square = _dot(change, change)
        sums.change += square
        for witness, correlation in zip(witnesses, shown, strict=True):
            if witness.matrices:
                correlation.add(a - witness.matrices[number].rows(start, stop), change, square)
    for witness, correlation in zip(witnesses, shown, strict=True):
        if correlation.change and correlation.difference:
            count = outputs * inputs
            witness.squares.append(correlation.square() * count)
            witness.structures.append(correlation.structure)
            witness.uncertainties.append(math.sqrt(correlation.change / correlation.difference / count))


@dataclass
class _Correlation:
    """Sums over the parts of one matrix."""

    product: float = 0.0
    difference: float = 0.0
    change: float = 0.0
    structure: float = 0.0
    """Of the first part."""

    def add(self, difference: Floats, change: Floats, square: float) -> None:
        if not self.difference:
            self.structure = _structure(difference)
        self.product += _dot(difference, change)
        self.difference += _dot(difference, difference)
        self.change += square

    def square(self) -> float:
        return self.product**2 / (self.difference * self.change)


def _dot(a: Floats, b: Floats) -> float:
    return float(np.einsum("ij,ij->", a, b, dtype=np.float64))


def _structure(difference: Floats) -> float:
    """Return the largest singular value of a matrix, as a multiple of what noise of its norm has."""
    norm = float(np.linalg.norm(difference))
    if not norm:
        return 0.0
    rows, columns = difference.shape
    vector: Any = np.random.default_rng(0).standard_normal(columns, np.float32)
    value = 0.0
    for _ in range(_ITERATIONS):
        vector /= np.linalg.norm(vector) or 1.0
        image = difference @ vector
        value = float(np.linalg.norm(image))
        vector = difference.T @ image
    return value / (norm * (1 / math.sqrt(rows) + 1 / math.sqrt(columns)))
