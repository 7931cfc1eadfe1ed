"""The similarity sketch of every family: it exists, other forms of a function keep it, other models do not have it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bitagent_crds.sketches import WeightsSketch
from bitagent_evaluator.models.similarity import similarity_sketch
from bitagent_evaluator.models.validation.architectures import ARCHITECTURES

SAME_FUNCTION = 1.8e-4
"""As in the operator's plan."""
EXPERTS: dict[str, dict[str, Any]] = {
    "MixtralForCausalLM": {"num_local_experts": 4},
    "Qwen2MoeForCausalLM": {"num_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 64,
                            "shared_expert_intermediate_size": 96, "decoder_sparse_step": 2},
    "Qwen3MoeForCausalLM": {"num_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 64,
                            "mlp_only_layers": [0]},
}  # fmt: skip


def sketch(model: Any, folder: Path) -> WeightsSketch:
    text = similarity_sketch(model.write(folder))
    assert text is not None
    return WeightsSketch.decode(text)


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_every_family_has_a_sketch(make_model: Any, tmp_path: Path, name: str) -> None:
    model = make_model(1, name, **EXPERTS.get(name, {}))
    first = sketch(model, tmp_path / "a")
    assert first.similarity(sketch(make_model(2, name, **EXPERTS.get(name, {})), tmp_path / "b")) < 0.8
    near = model.copy()
    random = np.random.default_rng(3)
    for weight, values in near.weights.items():
        if values.ndim == 2:
            near.weights[weight] = values + random.normal(0, 0.003 * values.std(), values.shape).astype(np.float32)
    assert first.similarity(sketch(near, tmp_path / "c")) > 0.95


@pytest.mark.parametrize("name", [name for name, found in ARCHITECTURES.items() if found.layout.read_by])
def test_weights_of_norms_may_be_folded(make_model: Any, tmp_path: Path, name: str) -> None:
    """What a norm multiplies by moves into the matrices that read it."""
    layout = ARCHITECTURES[name].layout
    model = make_model(1, name, **EXPERTS.get(name, {}))
    folded = model.copy()
    for layer in range(model.config["num_hidden_layers"]):
        for norm, block in zip(layout.read_by or (), ("self_attn.", ""), strict=True):
            scale = folded.weights[f"model.layers.{layer}.{norm}.weight"] + layout.norm_offset
            folded.weights[f"model.layers.{layer}.{norm}.weight"] = np.full_like(scale, 1 - layout.norm_offset)
            for weight, values in folded.weights.items():
                part = weight.removeprefix(f"model.layers.{layer}.")
                reads = part.split(".")[-2] not in ("o_proj", "down_proj", "w2") and values.ndim == 2
                inside = part.startswith("self_attn.") if block else not part.startswith("self_attn.")
                if part != weight and reads and inside:
                    folded.weights[weight] = values * scale
    assert (
        sketch(model, tmp_path / "a").distance(
            sketch(
                folded,
                tmp_path / "b",
            )
        )
        < SAME_FUNCTION
    )


def test_experts_may_change_places(make_model: Any, tmp_path: Path) -> None:
    model = make_model(1, "MixtralForCausalLM", **EXPERTS["MixtralForCausalLM"])
    moved = model.copy()
    for name in model.weights:
        if ".experts." in name:
            head, _, tail = name.partition(".experts.")
            moved.weights[name] = model.weights[f"{head}.experts.{3 - int(tail[0])}{tail[1:]}"]
    assert sketch(model, tmp_path / "a").distance(sketch(moved, tmp_path / "b")) < SAME_FUNCTION
