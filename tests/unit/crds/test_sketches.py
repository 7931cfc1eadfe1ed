"""Sketches as text, and what is estimated from two of them."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bitagent_crds.sketches import MAX_NUMBERS, AnswerSketch, Row, SketchError, WeightsSketch

WIDTH = 6


def row(random_: random.Random, width: int) -> Row:
    return tuple(random_.randrange(1 << 16) for _ in range(width))


def layers(seed: int, count: int = 12) -> list[Row]:
    return [row(random.Random(f"{seed} {i}"), WIDTH) for i in range(count)]


def moved(rows: list[Row], steps: int) -> list[Row]:
    """Return the rows with every number so many steps further on the circle."""
    return [tuple((number + steps) % (1 << 16) for number in each) for each in rows]


def similarity(a: list[Row], b: list[Row]) -> float:
    first, second = WeightsSketch(tuple(a)), WeightsSketch(tuple(b))
    assert first.similarity(second) == second.similarity(first)
    return first.similarity(second)


@given(st.integers(1, 63), st.integers(0, 12), st.randoms())
def test_weights_sketches_survive_text(count: int, width: int, random_: random.Random) -> None:
    sketch = WeightsSketch(tuple(row(random_, min(width, MAX_NUMBERS // count)) for _ in range(count)))
    assert len(sketch.encode()) <= 256
    assert WeightsSketch.decode(sketch.encode()) == sketch


@pytest.mark.parametrize("mistakes", [b"", bytes(range(48))])
def test_answer_sketches_survive_text(mistakes: bytes) -> None:
    sketch = AnswerSketch(bytes(range(48)), mistakes)
    assert len(sketch.encode()) <= 128
    assert AnswerSketch.decode(sketch.encode()) == sketch


@pytest.mark.parametrize("text", ["", "A", "AA", "=", "ä", "AQMG", "AgAA", "A" * 256])
def test_other_texts_are_not_sketches(text: str) -> None:
    with pytest.raises(SketchError):
        WeightsSketch.decode(text)
    with pytest.raises(SketchError):
        AnswerSketch.decode(text)


def test_a_model_is_like_itself() -> None:
    assert similarity(layers(1), layers(1)) == 1.0


@pytest.mark.parametrize(
    ("steps", "least", "most"), [(1, 0.9998, 0.9999), (-800, 0.9, 0.91), (4096, 0.5, 0.5), (8192, 0.0, 0.0)]
)
def test_similarity_falls_with_the_distance(steps: int, least: float, most: float) -> None:
    assert least <= similarity(layers(1), moved(layers(1), steps)) <= most


def test_unrelated_models_are_not_alike() -> None:
    assert max(similarity(layers(1), layers(seed)) for seed in range(2, 40)) < 0.3


def test_properties_that_were_changed_on_purpose_do_not_hide_the_others() -> None:
    changed = [(*each[: WIDTH - 2], 0, 0) for each in layers(1)]
    assert similarity(layers(1), changed) == 1.0


@pytest.mark.parametrize("at", [0, 5, 12])
def test_layers_that_one_model_lacks_do_not_count(at: int) -> None:
    longer = layers(1)
    longer[at:at] = layers(2, 3)
    assert similarity(layers(1), longer) == 1.0


def test_narrower_rows_are_compared_as_far_as_they_go() -> None:
    assert similarity(layers(1), [each[:4] for each in layers(1)]) == 1.0


@pytest.mark.parametrize(("changed", "least", "most"), [(0, 0.0, 0.0), (1, 0.0, 0.0), (3, 0.01, 0.02), (6, 0.01, 0.02)])
def test_distance_is_that_of_most_properties(changed: int, least: float, most: float) -> None:
    other = [(*moved([each[:changed]], 1000)[0], *each[changed:]) for each in layers(1)]
    found = WeightsSketch(tuple(layers(1))).distance(WeightsSketch(tuple(other)))
    assert least <= found <= most


def test_without_layers_nothing_is_alike() -> None:
    assert WeightsSketch(()).distance(WeightsSketch(tuple(layers(1)))) == float("inf")
    assert similarity([], layers(1)) == similarity([], []) == 0.0
