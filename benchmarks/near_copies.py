"""How far the sketch of weights moves when layers of real widths are trained on, against the limit for one function.

    python benchmarks/near_copies.py [--out FILE]

Random weights of the layer shapes of published models (Qwen2.5 0.5B and 3B) and of a tiny one, and updates of known
sizes: one for each weight, as a full fine-tune makes them; of rank 16, as merged LoRA makes them; and rounding to
bfloat16 once more, as rewriting a model costs. Writes near_copies.json beside this file: for each shape and update
similarity, distance, and the distance as a multiple of the limit, below which two models count as one function.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from pathlib import Path
from typing import Any

import torch
from machine import described
from safetensors.torch import save_file

from bitagent_crds.sketches import SAME_FUNCTION, WeightsSketch
from bitagent_evaluator.models.similarity import similarity_sketch

_NAMES = ("hidden_size", "intermediate_size", "num_attention_heads", "num_key_value_heads", "layers")
SHAPES = {
    name: dict(zip(_NAMES, numbers, strict=True))
    for name, numbers in {
        "tiny": (96, 256, 3, 1, 3),
        "0.5B": (896, 4864, 14, 2, 6),
        "3B": (2048, 11008, 16, 2, 2),
    }.items()
}
SPREAD = 0.02
"""Standard deviation of the weights."""
DENSE = (0.0005, 0.002, 0.01, 0.05)
"""Size of an update of every weight, as a share of the weights' own."""
LOW_RANK = (0.01, 0.05)
RANK = 16
Tensors = dict[str, torch.Tensor]


def base(shape: dict[str, int], random: torch.Generator) -> Tensors:
    """Return random weights of a Qwen2 model of this shape."""
    hidden, inner = shape["hidden_size"], shape["intermediate_size"]
    keys = hidden // shape["num_attention_heads"] * shape["num_key_value_heads"]
    sizes: dict[str, tuple[int, ...]] = {
        "model.embed_tokens.weight": (256, hidden),
        "model.norm.weight": (hidden,),
    }
    for layer in range(shape["layers"]):
        name = f"model.layers.{layer}."
        for part, rows in (("q", hidden), ("k", keys), ("v", keys)):
            sizes[f"{name}self_attn.{part}_proj.weight"] = (rows, hidden)
            sizes[f"{name}self_attn.{part}_proj.bias"] = (rows,)
        sizes[f"{name}self_attn.o_proj.weight"] = (hidden, hidden)
        sizes[f"{name}mlp.gate_proj.weight"] = sizes[f"{name}mlp.up_proj.weight"] = (inner, hidden)
        sizes[f"{name}mlp.down_proj.weight"] = (hidden, inner)
        sizes[f"{name}input_layernorm.weight"] = sizes[f"{name}post_attention_layernorm.weight"] = (hidden,)
    return {
        name: torch.ones(size) if "norm" in name else torch.randn(size, generator=random) * SPREAD
        for name, size in sizes.items()
    }


def dense(tensors: Tensors, share: float, random: torch.Generator) -> Tensors:
    """Return weights with an update of every matrix."""
    return {
        name: tensor + torch.randn(tensor.shape, generator=random) * SPREAD * share if tensor.dim() == 2 else tensor
        for name, tensor in tensors.items()
    }


def low_rank(tensors: Tensors, share: float, random: torch.Generator) -> Tensors:
    """Return weights with an update of rank RANK, whose norm is `share` of that of the matrix."""
    changed = dict(tensors)
    for name, tensor in tensors.items():
        if tensor.dim() == 2 and "layers" in name:
            update = torch.randn((tensor.shape[0], RANK), generator=random) @ torch.randn(
                (RANK, tensor.shape[1]), generator=random
            )
            changed[name] = tensor + update * (share * tensor.norm() / update.norm())
    return changed


def sketch(tensors: Tensors, shape: dict[str, int], folder: Path) -> WeightsSketch:
    """Return the sketch of weights, stored as bfloat16."""
    members = {name: value for name, value in shape.items() if name != "layers"}
    config: dict[str, Any] = members | {
        "architectures": ["Qwen2ForCausalLM"], "model_type": "qwen2", "num_hidden_layers": shape["layers"],
        "vocab_size": 256, "max_position_embeddings": 2048, "tie_word_embeddings": True, "hidden_act": "silu",
    }  # fmt: skip
    folder.mkdir(exist_ok=True)
    (folder / "config.json").write_text(json.dumps(config))
    save_file(
        {name: tensor.to(torch.bfloat16).contiguous() for name, tensor in tensors.items()}, folder / "model.safetensors"
    )
    text = similarity_sketch(folder)
    if text is None:
        raise SystemExit("the model has no sketch")
    return WeightsSketch.decode(text)


def main() -> int:
    """Measure and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path(__file__).with_suffix(".json"))
    options = parser.parse_args()
    found: dict[str, dict[str, dict[str, float]]] = {}
    with tempfile.TemporaryDirectory() as folder:
        for name, shape in SHAPES.items():
            random = torch.Generator().manual_seed(1)
            first = base(shape, random)
            own = sketch(first, shape, Path(folder))
            rounded = {
                key: (tensor.to(torch.bfloat16).float() * 1.3).to(torch.bfloat16).float() / 1.3
                for key, tensor in first.items()
            }
            variants = {"rounded once more": rounded}
            updates = {f"every weight {share:.2%}": (dense, share) for share in DENSE}
            updates |= {f"rank {RANK}, {share:.0%}": (low_rank, share) for share in LOW_RANK}
            measured = {}
            for label, made in [*variants.items(), *updates.items()]:
                tensors = made if isinstance(made, dict) else made[0](first, made[1], random)
                other = sketch(tensors, shape, Path(folder))
                distance = own.distance(other)
                measured[label] = {
                    "similarity": round(own.similarity(other), 4),
                    "distance": round(distance, 6),
                    "of the limit": round(distance / SAME_FUNCTION, 1),
                }
            found[name] = measured
            print(name, json.dumps(measured))
    options.out.write_text(
        json.dumps({"machine": described("torch", "bitagent"), "limit": SAME_FUNCTION, "shapes": found}, indent=1)
        + "\n"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
