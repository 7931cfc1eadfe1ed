"""What an engine is built for, as a fact: equal exactly where weights can be exchanged."""

from __future__ import annotations

from typing import Any

import pytest

from bitagent_evaluator.models.validation.engine_shape import engine_shape
from bitagent_evaluator.models.validation.weights import Tensor

CONFIG: dict[str, Any] = {
    "architectures": ["LlamaForCausalLM"],
    "hidden_size": 8,
    "eos_token_id": 2,
    "bos_token_id": 1,
    "dtype": "bfloat16",
    "max_position_embeddings": 512,
}


def tensors(**more: Tensor) -> dict[str, Tensor]:
    return {"model.embed_tokens.weight": tensor("BF16", 16, 8)} | {f"model.{k}": v for k, v in more.items()}


def tensor(dtype: str, *shape: int) -> Tensor:
    return Tensor(dtype, shape, 0, 0)


@pytest.mark.parametrize(
    ("config", "weights", "equal"),
    [
        pytest.param({}, {}, True, id="the same"),
        pytest.param({"bos_token_id": 7, "max_position_embeddings": 1024}, {}, True, id="what the engine does not use"),
        pytest.param({"eos_token_id": 7}, {}, False, id="where an answer ends"),
        pytest.param({"dtype": "float32"}, {}, False, id="number format"),
        pytest.param(
            {"rope_parameters": {"rope_type": "linear"}, "max_position_embeddings": 1024}, {}, False, id="positions"
        ),
        pytest.param({}, {"norm": tensor("BF16", 8)}, False, id="another tensor"),
        pytest.param({}, {"embed_tokens.weight": tensor("BF16", 32, 8)}, False, id="another shape"),
        pytest.param({}, {"embed_tokens.weight": tensor("F16", 16, 8)}, False, id="another format of a tensor"),
    ],
)
def test_what_counts(config: dict[str, Any], weights: dict[str, Tensor], equal: bool) -> None:
    known = engine_shape(tensors(), CONFIG)
    assert known is not None
    assert (engine_shape(tensors(**weights), CONFIG | config) == known) is equal


@pytest.mark.parametrize(
    ("config", "weights"),
    [
        pytest.param({"quantization_config": {"quant_method": "gptq"}}, {}, id="quantised"),
        pytest.param({}, {"layers.0.mlp.experts.1.up_proj.weight": tensor("BF16", 8, 8)}, id="experts"),
    ],
)
def test_weights_that_are_never_exchanged(config: dict[str, Any], weights: dict[str, Tensor]) -> None:
    assert engine_shape(tensors(**weights), CONFIG | config) is None
