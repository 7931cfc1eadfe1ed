"""Packed weights as numbers: each method's layout, by whole matrices and by parts."""

from __future__ import annotations

import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bitagent_crds.sketches import WeightsSketch
from bitagent_evaluator.models.dequantization import Matrix, linear_weight
from bitagent_evaluator.models.similarity import similarity_sketch
from bitagent_evaluator.models.values import stored_tensors

OUTPUTS, INPUTS, GROUP = 64, 128, 32
GROUPS = INPUTS // GROUP


def pack(numbers: Any, bits: int = 4) -> Any:
    """Pack unsigned numbers of each row into int32 words, the first in the lowest bits."""
    per_word = 32 // bits
    parts = numbers.astype(np.uint64).reshape(numbers.shape[0], -1, per_word)
    return (parts << (np.arange(per_word, dtype=np.uint64) * bits)).sum(axis=2).astype(np.uint32).view(np.int32)


def numbers(bits: int = 4) -> tuple[Any, Any]:
    """Unsigned numbers of shape (outputs, inputs), and a scale for each output and group."""
    random = np.random.default_rng(1)
    scales = random.uniform(0.25, 1, (OUTPUTS, GROUPS)).astype(np.float16)
    return random.integers(0, 1 << bits, (OUTPUTS, INPUTS)), scales


def gptq(bits: int) -> tuple[dict[str, Any], Any]:
    found, scales = numbers(bits)
    tensors = {
        "qweight": ("I32", np.ascontiguousarray(pack(found, bits).T)),
        "scales": ("F16", np.ascontiguousarray(scales.T)),
    }
    return tensors, (found - (1 << bits - 1)) * np.repeat(scales.astype(np.float32), GROUP, axis=1)


def awq() -> tuple[dict[str, Any], Any]:
    found, scales = numbers()
    zeros = np.random.default_rng(2).integers(0, 16, (OUTPUTS, GROUPS))
    # The GEMM kernel's words hold outputs 0, 2, 4, 6, 1, 3, 5, 7.
    order = np.arange(OUTPUTS).reshape(-1, 8)[:, [0, 2, 4, 6, 1, 3, 5, 7]].ravel()
    tensors = {
        "qweight": ("I32", pack(found.T[:, order])),
        "qzeros": ("I32", pack(zeros.T[:, order])),
        "scales": ("F16", np.ascontiguousarray(scales.T)),
    }
    grouped = np.repeat(zeros, GROUP, axis=1)
    return tensors, (found - grouped) * np.repeat(scales.astype(np.float32), GROUP, axis=1)


def packed() -> tuple[dict[str, Any], Any]:
    found, scales = numbers()
    tensors = {"weight_packed": ("I32", pack(found)), "weight_scale": ("F16", scales)}
    return tensors, (found - 8) * np.repeat(scales.astype(np.float32), GROUP, axis=1)


def int8() -> tuple[dict[str, Any], Any]:
    found = np.random.default_rng(1).integers(-127, 128, (OUTPUTS, INPUTS)).astype(np.int8)
    scales = np.linspace(0.25, 1, OUTPUTS, dtype=np.float16).reshape(-1, 1)
    return {"weight": ("I8", found), "weight_scale": ("F16", scales)}, found * scales.astype(np.float32)


@pytest.mark.parametrize(
    ("made", "bits", "method"),
    [
        pytest.param(gptq(4), 4, "gptq", id="GPTQ of 4 bits"),
        pytest.param(gptq(8), 8, "gptq", id="GPTQ of 8 bits"),
        pytest.param(awq(), 4, "awq", id="AWQ"),
        pytest.param(packed(), 4, "compressed-tensors", id="compressed-tensors of 4 bits"),
        pytest.param(int8(), 4, "compressed-tensors", id="compressed-tensors of 8 bits"),
    ],
)
def test_packed_weights(make_model: Any, tmp_path: Path, made: Any, bits: int, method: str) -> None:
    tensors, expected = made
    model = make_model(1)
    model.weights = {}
    folder = model.write(tmp_path / "m", packed={f"layer.{name}": tensor for name, tensor in tensors.items()})
    matrix: Matrix | None = linear_weight(stored_tensors(folder), "layer.", bits=bits, method=method)
    assert matrix is not None and tuple(matrix.shape) == (OUTPUTS, INPUTS)
    np.testing.assert_allclose(matrix.rows(0, OUTPUTS), expected, rtol=1e-6)
    np.testing.assert_allclose(matrix.rows(13, 29), expected[13:29], rtol=1e-6)
    np.testing.assert_allclose(matrix.columns(5, 77), expected[:, 5:77], rtol=1e-6)


_LARGE = 2048


@pytest.mark.parametrize(
    ("method", "shapes"),
    [
        ("gptq", {"qweight": (_LARGE // 8, _LARGE), "scales": (_LARGE // 32, _LARGE)}),
        ("awq", {"qweight": (_LARGE, _LARGE // 8), "qzeros": (64, _LARGE // 8), "scales": (64, _LARGE)}),
        ("compressed-tensors", {"weight_packed": (_LARGE, _LARGE // 8), "weight_scale": (_LARGE, _LARGE // 32)}),
    ],
    ids=["gptq", "awq", "compressed-tensors"],
)
def test_a_part_takes_memory_for_itself_alone(
    make_model: Any, tmp_path: Path, method: str, shapes: dict[str, tuple[int, int]]
) -> None:
    """All experts of a layer are open at once, and a fetch has a fixed amount of memory."""
    model = make_model(1)
    model.weights = {}
    packed = {
        f"layer.{name}": ("F16", np.ones(shape, np.float16)) if "scale" in name else ("I32", np.ones(shape, np.int32))
        for name, shape in shapes.items()
    }
    tensors = stored_tensors(model.write(tmp_path / "m", packed=packed))
    tracemalloc.start()
    try:
        matrix = linear_weight(tensors, "layer.", method=method)
        assert matrix is not None and (matrix.rows(8, 16).size, matrix.columns(8, 16).size) == (8 * _LARGE, 8 * _LARGE)
        assert tracemalloc.get_traced_memory()[1] < _LARGE * _LARGE // 4
    finally:
        tracemalloc.stop()


def test_a_quantised_copy_is_like_its_original(models: Path) -> None:
    found = [similarity_sketch(models / name) for name in ("tiny-fc-1200", "tiny-fc-gptq", "tiny-fc-250")]
    original, quantised, other = (WeightsSketch.decode(text) for text in found if text is not None)
    assert original.similarity(quantised) > 0.9 > original.similarity(other)


def test_other_layouts_are_not_read(make_model: Any, tmp_path: Path) -> None:
    assert linear_weight(stored_tensors(make_model(1).write(tmp_path / "m")), "layer.") is None
