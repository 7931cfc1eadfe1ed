"""``python -m bitagent_local.models.damage GOOD OUT DAMAGE``: make a broken model from a good one.

Each damage is one way in which a miner's repository goes wrong, by accident or not. Nothing here is harmful: the pickle
holds plain numbers, and the code that ``auto_map`` names would only fail.
"""

from __future__ import annotations

import argparse
import json
import pickle
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from bitagent_local.models import safetensors_header

WEIGHTS = "model.safetensors"
CONFIG = "config.json"
BF16_NAN = b"\xc0\x7f"

Damage = Callable[[Path], None]


def make_damaged(good: Path, out: Path, damage: str) -> None:
    """Copy a good model and damage the copy.

    Raises KeyError if there is no such damage, FileExistsError if `out` exists.
    """
    apply = DAMAGES[damage]
    shutil.copytree(good, out, copy_function=shutil.copyfile)
    apply(out)


def truncate(model: Path) -> None:
    """Cut the weights in half, as an interrupted upload does. The header is whole and describes more than is there."""
    weights = model / WEIGHTS
    content = weights.read_bytes()
    weights.write_bytes(content[: len(content) // 2])


def only_pickle(model: Path) -> None:
    """Replace the weights by a pickle, which can run code when read; this one holds only the tensors' shapes."""
    weights = model / WEIGHTS
    header, _ = safetensors_header.read(weights)
    (model / "pytorch_model.bin").write_bytes(pickle.dumps({name: entry["shape"] for name, entry in header.items()}, 2))
    weights.unlink()


def not_a_number(model: Path) -> None:
    """Set every weight to NaN, as in a training run that diverged. Raises ValueError if a tensor is not bfloat16."""
    weights = model / WEIGHTS
    header, start = safetensors_header.read(weights)
    if kinds := {entry["dtype"] for entry in header.values()} - {"BF16"}:
        raise ValueError(f"{weights} holds {', '.join(sorted(kinds))}; only BF16 can be damaged")
    content = weights.read_bytes()
    weights.write_bytes(content[:start] + BF16_NAN * ((len(content) - start) // 2))


def huge_config(model: Path) -> None:
    """Make the config ask for more memory than any machine has; the weights do not fit it either."""
    _edit(model / CONFIG, hidden_size=10**9, num_hidden_layers=10**6, max_position_embeddings=10**12)


def auto_map(model: Path) -> None:
    """Add model code to the repository and a config that asks to have it run."""
    _edit(model / CONFIG, auto_map={"AutoConfig": "model_code.Config", "AutoModelForCausalLM": "model_code.Model"})
    (model / "model_code.py").write_text('raise RuntimeError("code of a model repository was run")\n', encoding="utf-8")


def no_tokenizer(model: Path) -> None:
    """Remove the tokenizer that the weights were trained with."""
    for name in ("tokenizer.json", "tokenizer_config.json"):
        (model / name).unlink()


DAMAGES: dict[str, Damage] = {
    "truncated": truncate,
    "pickle": only_pickle,
    "nan": not_a_number,
    "huge": huge_config,
    "auto-map": auto_map,
    "no-tokenizer": no_tokenizer,
}


def _edit(path: Path, **changes: Any) -> None:
    content = json.loads(path.read_text(encoding="utf-8"))
    path.write_text(json.dumps(content | changes, indent=2) + "\n", encoding="utf-8")


def main() -> int:
    """Make one broken model."""
    parser = argparse.ArgumentParser(prog="python -m bitagent_local.models.damage", description=__doc__)
    parser.add_argument("good", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("damage", choices=sorted(DAMAGES))
    options = parser.parse_args()
    make_damaged(options.good, options.out, options.damage)
    return 0


if __name__ == "__main__":
    sys.exit(main())
