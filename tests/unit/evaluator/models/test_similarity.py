"""The similarity sketch: other forms of a function keep it, other models do not have it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bitagent_crds.sketches import WeightsSketch
from bitagent_evaluator.models.similarity import similarity_sketch

SAME_FUNCTION = 1.8e-4
"""As in the operator's plan."""
HEAD, HEADS = 32, 4
READERS = ("self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj", "mlp.gate_proj", "mlp.up_proj")
WRITERS = ("self_attn.o_proj", "mlp.down_proj")
NORMS = {"self_attn": "input_layernorm", "mlp": "post_attention_layernorm"}
Change = Callable[[Any, Any], None]


def sketch(folder: Path) -> WeightsSketch:
    text = similarity_sketch(folder)
    assert text is not None and len(text) <= 256
    return WeightsSketch.decode(text)


def similarity(a: Any, b: Any, folder: Path) -> float:
    return sketch(a.write(folder / "a")).similarity(sketch(b.write(folder / "b")))


def distance(a: Any, b: Any, folder: Path, **form: Any) -> float:
    return sketch(a.write(folder / "a")).distance(sketch(b.write(folder / "b", **form)))


def each_layer(model: Any) -> list[Callable[[str], str]]:
    return [
        lambda name, layer=layer: f"model.layers.{layer}.{name}.weight"
        for layer in range(model.config["num_hidden_layers"])
    ]


def permute_neurons(model: Any, random: Any) -> None:
    for of in each_layer(model):
        order = random.permutation(model.config["intermediate_size"])
        for name in ("mlp.gate_proj", "mlp.up_proj"):
            model.weights[of(name)] = model.weights[of(name)][order]
        model.weights[of("mlp.down_proj")] = model.weights[of("mlp.down_proj")][:, order]


def move_scales_and_signs(model: Any, random: Any) -> None:
    for of in each_layer(model):
        scales = np.exp(random.normal(0, 1, model.config["intermediate_size"])) * random.choice((-1, 1), 256)
        model.weights[of("mlp.up_proj")] *= scales[:, None]
        model.weights[of("mlp.down_proj")] /= scales


def fold_norms(model: Any, random: Any) -> None:
    del random
    for of in each_layer(model):
        for name in READERS:
            model.weights[of(name)] *= model.weights[of(NORMS[name.partition(".")[0]])]
        for name in NORMS.values():
            model.weights[of(name)][:] = 1


def rotate_hidden_state(model: Any, random: Any) -> None:
    fold_norms(model, random)
    basis, _ = np.linalg.qr(random.normal(size=(128, 128)))
    for of in each_layer(model):
        for name in READERS:
            model.weights[of(name)] = model.weights[of(name)] @ basis
        for name in WRITERS:
            model.weights[of(name)] = basis.T @ model.weights[of(name)]
    model.weights["model.embed_tokens.weight"] = model.weights["model.embed_tokens.weight"] @ basis


def scale_hidden_state(model: Any, random: Any) -> None:
    del random
    for of in each_layer(model):
        for name in WRITERS:
            model.weights[of(name)] *= 3
    model.weights["model.embed_tokens.weight"] *= 3


def exchange_head_groups(model: Any, random: Any) -> None:
    """With two key-value heads, the groups of two query heads exchange their places."""
    del random
    for of in each_layer(model):
        for name in READERS[:3]:
            model.weights[of(name)] = np.concatenate(np.split(model.weights[of(name)], 2)[::-1])
        model.weights[of(WRITERS[0])] = np.concatenate(np.split(model.weights[of(WRITERS[0])], 2, axis=1)[::-1], axis=1)


def change_bases_of_values(model: Any, random: Any) -> None:
    for of in each_layer(model):
        for group in range(2):
            basis = np.eye(HEAD) + 0.3 * random.normal(size=(HEAD, HEAD))
            rows = slice(group * HEAD, (group + 1) * HEAD)
            model.weights[of("self_attn.v_proj")][rows] = basis @ model.weights[of("self_attn.v_proj")][rows]
            for head in (2 * group, 2 * group + 1):
                columns = slice(head * HEAD, (head + 1) * HEAD)
                output = model.weights[of("self_attn.o_proj")]
                output[:, columns] = output[:, columns] @ np.linalg.inv(basis)


