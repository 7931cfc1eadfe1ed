"""The engine's arguments."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import pytest

from bitagent_crds.minermodel import DType, EngineChoices
from bitagent_evaluator.engines.plan import (
    EnginePlan,
    Hardware,
    missing_kernels,
    plan_engine,
    tensor_parallel_size,
    token_limit,
)

CPU, GPUS = Hardware(0, "CPU"), Hardware(2, "2 x GPU")

CONFIG: dict[str, Any] = {
    "architectures": ["Qwen2ForCausalLM"],
    "hidden_size": 96,
    "num_hidden_layers": 3,
    "num_attention_heads": 3,
    "num_key_value_heads": 3,
    "max_position_embeddings": 2048,
    "dtype": "bfloat16",
    "intermediate_size": 256,
    "vocab_size": 512,
}

SHAPE: dict[str, Any] = {
    "architectures": ["LlamaForCausalLM"],
    "num_attention_heads": 32,
    "num_key_value_heads": 8,
    "head_dim": 128,
    "intermediate_size": 16_384,
    "vocab_size": 32_000,
}


def plan(
    config: dict[str, Any] = CONFIG,
    *,
    lengths: Sequence[int] = (100, 40),
    max_tokens: int = 60,
    hardware: Hardware = CPU,
    **choices: Any,
) -> EnginePlan:
    return plan_engine(config, EngineChoices(**choices), hardware, lengths=lengths, max_tokens=max_tokens)


@pytest.mark.parametrize(
    ("choices", "lengths", "expected"),
    [({}, [100, 40], 160), ({}, [2000], 2048), ({"max_model_length": 256}, [200], 256), ({}, [], 61)],
    ids=["need", "model's limit", "chosen limit", "no prompts"],
)
def test_length_is_what_the_prompts_need(choices: dict[str, Any], lengths: list[int], expected: int) -> None:
    made = plan(lengths=lengths, **choices)
    assert made.arguments["max_model_len"] == expected
    assert made.config["max_position_embeddings"] == expected


def test_token_limit_is_the_smaller_one() -> None:
    assert token_limit(CONFIG, EngineChoices()) == 2048
    assert token_limit(CONFIG, EngineChoices(max_model_length=512)) == 512
    assert token_limit(CONFIG, EngineChoices(max_model_length=4096)) == 2048


def test_positions_stay_where_they_mean_more_than_a_table() -> None:
    scaled = {**CONFIG, "rope_scaling": {"rope_type": "yarn", "factor": 4.0}}
    assert plan(scaled).config["max_position_embeddings"] == 2048


@pytest.mark.parametrize(
    ("choice", "checkpoint", "expected"),
    [
        (DType.AUTO, "float16", "float16"),
        (DType.AUTO, None, "bfloat16"),
        (DType.FLOAT32, "bfloat16", "float32"),
        (DType.BFLOAT16, "float32", "bfloat16"),
    ],
)
def test_number_format(choice: DType, checkpoint: str | None, expected: str) -> None:
    made = plan({**CONFIG, "dtype": checkpoint}, dtype=choice)
    assert made.dtype == made.arguments["dtype"] == expected


def test_quantised_models_compute_in_16_bits_whatever_is_chosen() -> None:
    quantised = {**CONFIG, "quantization_config": {"quant_method": "gptq"}}
    assert plan({**quantised, "dtype": "float32"}).dtype == plan(quantised, dtype=DType.FLOAT32).dtype == "bfloat16"
    assert plan(quantised, dtype=DType.FLOAT16).dtype == "float16"


@pytest.mark.parametrize(
    ("name", "dtype"),
    [("Gemma2ForCausalLM", "bfloat16"), ("Gemma3ForCausalLM", "bfloat16"), ("GemmaForCausalLM", "float16")],
)
def test_families_that_overflow_in_float16_are_computed_in_bfloat16(name: str, dtype: str) -> None:
    config = {**CONFIG, "architectures": [name], "dtype": "float16"}
    assert plan(config).dtype == plan(config, dtype=DType.FLOAT16).dtype == dtype
    assert plan(config, dtype=DType.FLOAT32).dtype == "float32"


_OLD_CPU = Hardware(0, "Old CPU", quantized=False)
_QUANTISED: dict[str, Any] = {"quantization_config": {"quant_method": "gptq"}}


@pytest.mark.parametrize(
    ("config", "hardware", "missing"),
    [
        ({}, _OLD_CPU, ""),
        (_QUANTISED, CPU, ""),
        (_QUANTISED, _OLD_CPU, "quantised weights on Old CPU"),
        ({"architectures": ["MixtralForCausalLM"]}, _OLD_CPU, ""),
        ({"architectures": ["MixtralForCausalLM"], **_QUANTISED}, CPU, "quantised experts on CPU"),
        ({"architectures": ["MixtralForCausalLM"], **_QUANTISED}, GPUS, ""),
    ],
    ids=["plain", "AVX-512", "no AVX-512", "plain experts", "quantised experts", "quantised experts on GPUs"],
)
def test_missing_kernels_are_known_before_a_model_is_loaded(
    config: dict[str, Any], hardware: Hardware, missing: str
) -> None:
    found = missing_kernels({**CONFIG, **config}, hardware)
    assert missing in found and bool(missing) == bool(found)


def test_cpu_cache_holds_what_the_prompts_can_use() -> None:
    per_token = 2 * 3 * 3 * 32 * 2
    few, many = plan(lengths=[1000] * 40), plan(lengths=[1000] * 4000)
    per_sequence = (math.ceil(1060 / 32) + 1) * 32 * per_token
    assert few.arguments["kv_cache_memory_bytes"] == 40 * per_sequence
    assert many.arguments["kv_cache_memory_bytes"] == 256 * per_sequence
    assert plan(lengths=[1]).arguments["kv_cache_memory_bytes"] == 32 << 20
    large = {**CONFIG, "num_hidden_layers": 32, "num_key_value_heads": 32, "num_attention_heads": 32, "head_dim": 128}
    assert (
        plan({**large, "max_position_embeddings": 32768}, lengths=[30_000]).arguments["kv_cache_memory_bytes"]
        >= 4 << 30
    )


def test_gpu_leaves_memory_to_vllm() -> None:
    arguments = plan(hardware=GPUS).arguments
    assert not {"kv_cache_memory_bytes", "enforce_eager", "block_size"} & arguments.keys()
    assert arguments["tensor_parallel_size"] == 1


@pytest.mark.parametrize(
    ("heads", "groups", "gpus", "expected"), [(28, 4, 4, 4), (28, 4, 3, 2), (14, 2, 8, 2), (3, 3, 2, 1), (32, 8, 8, 8)]
)
def test_heads_divide_among_gpus(heads: int, groups: int, gpus: int, expected: int) -> None:
    config = {**SHAPE, "num_attention_heads": heads, "num_key_value_heads": groups}
    assert tensor_parallel_size(config, gpus) == expected


_EXPERTS: dict[str, Any] = {
    "architectures": ["Qwen3MoeForCausalLM"],
    "num_attention_heads": 32,
    "num_key_value_heads": 8,
    "intermediate_size": 6145,
    "num_hidden_layers": 2,
}


@pytest.mark.parametrize(
    ("members", "gpus", "expected"),
    [
        ({"intermediate_size": 8 * 1365 + 4}, 8, 4),
        ({"num_attention_heads": 12, "num_key_value_heads": 12, "vocab_size": 151_936}, 3, 2),
        (
            {"num_attention_heads": 12, "num_key_value_heads": 12, "vocab_size": 128_256, "intermediate_size": 3072},
            3,
            3,
        ),
        ({"quantization_config": {"group_size": 128}, "intermediate_size": 13_824}, 8, 4),
        ({"quantization_config": {"group_size": -1}, "intermediate_size": 13_824}, 8, 8),
        (
            {"quantization_config": {"config_groups": {"g": {"weights": {"group_size": 32}}}}, "intermediate_size": 96},
            8,
            1,
        ),
        ({"quantization_config": {"group_size": 128}, "intermediate_size": 100}, 1, 1),
        (_EXPERTS | {"moe_intermediate_size": 768, "num_experts": 128}, 8, 8),
        (_EXPERTS | {"moe_intermediate_size": 132, "num_experts": 128}, 8, 4),
        (_EXPERTS | {"moe_intermediate_size": 768, "num_experts": 128, "mlp_only_layers": [0]}, 8, 1),
        (_EXPERTS | {"moe_intermediate_size": 768, "num_experts": 2}, 8, 2),
    ],
    ids=[
        *("inner layer", "vocabulary", "all divide", "groups", "one group a row", "compressed-tensors", "one GPU"),
        *("experts", "narrow experts", "experts and a dense layer", "two experts"),
    ],
)
def test_everything_that_is_cut_divides_among_gpus(members: dict[str, Any], gpus: int, expected: int) -> None:
    assert tensor_parallel_size(SHAPE | members, gpus) == expected


@pytest.mark.parametrize(
    ("rope", "table"),
    [
        ({}, True),
        ({"rope_scaling": {"rope_type": "longrope"}}, False),
        ({"rope_parameters": {"rope_type": "default", "rope_theta": 5.0}}, True),
        ({"rope_parameters": {"full_attention": {"rope_type": "default"}, "sliding_attention": {}}}, True),
        ({"rope_parameters": {"full_attention": {"rope_type": "dynamic"}, "sliding_attention": {}}}, False),
    ],
    ids=["none", "longrope", "default", "default for each type", "scaled for one type"],
)
def test_positions_are_shortened_only_where_they_are_a_table(rope: dict[str, Any], table: bool) -> None:
    kept = plan({**CONFIG, **rope}).config["max_position_embeddings"]
    assert (kept < CONFIG["max_position_embeddings"]) is table


@pytest.mark.parametrize("invariant", [True, False], ids=["on", "off"])
def test_provenance_records_the_mode_and_the_engine_does_not_get_it(invariant: bool) -> None:
    config = {
        "architectures": ["Qwen2ForCausalLM"],
        "hidden_size": 96,
        "num_hidden_layers": 3,
        "num_attention_heads": 3,
        "max_position_embeddings": 2048,
        "intermediate_size": 288,
        "vocab_size": 640,
    }
    plan = plan_engine(config, EngineChoices(), Hardware(1, "GPU", invariant), lengths=[9], max_tokens=9)
    assert plan.recorded == {**plan.arguments, "batch_invariant": invariant}
    assert "batch_invariant" not in plan.arguments
