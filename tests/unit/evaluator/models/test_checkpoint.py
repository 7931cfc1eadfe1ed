"""The engine's view of a checkpoint, and weights that are not finite."""

from __future__ import annotations

import json
import math
import struct
from pathlib import Path
from typing import Any

import pytest

from bitagent_evaluator.models.checkpoint import model_view, non_finite_tensors


def test_engine_sees_configuration_and_weights_only(checkpoint: Any) -> None:
    with model_view(checkpoint.path, {"hidden_size": 96}) as view:
        assert sorted(entry.name for entry in view.iterdir()) == ["config.json", "model.safetensors"]
        assert json.loads((view / "config.json").read_text()) == {"hidden_size": 96}
        assert (view / "model.safetensors").read_bytes() == (checkpoint.path / "model.safetensors").read_bytes()
    assert not view.exists()


def poison(checkpoint: Any, tensor: str, value: bytes, at: int = -1) -> None:
    """Overwrite one element of a tensor."""

    def change(header: dict[str, Any], data: bytes) -> tuple[dict[str, Any], bytes]:
        start, end = header[tensor]["data_offsets"]
        place = end - len(value) if at < 0 else start + at * len(value)
        return header, data[:place] + value + data[place + len(value) :]

    checkpoint.header(change)


@pytest.mark.parametrize(
    "value", [b"\xc0\x7f", b"\x80\x7f", b"\x80\xff", b"\xff\xff"], ids=["nan", "inf", "-inf", "-nan"]
)
@pytest.mark.parametrize("at", [0, -1], ids=["first", "last"])
def test_one_value_that_is_not_finite_is_found(checkpoint: Any, value: bytes, at: int) -> None:
    assert non_finite_tensors(checkpoint.path) == []
    poison(checkpoint, "model.norm.weight", value, at)
    assert non_finite_tensors(checkpoint.path) == ["model.norm.weight"]


def test_largest_finite_value_is_no_fault(checkpoint: Any) -> None:
    poison(checkpoint, "model.norm.weight", b"\x7f\x7f")
    assert non_finite_tensors(checkpoint.path) == []


@pytest.mark.parametrize(
    ("dtype", "fine", "bad"),
    [("F16", b"\xff\x7b", b"\x00\x7c"), ("F32", b"\xff\xff\x7f\x7f", struct.pack("<f", math.inf))],
)
def test_other_number_formats(tmp_path: Path, dtype: str, fine: bytes, bad: bytes) -> None:
    for value, found in ((fine, []), (bad, ["w"])):
        data = bytes(len(value)) * 5 + value
        text = json.dumps({"w": {"dtype": dtype, "shape": [6], "data_offsets": [0, len(data)]}}).encode()
        (tmp_path / "model.safetensors").write_bytes(struct.pack("<Q", len(text)) + text + data)
        assert non_finite_tensors(tmp_path) == found


def test_packed_integers_are_not_looked_at(models: Path) -> None:
    assert non_finite_tensors(models / "tiny-fc-gptq") == []
