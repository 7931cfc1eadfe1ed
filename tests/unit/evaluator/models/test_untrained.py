"""Changes without training: found at any size, and not taken for those of any training."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bitagent_evaluator.models.untrained import ADDED, FEWEST_WITNESSES, Changes, find_changes

RANK = 4
WITNESSES = range(3, 3 + FEWEST_WITNESSES)


def is_matrix(name: str, values: Any) -> bool:
    return bool(values.ndim == 2 and ".layers." in name)


def trained(model: Any, seed: int, *, share: float = 0.03) -> Any:
    """Update each matrix by what all trainings of the base learn, some more of it, and by this one's own."""
    other, common, own = model.copy(), np.random.default_rng(99), np.random.default_rng(seed)
    progress = own.uniform(0.5, 1.5)
    for name, values in model.weights.items():
        if is_matrix(name, values):
            rows, columns = values.shape
            updates = [r.normal(size=(rows, RANK)) @ r.normal(size=(RANK, columns)) for r in (common, own)]
            scale = share * np.linalg.norm(values)
            learned, special = (update / np.linalg.norm(update) * scale for update in updates)
            change = progress * learned + special
            other.weights[name] = (values + change).astype(np.float32)
    return other


def changed(model: Any, change: Callable[[Any, Any], Any]) -> Any:
    other, random = model.copy(), np.random.default_rng(7)
    for name, values in model.weights.items():
        if is_matrix(name, values):
            other.weights[name] = change(values, random).astype(np.float32)
    return other


def noise(share: float) -> Callable[[Any, Any], Any]:
    return lambda values, random: values + random.normal(0, share * values.std(), values.shape)


def bits(number: int) -> Callable[[Any, Any], Any]:
    def rounded(values: Any, _: Any) -> Any:
        steps = np.abs(values).max(axis=1, keepdims=True) / (2 ** (number - 1) - 1)
        return np.round(values / steps) * steps

    return rounded


def low_rank(values: Any, random: Any) -> Any:
    update = random.normal(size=(values.shape[0], RANK)) @ random.normal(size=(RANK, values.shape[1]))
    return values + 0.05 * np.linalg.norm(values) * update / np.linalg.norm(update)


def pruned(values: Any, _: Any) -> Any:
    return values * (np.abs(values) > np.quantile(np.abs(values), 0.05))


@pytest.fixture
def compare(make_model: Any, tmp_path: Path) -> Callable[..., Changes | None]:
    """The changes from one model to another, among trainings of the base or other models."""

    def run(first: Any, later: Any, others: list[Any] | None = None) -> Changes | None:
        if others is None:
            others = [trained(make_model(1), seed) for seed in WITNESSES]
        paths = [model.write(tmp_path / str(number)) for number, model in enumerate((first, later, *others))]
        return find_changes(paths[0], paths[1], paths[2:])

    return run


@pytest.mark.parametrize(
    "change",
    [noise(0.01), noise(0.05), noise(0.3), bits(8), bits(4), bits(3), low_rank, pruned],
    ids=["noise 1 %", "noise 5 %", "noise 30 %", "8 bits", "4 bits", "3 bits", "low rank", "pruned"],
)
def test_changes_without_training(make_model: Any, compare: Any, change: Callable[[Any, Any], Any]) -> None:
    original = trained(make_model(1), 2)
    found = compare(original, changed(original, change))
    assert found.added
    assert found.size < 0.4


@pytest.mark.parametrize("share", [0.002, 0.03, 0.2], ids=["hardly", "usual", "far"])
@pytest.mark.parametrize("start", ["base", "original"])
def test_training_is_none_of_them(make_model: Any, compare: Any, start: str, share: float) -> None:
    """Neither from the base, nor on from the model itself."""
    base = make_model(1)
    original = trained(base, 2)
    found = compare(original, trained(base if start == "base" else original, 20, share=share))
    assert found.aligned and not found.added
    assert max(found.deviations) > 2 * ADDED


@pytest.mark.parametrize("value", [np.inf, np.nan], ids=["infinite", "not a number"])
@pytest.mark.filterwarnings("error")
def test_a_witness_whose_weights_are_not_finite_shows_nothing(make_model: Any, compare: Any, value: float) -> None:
    """Otherwise it were one of the few that an accusation needs."""
    original, base = trained(make_model(1), 2), make_model(1)
    broken = trained(base, 9)
    for name, values in broken.weights.items():
        if is_matrix(name, values):
            values[0, 0] = value
    found = compare(original, changed(original, noise(0.05)), [trained(base, 3), broken, trained(base, 4)])
    assert found.deviations[1] is None
    assert found.deviations[0] is not None and not found.added


def test_a_training_of_a_base_that_is_in_the_round_is_no_copy_of_it(make_model: Any, compare: Any) -> None:
    assert not compare(make_model(1), trained(make_model(1), 2)).added


def test_the_original_is_not_taken_for_the_copy(make_model: Any, compare: Any) -> None:
    original = trained(make_model(1), 2)
    assert not compare(changed(original, noise(0.05)), original).added


@pytest.mark.parametrize("number", [FEWEST_WITNESSES - 1, FEWEST_WITNESSES], ids=["too few", "enough"])
def test_only_models_that_were_trained_are_witnesses(make_model: Any, compare: Any, number: int) -> None:
    """Other copies of the same model, or of any other, differ from it by noise, which shows nothing."""
    original = trained(make_model(1), 2)
    trainings = [trained(make_model(1), seed) for seed in list(WITNESSES)[:number]]
    copies = [changed(original, noise(share)) for share in (0.02, 0.1)]
    found = compare(original, changed(original, bits(4)), [*trainings, *copies])
    assert [each is None for each in found.deviations] == [False] * number + [True, True]
    assert found.added == (number == FEWEST_WITNESSES)


def test_a_change_that_hides_everything_shows_nothing(make_model: Any, compare: Any) -> None:
    """An honest model with as much noise could not be distinguished from it."""
    original = trained(make_model(1), 2, share=0.003)
    found = compare(
        original, changed(original, noise(0.5)), [trained(make_model(1), s, share=0.003) for s in WITNESSES]
    )
    assert found.deviations == (None,) * FEWEST_WITNESSES and not found.added


def test_a_model_of_another_shape_is_no_witness(make_model: Any, compare: Any) -> None:
    other = make_model(1)
    other.config["intermediate_size"] = 128
    for name in list(other.weights):
        if "up_proj" in name or "gate_proj" in name:
            other.weights[name] = other.weights[name][:128]
        elif "down_proj" in name:
            other.weights[name] = other.weights[name][:, :128]
    found = compare(make_model(1), trained(make_model(1), 2), [other])
    assert found.deviations == (None,)


def test_neurons_in_another_order_are_seen(make_model: Any, compare: Any) -> None:
    original = trained(make_model(1), 2)
    other = changed(original, lambda values, random: values[random.permutation(len(values))])
    found = compare(original, other)
    assert not found.aligned and not found.added


def test_models_that_cannot_be_compared(make_model: Any, compare: Any, tmp_path: Path) -> None:
    assert compare(make_model(1), make_model(1)) is None
    unknown = make_model(1)
    unknown.config["architectures"] = ["OtherForCausalLM"]
    assert find_changes(tmp_path / "0", unknown.write(tmp_path / "unknown"), []) is None


def test_a_weight_that_is_no_matrix_is_not_compared(make_model: Any, compare: Any) -> None:
    flat = make_model(1)
    name = "model.layers.0.mlp.up_proj.weight"
    flat.weights[name] = flat.weights[name].ravel()
    assert compare(make_model(1), flat) is None
