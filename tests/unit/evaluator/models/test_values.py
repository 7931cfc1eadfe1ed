"""Numbers of tensors: canonical bfloat16 words, rows, columns."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bitagent_evaluator.models.values import stored_tensors, to_bfloat16, to_floats

FLOATS = st.floats(width=32, allow_nan=False, allow_infinity=False, min_value=-60000, max_value=60000)


def words(values: Any, dtype: str) -> Any:
    kind = {"F16": np.float16, "F32": np.float32, "BF16": np.uint16}[dtype]
    return to_bfloat16(np.frombuffer(np.asarray(values, kind).tobytes(), np.uint8), dtype)


@given(st.lists(st.integers(0, 0xFFFF), min_size=1))
def test_copies_of_bfloat16_weights_give_the_same_words(bits: list[int]) -> None:
    original = np.array(bits, np.uint16)
    values = to_floats(original)
    finite = original[np.abs(values) < 60000]
    values = to_floats(finite)
    canonical = words(finite, "BF16")
    np.testing.assert_array_equal(words(values, "F32"), canonical)
    np.testing.assert_array_equal(words(values.astype(np.float16), "F16"), canonical)


@given(st.lists(FLOATS, min_size=1))
def test_rounding_is_to_the_nearest_and_final(values: list[float]) -> None:
    once = words(values, "F32")
    np.testing.assert_array_equal(words(once, "BF16"), once)
    np.testing.assert_allclose(to_floats(once), np.array(values, np.float32), rtol=2**-8, atol=2**-25)


def test_zero_has_one_word() -> None:
    assert words([0.0, -0.0, 1e-30, -1e-30], "F32").tolist() == [0, 0, 0, 0]


@pytest.mark.parametrize("dtype", ["BF16", "F16", "F32"])
def test_rows_and_columns_of_a_matrix(make_model: Any, tmp_path: Path, dtype: str) -> None:
    model = make_model(1)
    stored = stored_tensors(model.write(tmp_path / "m", dtype=dtype, padding=1))
    name = "model.layers.1.mlp.down_proj.weight"
    expected = model.weights[name]
    np.testing.assert_allclose(to_floats(stored[name].rows(3, 7)), expected[3:7], rtol=1e-3)
    np.testing.assert_allclose(to_floats(stored[name].columns(5, 11)), expected[:, 5:11], rtol=1e-3)
    np.testing.assert_allclose(stored["model.norm.weight"].vector(), model.weights["model.norm.weight"], rtol=1e-3)
