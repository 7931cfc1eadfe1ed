"""Variants of a tiny model, each of which an engine may have to be built for."""

from __future__ import annotations

import json
import shutil
import struct
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bitagent_evaluator.models.values import stored_tensors, to_floats

MODELS = Path(__file__).resolve().parents[4] / "local" / "models"
HEAD, EMBEDDINGS = "lm_head.weight", "model.embed_tokens.weight"

Arrays = dict[str, tuple[str, list[int], bytes]]
"""Dtype, shape and content of tensors, by name."""


def load(model: Path) -> Arrays:
    return {
        name: (of.dtype, list(of.shape), b"".join(part.tobytes() for part in of.parts()))
        for name, of in stored_tensors(model).items()
    }


def save(model: Path, tensors: Arrays) -> None:
    header, at = {}, 0
    for name, (dtype, shape, content) in tensors.items():
        header[name] = {"dtype": dtype, "shape": shape, "data_offsets": [at, at + len(content)]}
        at += len(content)
    text = json.dumps(header).encode()
    data = b"".join(content for _, _, content in tensors.values())
    (model / "model.safetensors").write_bytes(struct.pack("<Q", len(text)) + text + data)


def own_head(tensors: Arrays) -> Arrays:
    """A head that is the embeddings of another model, as after a merge."""
    return tensors | {HEAD: load(MODELS / "tiny-fc-1200")[EMBEDDINGS]}


def equal_head(tensors: Arrays) -> Arrays:
    return tensors | {HEAD: tensors[EMBEDDINGS]}


def in_float32(tensors: Arrays) -> Arrays:
    return {
        name: ("F32", shape, to_floats(np.frombuffer(content, np.uint16)).tobytes())
        for name, (_, shape, content) in tensors.items()
    }


ROPE = {"rope_parameters": {"rope_theta": 50000.0, "rope_type": "default"}}
VARIANTS: Mapping[str, tuple[str, Callable[[Arrays], Arrays] | None, dict[str, Any]]] = {
    "tied": ("tiny-fc-600", None, {}),
    "tied, other weights": ("tiny-fc-250", None, {}),
    "equal head": ("tiny-fc-600", equal_head, {}),
    "equal head, other weights": ("tiny-fc-250", equal_head, {}),
    "own head": ("tiny-fc-600", own_head, {}),
    "own head, other weights": ("tiny-fc-250", own_head, {}),
    "untied": ("tiny-fc-600", own_head, {"tie_word_embeddings": False}),
    "untied, equal head": ("tiny-fc-600", equal_head, {"tie_word_embeddings": False}),
    "GPTQ": ("tiny-fc-gptq", None, {}),
    "stored in float32": ("tiny-fc-600", in_float32, {"dtype": "float32"}),
    "called float16": ("tiny-fc-600", None, {"dtype": "float16"}),
    "other rope": ("tiny-fc-600", None, ROPE),
    "other end token": ("tiny-fc-600", None, {"eos_token_id": 3}),
}
"""By name: the model that a variant is made of, the change of its weights, the changes of its configuration."""


@pytest.fixture(scope="session")
def variants(models: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The directory of each variant, by its name."""
    parent = tmp_path_factory.mktemp("variants")
    found = {}
    for name, (base, change, members) in VARIANTS.items():
        found[name] = Path(shutil.copytree(models / base, parent / name, copy_function=shutil.copyfile))
        if change is not None:
            save(found[name], change(load(models / base)))
        config = found[name] / "config.json"
        config.write_text(json.dumps(json.loads(config.read_text()) | members))
    return found