def move_scales_of_queries(model: Any, random: Any) -> None:
    del random
    for of in each_layer(model):
        model.weights[of("self_attn.q_proj")] *= 4
        model.weights[of("self_attn.k_proj")] /= 4


def insert_silent_layer(model: Any, random: Any) -> None:
    for name in [name for name in model.weights if name.startswith("model.layers.3.")]:
        model.weights[name.replace("layers.3.", "layers.4.")] = model.weights[name]
        shape = model.weights[name].shape
        silent = "o_proj" in name or "down_proj" in name
        model.weights[name] = np.zeros(shape, np.float32) if silent else random.normal(size=shape).astype(np.float32)
    model.config["num_hidden_layers"] = 5


def add_idle_neurons(model: Any, random: Any) -> None:
    for of in each_layer(model):
        for name in ("mlp.gate_proj", "mlp.up_proj"):
            more = random.normal(size=(32, 128)).astype(np.float32)
            model.weights[of(name)] = np.concatenate([model.weights[of(name)], more])
        idle = np.zeros((128, 32), np.float32)
        model.weights[of("mlp.down_proj")] = np.concatenate([model.weights[of("mlp.down_proj")], idle], axis=1)
    model.config["intermediate_size"] = 288


@pytest.mark.parametrize(
    "change",
    [
        permute_neurons,
        move_scales_and_signs,
        fold_norms,
        rotate_hidden_state,
        scale_hidden_state,
        exchange_head_groups,
        change_bases_of_values,
        move_scales_of_queries,
        insert_silent_layer,
        add_idle_neurons,
    ],
)
@pytest.mark.parametrize("dtype", ["BF16", "F32"])
def test_other_forms_of_a_function_keep_the_sketch(make_model: Any, tmp_path: Path, change: Change, dtype: str) -> None:
    model = make_model(1)
    other = model.copy()
    change(other, np.random.default_rng(2))
    # Traces of random weights are near 0, and so rounding shows more in them than in those of trained ones.
    assert distance(model, other, tmp_path, dtype=dtype) <= SAME_FUNCTION * (1 if dtype == "F32" else 4)


def noisy(model: Any, share: float) -> Any:
    random, other = np.random.default_rng(3), model.copy()
    for name, values in other.weights.items():
        if values.ndim == 2:
            other.weights[name] = (values + random.normal(0, share * values.std(), values.shape)).astype(np.float32)
    return other


@pytest.mark.parametrize(("share", "least", "most"), [(0.01, 0.99, 0.9999), (0.1, 0.85, 0.999), (2.0, 0.0, 0.7)])
def test_noise_counts_by_its_size(make_model: Any, tmp_path: Path, share: float, least: float, most: float) -> None:
    model = make_model(1)
    assert least <= similarity(model, noisy(model, share), tmp_path) <= most


def test_other_models_have_other_sketches(make_model: Any, tmp_path: Path) -> None:
    assert similarity(make_model(1), make_model(2), tmp_path) < 0.9


@pytest.mark.parametrize("name", ["self_attn.q_proj", "self_attn.v_proj", "self_attn.o_proj", *READERS[3:], WRITERS[1]])
def test_every_kind_of_matrix_counts(make_model: Any, tmp_path: Path, name: str) -> None:
    model = make_model(1)
    other = model.copy()
    for of in each_layer(model):
        other.weights[of(name)] = np.roll(other.weights[of(name)], 1, axis=1)
    assert sketch(model.write(tmp_path / "a")) != sketch(other.write(tmp_path / "b"))


