"""The weights of another miner, in other files, forms and values."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np

from attack_models.files import (
    BASE,
    GOOD,
    INDEX,
    WEIGHTS,
    Floats,
    copied,
    encode,
    read_weights,
    split,
    write_weights,
)  # fmt: skip

Tensors = dict[str, Floats]
_MLP = "model.layers.{}.mlp.{}_proj.weight"


def other_metadata(folder: Path) -> Path:
    """Write the base with another `__metadata__`."""
    header, data = split(copied(folder) / WEIGHTS)
    (folder / WEIGHTS).write_bytes(encode({**header, "__metadata__": {"format": "pt", "by": "another"}}, data))
    return folder


def padded_header(folder: Path) -> Path:
    """Write the base with 8 blanks after its header."""
    header, data = split(copied(folder) / WEIGHTS)
    (folder / WEIGHTS).write_bytes(encode(header, data, blanks=8))
    return folder


def two_shards(folder: Path) -> Path:
    """Write the base in two files."""
    tensors = read_weights(copied(folder) / WEIGHTS)
    (folder / WEIGHTS).unlink()
    names = list(tensors)
    half = len(names) // 2
    files = {"model-00001-of-00002.safetensors": names[:half], "model-00002-of-00002.safetensors": names[half:]}
    for file, part in files.items():
        write_weights(folder / file, {name: tensors[name] for name in part})
    places = {name: file for file, part in files.items() for name in part}
    total = sum(2 * tensor.size for tensor in tensors.values())
    (folder / INDEX).write_text(json.dumps({"metadata": {"total_size": total}, "weight_map": places}))
    return folder


def renamed_file(folder: Path) -> Path:
    """Write the base in a file of another name."""
    name = "model-00001-of-00001.safetensors"
    (copied(folder) / WEIGHTS).rename(folder / name)
    header, data = split(folder / name)
    places = dict.fromkeys((each for each in header if each != "__metadata__"), name)
    (folder / INDEX).write_text(json.dumps({"metadata": {"total_size": len(data)}, "weight_map": places}))
    return folder


def in_float32(folder: Path) -> Path:
    """Write the base with 32 bits for each number."""
    write_weights(folder / WEIGHTS, read_weights(copied(folder) / WEIGHTS), dtype="F32")
    return folder


def _changed(folder: Path, change: Callable[[Tensors, np.random.Generator], None], base: Path = BASE) -> Path:
    tensors = {name: tensor.copy() for name, tensor in read_weights(copied(folder, base) / WEIGHTS).items()}
    change(tensors, np.random.default_rng(0))
    write_weights(folder / WEIGHTS, tensors)
    return folder


def _layers(tensors: Tensors) -> range:
    return range(sum(name.endswith("mlp.up_proj.weight") for name in tensors))


def permuted(folder: Path) -> Path:
    """Write the base with the neurons of its layers in another order."""

    def change(tensors: Tensors, random: np.random.Generator) -> None:
        for layer in _layers(tensors):
            up, gate, down = (_MLP.format(layer, name) for name in ("up", "gate", "down"))
            order = random.permutation(len(tensors[up]))
            tensors[up], tensors[gate], tensors[down] = (
                tensors[up][order],
                tensors[gate][order],
                tensors[down][:, order],
            )

    return _changed(folder, change)


def scaled(folder: Path) -> Path:
    """Write the base with up projections twice, and down projections half as large."""

    def change(tensors: Tensors, _: np.random.Generator) -> None:
        for layer in _layers(tensors):
            tensors[_MLP.format(layer, "up")] *= 2
            tensors[_MLP.format(layer, "down")] /= 2

    return _changed(folder, change)


def noisy(folder: Path) -> Path:
    """Write a model that knows most answers with noise of 0.001: copies are found by the mistakes of a good model."""

    def change(tensors: Tensors, random: np.random.Generator) -> None:
        for name in tensors:
            tensors[name] += random.normal(0, 1e-3, tensors[name].shape).astype(np.float32)

    return _changed(folder, change, GOOD)
