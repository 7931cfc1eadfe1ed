"""What each damage breaks in a model."""

from __future__ import annotations

import json
import math
import pickle
import struct
from pathlib import Path

import pytest

from bitagent_local.cluster.host import SOURCES
from bitagent_local.models import damage, safetensors_header

MODELS = SOURCES / "models"
GOOD = MODELS / "tiny-fc-600"


def _damaged(tmp_path: Path, name: str) -> Path:
    damage.make_damaged(GOOD, tmp_path / name, name)
    return tmp_path / name


def test_truncated_weights_promise_more_than_there_is(tmp_path: Path) -> None:
    weights = _damaged(tmp_path, "truncated") / "model.safetensors"
    header, start = safetensors_header.read(weights)
    assert start + max(entry["data_offsets"][1] for entry in header.values()) > weights.stat().st_size > start


def test_pickle_holds_only_shapes(tmp_path: Path) -> None:
    model = _damaged(tmp_path, "pickle")
    assert not (model / "model.safetensors").exists()
    shapes = pickle.loads((model / "pytorch_model.bin").read_bytes())
    assert shapes["model.norm.weight"] == [96]


def test_nan_weights_have_the_good_models_layout(tmp_path: Path) -> None:
    weights = _damaged(tmp_path, "nan") / "model.safetensors"
    assert safetensors_header.read(weights) == safetensors_header.read(GOOD / "model.safetensors")
    assert weights.stat().st_size == (GOOD / "model.safetensors").stat().st_size
    assert _has_nan(weights)


def test_nan_needs_bfloat16(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="only BF16 can be damaged"):
        damage.make_damaged(MODELS / "tiny-fc-gptq", tmp_path / "out", "nan")


def test_huge_config_and_foreign_code(tmp_path: Path) -> None:
    assert json.loads((_damaged(tmp_path, "huge") / "config.json").read_text())["hidden_size"] == 10**9
    foreign = _damaged(tmp_path, "auto-map")
    assert "model_code.Model" in json.loads((foreign / "config.json").read_text())["auto_map"].values()
    with pytest.raises(RuntimeError, match="was run"):
        exec((foreign / "model_code.py").read_text())


def test_missing_tokenizer(tmp_path: Path) -> None:
    assert {file.name for file in GOOD.iterdir()} - {
        file.name for file in _damaged(tmp_path, "no-tokenizer").iterdir()
    } == {
        "tokenizer.json",
        "tokenizer_config.json",
    }


def _has_nan(weights: Path) -> bool:
    """Whether any bfloat16 is NaN: all exponent bits set, some bit of the fraction too."""
    _, start = safetensors_header.read(weights)
    values = memoryview(weights.read_bytes())[start:].cast("H")
    return any(math.isnan(struct.unpack("<f", struct.pack("<I", value << 16))[0]) for value in set(values))