def test_queries_with_norms_have_no_scale(make_model: Any, tmp_path: Path) -> None:
    model = make_model(1, "Qwen3ForCausalLM")
    other = model.copy()
    for of in each_layer(model):
        other.weights[of("self_attn.q_proj")] *= 5
    assert distance(model, other, tmp_path) <= SAME_FUNCTION


@pytest.mark.parametrize("layers", [1, 12, 40, 70])
def test_models_of_any_depth_have_a_sketch(make_model: Any, tmp_path: Path, layers: int) -> None:
    small = {"hidden_size": 32, "intermediate_size": 64, "num_attention_heads": 1, "num_key_value_heads": 1}
    model = make_model(1, num_hidden_layers=layers, **small)
    assert len(sketch(model.write(tmp_path / "a")).rows) == min(layers, 63)


def test_unknown_kinds_of_models_have_none(make_model: Any, tmp_path: Path) -> None:
    model = make_model(1)
    model.config["architectures"] = ["OtherForCausalLM"]
    assert similarity_sketch(model.write(tmp_path / "a")) is None


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(lambda weights: weights.pop("model.layers.1.self_attn.k_proj.weight"), id="a tensor is missing"),
        pytest.param(lambda weights: weights.update({"model.layers.1.mlp.up_proj.weight": np.ones(9)}), id="a vector"),
        pytest.param(
            lambda weights: weights.update({"model.layers.0.mlp.up_proj.weight": np.ones((9, 9))}), id="shape"
        ),
    ],
)
def test_weights_that_the_configuration_does_not_describe_have_none(
    make_model: Any, tmp_path: Path, change: Callable[[dict[str, Any]], None]
) -> None:
    model = make_model(1)
    change(model.weights)
    assert similarity_sketch(model.write(tmp_path / "a")) is None


@pytest.mark.parametrize("value", [np.nan, np.inf, 3e38, 0.0])
def test_extreme_weights_do_no_harm(make_model: Any, tmp_path: Path, value: float) -> None:
    model = make_model(1)
    for name in ("self_attn.v_proj", "mlp.up_proj"):
        model.weights[f"model.layers.1.{name}.weight"][:] = value
    assert len(sketch(model.write(tmp_path / "a")).rows) in (3, 4)


def test_extreme_scales_that_cancel_do_not_count(make_model: Any, tmp_path: Path) -> None:
    model = make_model(1)
    other = model.copy()
    for of in each_layer(model):
        for large, small in (("mlp.up_proj", "mlp.down_proj"), ("self_attn.q_proj", "self_attn.k_proj")):
            other.weights[of(large)] *= np.float32(2.0**90)
            other.weights[of(small)] *= np.float32(2.0**-90)
        other.weights[of("self_attn.v_proj")] *= np.float32(2.0**70)
        other.weights[of("self_attn.o_proj")] *= np.float32(2.0**-70)
    assert distance(model, other, tmp_path) <= SAME_FUNCTION


def test_one_loud_layer_does_not_silence_the_others(make_model: Any, tmp_path: Path) -> None:
    model = make_model(1)
    model.weights["model.layers.2.mlp.down_proj.weight"] *= np.float32(2.0**40)
    assert len(sketch(model.write(tmp_path / "a")).rows) == 4


def test_huge_numbers_that_nothing_writes_to_leave_no_sketch(make_model: Any, tmp_path: Path) -> None:
    """Whoever compares models must do without the sketch then: the model answers as before."""
    model = make_model(1)
    for name, values in model.weights.items():
        if name.endswith(WRITERS_WEIGHTS):
            values[5, :] = 0
        elif name.endswith(READERS_WEIGHTS):
            values[:, 5] = 3e38
        elif name.endswith("layernorm.weight"):
            values[5] = 3e38
        elif "embed_tokens" in name:
            values[:, 5] = 0
    assert similarity_sketch(model.write(tmp_path / "a")) is None


READERS_WEIGHTS = tuple(f"{name}.weight" for name in READERS)
WRITERS_WEIGHTS = tuple(f"{name}.weight" for name in WRITERS)
