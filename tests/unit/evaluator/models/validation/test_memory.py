"""The shape of a model that decides its need of memory, from headers and configuration."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from bitagent_crds.minermodel import MemoryShape
from bitagent_evaluator.models.validation.memory import memory_shape
from bitagent_evaluator.models.validation.validate import validate_directory
from bitagent_evaluator.models.validation.weights import Tensor

CONFIG: dict[str, Any] = {
    "architectures": ["Qwen2ForCausalLM"],
    "hidden_size": 64,
    "intermediate_size": 128,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "vocab_size": 1000,
    "max_position_embeddings": 4096,
}


def tensors(**dtypes: tuple[str, tuple[int, ...]]) -> dict[str, Tensor]:
    return {name.replace("__", "."): Tensor(dtype, shape, 0, 0) for name, (dtype, shape) in dtypes.items()}


WEIGHTS = tensors(a=("F32", (10, 3)), b=("I32", (7,)), c=("I8", (5,)), lm_head__weight=("BF16", (1000, 64)))


@pytest.mark.parametrize(
    ("config", "numbers", "size"),
    [
        pytest.param({}, 30 + 64_000, 2, id="16 bits"),
        pytest.param({"tie_word_embeddings": True}, 30 + 64_000, 2, id="a head beside tied embeddings is loaded"),
        pytest.param({"dtype": "float32"}, 30 + 64_000, 4, id="32 bits"),
    ],
)
def test_shape(config: dict[str, Any], numbers: int, size: int) -> None:
    shape = MemoryShape(**memory_shape(WEIGHTS, CONFIG | config))
    assert (shape.numbers, shape.packed_bytes, shape.number_bytes) == (numbers, 7 * 4 + 5, size)
    assert shape.cache_numbers == 2 * 2 * 2 * 16
    assert (shape.layer_width, shape.vocabulary, shape.positions) == (192, 1000, 4096)


def test_windows_are_part_of_the_shape() -> None:
    windowed = CONFIG | {"architectures": ["MistralForCausalLM"], "sliding_window": 128}
    shape = MemoryShape(**memory_shape(WEIGHTS, windowed))
    assert (shape.cache_numbers, shape.windowed_numbers, shape.window) == (128, 128, 128)
    plain = MemoryShape(**memory_shape(WEIGHTS, CONFIG))
    assert (plain.windowed_numbers, plain.window) == (0, 0)


def test_headers_of_a_real_model(models: Path) -> None:
    found = validate_directory(models / "tiny-fc-1200", max_bytes=1 << 30)
    assert found.memory is not None
    shape = MemoryShape(**found.memory)
    assert (shape.numbers, shape.number_bytes) == (found.parameters, 2) == (422_400, 2)
    assert shape.cache_numbers == 2 * 3 * 96


def test_packed_weights_take_what_they_are_stored_in(models: Path) -> None:
    found = validate_directory(models / "tiny-fc-gptq", max_bytes=1 << 30)
    assert found.memory is not None and found.parameters is not None
    assert 0 < found.memory["packed_bytes"] < found.parameters
    assert found.memory["numbers"] < found.parameters


def test_a_refused_model_has_none(checkpoint: Any) -> None:
    checkpoint.edit("config.json", lambda config: config | {"hidden_act": "gelu"})
    assert validate_directory(checkpoint.path, max_bytes=1 << 30).memory is None
