"""What a model needs, what the hardware has, and the error if it does not fit."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bitagent_crds.conditions import Reason
from bitagent_crds.minermodel import DType, EngineChoices
from bitagent_evaluator.engines.memory import (
    GPU_SHARE,
    DeviceMemory,
    MemoryRequirement,
    check_memory,
    cpu_memory,
    required_memory,
)
from bitagent_evaluator.engines.plan import EnginePlan, Hardware, plan_engine
from bitagent_evaluator.evaluation.prepared import checked_model
from bitagent_evaluator.models.checkpoint import model_tensors
from bitagent_evaluator.models.validation.weights import Tensor
from bitagent_evaluator.support.faults import InfrastructureFault

GIB = 1 << 30
CPU, GPU, GPUS = Hardware(0, "CPU"), Hardware(1, "1 x GPU"), Hardware(2, "2 x GPU")
CONFIG: dict[str, Any] = {
    "architectures": ["Qwen2ForCausalLM"],
    "hidden_size": 64,
    "intermediate_size": 128,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "vocab_size": 1000,
    "max_position_embeddings": 4096,
    "dtype": "bfloat16",
}


def tensors(**dtypes_and_shapes: tuple[str, tuple[int, ...]]) -> dict[str, Tensor]:
    return {name.replace("__", "."): Tensor(dtype, shape, 0, 0) for name, (dtype, shape) in dtypes_and_shapes.items()}


def plan(
    hardware: Hardware = GPU, *, lengths: tuple[int, ...] = (936,), dtype: DType = DType.AUTO, **config: Any
) -> EnginePlan:
    return plan_engine({**CONFIG, **config}, EngineChoices(dtype=dtype), hardware, lengths=lengths, max_tokens=64)


EMBEDDINGS = {"model__embed_tokens__weight": ("BF16", (1000, 64))}
HEAD = {"lm_head__weight": ("BF16", (1000, 64))}


@pytest.mark.parametrize(
    ("held", "of", "expected"),
    [
        pytest.param({"a": ("BF16", (10, 3))}, plan(), 60, id="as stored"),
        pytest.param({"a": ("F32", (10, 3))}, plan(), 60, id="halved on loading"),
        pytest.param({"a": ("BF16", (10, 3))}, plan(dtype=DType.FLOAT32), 120, id="doubled on loading"),
        pytest.param({"a": ("I32", (10,)), "b": ("I8", (7,))}, plan(), 47, id="packed weights stay packed"),
        pytest.param({"a": ("BF16", (10, 3))}, plan(GPUS), 30, id="split over two GPUs"),
        pytest.param(EMBEDDINGS | HEAD, plan(), 256_000, id="a head of its own"),
        pytest.param(EMBEDDINGS | HEAD, plan(tie_word_embeddings=True), 256_000, id="a head beside tied embeddings"),
        pytest.param(EMBEDDINGS, plan(tie_word_embeddings=True), 128_000, id="tied"),
        pytest.param(EMBEDDINGS, plan(CPU, tie_word_embeddings=True), 256_000, id="a CPU packs a copy of a tied head"),
        pytest.param(EMBEDDINGS | HEAD, plan(CPU, tie_word_embeddings=True), 256_000, id="beside tied, on a CPU"),
    ],
)
def test_weights(held: dict[str, tuple[str, tuple[int, ...]]], of: EnginePlan, expected: int) -> None:
    assert required_memory(tensors(**held), of).weights == expected


def test_cache_is_one_sequence_on_a_gpu_and_all_that_is_planned_on_a_cpu() -> None:
    per_token = 2 * 2 * 2 * 16 * 2
    tokens = (-(-1000 // 32) + 1) * 32
    assert required_memory({}, plan()).cache == tokens * per_token
    assert required_memory({}, plan(dtype=DType.FLOAT32)).cache == 2 * tokens * per_token
    assert required_memory({}, plan(GPUS)).cache == tokens * per_token // 2
    on_cpu = plan(CPU, lengths=(936,) * 50)
    assert required_memory({}, on_cpu).cache == on_cpu.arguments["kv_cache_memory_bytes"] >= 50 * tokens * per_token


def test_layers_with_a_window_keep_less_on_a_gpu() -> None:
    long = plan(lengths=(30_000,), max_position_embeddings=40_000, num_hidden_layers=4)
    gemma = {"architectures": ["Gemma2ForCausalLM"], "sliding_window": 64}
    halved = replace(long, config={**long.config, **gemma})
    blocks = {tokens: (-(-tokens // 32) + 1) * 32 for tokens in (long.arguments["max_model_len"], 64 + 8192)}
    full, windowed = blocks.values()
    assert required_memory({}, long).cache == 4 * full * 2 * 2 * 16 * 2
    assert required_memory({}, halved).cache == 2 * (full + windowed) * 2 * 2 * 16 * 2
    on_cpu = replace(halved, arguments={k: v for k, v in halved.arguments.items() if k != "tensor_parallel_size"})
    planned = replace(on_cpu, arguments=on_cpu.arguments | {"kv_cache_memory_bytes": 7})
    assert required_memory({}, planned).cache == 7, "a CPU allocates what is planned"


def test_one_step_is_what_the_widest_layer_makes_of_all_its_tokens() -> None:
    logits = 256 * 1000 * 4
    assert required_memory({}, plan()).step == 8192 * 2 * (64 + 128) * 2 + logits
    assert required_memory({}, plan(CPU)).step == 4096 * 2 * (64 + 128) * 2 + logits
    small = replace(plan(), arguments=plan().arguments | {"max_num_batched_tokens": 1024, "max_num_seqs": 64})
    assert required_memory({}, small).step == 1024 * 2 * (64 + 128) * 2 + 64 * 1000 * 4


def test_headers_of_a_real_model_are_enough(models: Path) -> None:
    model = models / "tiny-fc-1200"
    made = plan_engine(dict(checked_model(model).config or {}), EngineChoices(), GPU, lengths=[100], max_tokens=64)
    assert required_memory(model_tensors(model), made).weights == 422_400 * 2


@pytest.mark.parametrize(
    ("required", "memory"),
    [
        pytest.param(
            MemoryRequirement(5 * GIB, GIB, GIB),
            DeviceMemory("x", 8 * GIB, 7 * GIB, gpu=False),
            id="exactly what is free",
        ),
        pytest.param(
            MemoryRequirement(12 * GIB, GIB, GIB),
            DeviceMemory("x", 16 * GIB, 15 * GIB, gpu=True),
            id="within a GPU's share",
        ),
    ],
)
def test_what_fits_is_not_refused(required: MemoryRequirement, memory: DeviceMemory) -> None:
    check_memory(required, memory)


@pytest.mark.parametrize(
    ("required", "memory", "words", "reason"),
    [
        pytest.param(
            MemoryRequirement(30 * GIB, GIB, GIB),
            DeviceMemory("the GPU's memory", 24 * GIB, 23 * GIB, gpu=True),
            ["32.00 GiB", "weights 30.00 GiB", "of 24.00 GiB", "22.08 GiB", "no other try", "workload.resources.gpus"],
            Reason.OUT_OF_MEMORY,
            id="never fits the GPU",
        ),
        pytest.param(
            MemoryRequirement(22 * GIB, GIB, 0),
            DeviceMemory("the GPU's memory", 24 * GIB, 24 * GIB, gpu=True),
            ["23.00 GiB", "of 24.00 GiB at most 22.08 GiB", "admission.maxParameters"],
            Reason.OUT_OF_MEMORY,
            id="more than vLLM's share",
        ),
        pytest.param(
            MemoryRequirement(10 * GIB, GIB, GIB),
            DeviceMemory("the GPU's memory", 24 * GIB, 4 * GIB, gpu=True),
            ["12.00 GiB", "4.00 GiB of 24.00 GiB are free", "something else holds 20.00 GiB"],
            Reason.MEMORY_IN_USE,
            id="the GPU is in use",
        ),
        pytest.param(
            MemoryRequirement(20 * GIB, GIB, GIB),
            DeviceMemory("the GPU's memory", 24 * GIB, 21 * GIB, gpu=True),
            ["22.00 GiB", "21.00 GiB of 24.00 GiB are free"],
            Reason.OUT_OF_MEMORY,
            id="no other process can be blamed",
        ),
        pytest.param(
            MemoryRequirement(10 * GIB, GIB, GIB),
            DeviceMemory("the memory limit of this container", 8 * GIB, 7 * GIB, gpu=False),
            ["the memory limit of this container", "8.00 GiB", "workload.resources.memory"],
            Reason.OUT_OF_MEMORY,
            id="never fits the container",
        ),
    ],
)
def test_refusal_names_both_numbers_and_what_to_change(
    required: MemoryRequirement, memory: DeviceMemory, words: list[str], reason: Reason
) -> None:
    with pytest.raises(InfrastructureFault) as fault:
        check_memory(required, memory)
    assert fault.value.reason is reason
    assert [word for word in words if word not in fault.value.message] == []


def test_share_of_a_gpu_is_vllms_own() -> None:
    cache = pytest.importorskip("vllm.config.cache")
    (default,) = (
        field.default.default
        for name, field in cache.CacheConfig.__dataclass_fields__.items()
        if name == "gpu_memory_utilization"
    )
    assert default == GPU_SHARE


MEMINFO = "MemTotal:       24000000 kB\nMemFree:  100 kB\nMemAvailable:   16000000 kB\n"
NO_LIMIT = 9223372036854771712
TREES: dict[str, tuple[dict[str, str], str, int, int]] = {
    "no control groups": ({}, "machine", 24_000_000 << 10, 16_000_000 << 10),
    "version 2, in a container": (
        {
            "proc/self/cgroup": "0::/\n",
            "sys/fs/cgroup/memory.max": f"{8 * GIB}\n",
            "sys/fs/cgroup/memory.current": f"{3 * GIB}\n",
            "sys/fs/cgroup/memory.stat": f"anon 5\ninactive_file {GIB}\nactive_file {GIB}\n",
        },
        "container",
        8 * GIB,
        7 * GIB,
    ),
    "version 2, limit of a parent": (
        {
            "proc/self/cgroup": "0::/kubepods/pod1/c1\n",
            "sys/fs/cgroup/kubepods/pod1/c1/memory.max": "max\n",
            "sys/fs/cgroup/kubepods/pod1/memory.max": f"{4 * GIB}\n",
            "sys/fs/cgroup/kubepods/pod1/memory.current": f"{GIB}\n",
        },
        "container",
        4 * GIB,
        3 * GIB,
    ),
    "version 1, the path is the host's": (
        {
            "proc/self/cgroup": "5:devices:/a\n4:memory:/docker/abc\n0::/\n",
            "sys/fs/cgroup/memory/memory.limit_in_bytes": f"{2 * GIB}\n",
            "sys/fs/cgroup/memory/memory.usage_in_bytes": f"{GIB}\n",
            "sys/fs/cgroup/memory/memory.stat": (
                f"total_inactive_file {GIB // 4}\ntotal_active_file {GIB // 4}\ninactive_file 0\n"
            ),
        },
        "container",
        2 * GIB,
        3 * GIB // 2,
    ),
    "version 1 without a limit": (
        {
            "proc/self/cgroup": "4:memory:/a\n0::/\n",
            "sys/fs/cgroup/memory/a/memory.limit_in_bytes": f"{NO_LIMIT}\n",
            "sys/fs/cgroup/memory/a/memory.usage_in_bytes": "5\n",
        },
        "machine",
        24_000_000 << 10,
        16_000_000 << 10,
    ),
    "limit above what the machine has left": (
        {
            "proc/self/cgroup": "0::/\n",
            "sys/fs/cgroup/memory.max": f"{20 * GIB}\n",
            "sys/fs/cgroup/memory.current": "0\n",
        },
        "container",
        20 * GIB,
        16_000_000 << 10,
    ),
}


@pytest.mark.parametrize(("files", "where", "total", "free"), TREES.values(), ids=TREES.keys())
def test_memory_is_that_of_the_tightest_limit(
    tmp_path: Path, files: dict[str, str], where: str, total: int, free: int
) -> None:
    for name, content in {"proc/meminfo": MEMINFO, **files}.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(content)
    memory = cpu_memory(tmp_path)
    assert (where in memory.name, memory.total, memory.free, memory.gpu) == (True, total, free, False)


def test_this_machine_has_memory() -> None:
    memory = cpu_memory()
    assert 0 < memory.free <= memory.total
