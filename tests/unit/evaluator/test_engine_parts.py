"""What surrounds vLLM: its arguments, what it gets to see, weights that are no numbers, and whose fault a failure is."""

from __future__ import annotations

import json
import math
import struct
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from bitagent_crds.conditions import Reason
from bitagent_crds.minermodel import DType
from bitagent_crds.minermodel import Engine as EngineChoices
from bitagent_evaluator.engine.failures import classify
from bitagent_evaluator.engine.finite import non_finite_tensors
from bitagent_evaluator.engine.plan import EnginePlan, Hardware, plan_engine, tensor_parallel_size, token_limit
from bitagent_evaluator.engine.preload import cpu_name
from bitagent_evaluator.engine.view import model_view
from bitagent_evaluator.faults import InfrastructureFault, ModelFault

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
    "num_attention_heads": 32, "num_key_value_heads": 8, "head_dim": 128, "intermediate_size": 16_384, "vocab_size": 32_000,
}  # fmt: skip


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
    ("choices", "lengths", "wanted"),
    [({}, [100, 40], 160), ({}, [2000], 2048), ({"max_model_length": 256}, [200], 256), ({}, [], 61)],
    ids=["need", "model's limit", "chosen limit", "no prompts"],
)
def test_length_is_what_the_prompts_need(choices: dict[str, Any], lengths: list[int], wanted: int) -> None:
    made = plan(lengths=lengths, **choices)
    assert made.arguments["max_model_len"] == wanted
    assert made.config["max_position_embeddings"] == wanted


def test_token_limit_is_the_smaller_one() -> None:
    assert token_limit(CONFIG, EngineChoices()) == 2048
    assert token_limit(CONFIG, EngineChoices(max_model_length=512)) == 512
    assert token_limit(CONFIG, EngineChoices(max_model_length=4096)) == 2048


def test_positions_stay_where_they_mean_more_than_a_table() -> None:
    scaled = {**CONFIG, "rope_scaling": {"rope_type": "yarn", "factor": 4.0}}
    assert plan(scaled).config["max_position_embeddings"] == 2048


@pytest.mark.parametrize(
    ("choice", "checkpoint", "wanted"),
    [
        (DType.AUTO, "float16", "float16"),
        (DType.AUTO, None, "bfloat16"),
        (DType.FLOAT32, "bfloat16", "float32"),
        (DType.BFLOAT16, "float32", "bfloat16"),
    ],
)
def test_number_format(choice: DType, checkpoint: str | None, wanted: str) -> None:
    made = plan({**CONFIG, "dtype": checkpoint}, dtype=choice)
    assert made.dtype == made.arguments["dtype"] == wanted


def test_quantised_models_compute_in_16_bits_whatever_is_chosen() -> None:
    quantised = {**CONFIG, "quantization_config": {"quant_method": "gptq"}}
    assert plan({**quantised, "dtype": "float32"}).dtype == plan(quantised, dtype=DType.FLOAT32).dtype == "bfloat16"
    assert plan(quantised, dtype=DType.FLOAT16).dtype == "float16"


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
    ("heads", "groups", "gpus", "wanted"), [(28, 4, 4, 4), (28, 4, 3, 2), (14, 2, 8, 2), (3, 3, 2, 1), (32, 8, 8, 8)]
)
def test_heads_divide_among_gpus(heads: int, groups: int, gpus: int, wanted: int) -> None:
    config = {**SHAPE, "num_attention_heads": heads, "num_key_value_heads": groups}
    assert tensor_parallel_size(config, gpus) == wanted


@pytest.mark.parametrize(
    ("members", "gpus", "wanted"),
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
    ],
    ids=["inner layer", "vocabulary", "all divide", "groups", "one group a row", "compressed-tensors", "one GPU"],
)
def test_everything_that_is_cut_divides_among_gpus(members: dict[str, Any], gpus: int, wanted: int) -> None:
    assert tensor_parallel_size(SHAPE | members, gpus) == wanted


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


class OutOfMemoryError(RuntimeError):
    """Named as torch names its own."""


FAILURES = {
    "GPU memory": (OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB"), Reason.OUT_OF_MEMORY),
    "host memory": (MemoryError(), Reason.OUT_OF_MEMORY),
    "no room for cache": (ValueError("No available memory for the cache blocks."), Reason.OUT_OF_MEMORY),
    "too little room": (
        ValueError("Free memory on device cuda:0 (10/79 GiB) on startup is less than desired"), Reason.OUT_OF_MEMORY
    ),
    "old GPU": (
        ValueError("Bfloat16 is only supported on GPUs with compute capability of at least 8.0"),
        Reason.INFRASTRUCTURE_FAULT,
    ),
    "8-bit GPTQ on a CPU": (
        ValueError("Marlin does not support weight_bits = uint8b128. Only types = [uint4b8] are supported"),
        Reason.INFRASTRUCTURE_FAULT,
    ),
    "driver": (RuntimeError("Found no NVIDIA driver on your system"), Reason.INFRASTRUCTURE_FAULT),
    "CUDA error with shape": (RuntimeError("CUDA error: unspecified launch failure"), Reason.INFRASTRUCTURE_FAULT),
    "disk": (OSError(28, "No space left on device"), Reason.INFRASTRUCTURE_FAULT),
    "unknown": (RuntimeError("something else"), Reason.INFRASTRUCTURE_FAULT),
    "shape": (RuntimeError("The size of tensor a must match: shape [1, 2]"), Reason.MODEL_LOAD_FAILED),
    "layer missing": (
        ValueError("Following weights were not initialized from checkpoint"), Reason.MODEL_LOAD_FAILED
    ),
    "bare assertion": (AssertionError(), Reason.MODEL_LOAD_FAILED),
    "a number that nothing divides by": (ZeroDivisionError("float division by zero"), Reason.MODEL_LOAD_FAILED),
    "nested too deeply": (RecursionError("maximum recursion depth exceeded"), Reason.MODEL_LOAD_FAILED),
    "unknown member": (KeyError("model.layers.9"), Reason.MODEL_LOAD_FAILED),
}  # fmt: skip


@pytest.mark.parametrize(("error", "reason"), FAILURES.values(), ids=FAILURES.keys())
def test_whose_fault_a_failure_is(error: Exception, reason: Reason) -> None:
    fault = classify(error)
    assert fault.reason is reason
    assert isinstance(fault, ModelFault) == (reason is Reason.MODEL_LOAD_FAILED)


def test_cause_tells_more_than_the_exception() -> None:
    error = RuntimeError("Engine core initialization failed")
    error.__cause__ = OutOfMemoryError("CUDA out of memory")
    fault = classify(error)
    assert isinstance(fault, InfrastructureFault) and fault.reason is Reason.OUT_OF_MEMORY


def test_processor_has_a_name(tmp_path: Path) -> None:
    (tmp_path / "cpuinfo").write_text("processor\t: 0\nmodel name\t: Example 9000\n")
    assert cpu_name(tmp_path / "cpuinfo") == "Example 9000"
    assert cpu_name(tmp_path / "none") == "CPU"
