"""The engine's arguments, decided from the model's configuration, the prompts and the hardware. Pure.

- `max_model_len` is what the longest prompt and its answer need, never more than the model allows: memory goes to concurrency instead.
- Prefix caching is on; on a CPU with blocks of 32 tokens, because the default of 128 never matches short prompts.
- On a CPU the key-value cache gets what the prompts can use (its default would take most of the machine), and nothing is compiled.
- On GPUs memory use is vLLM's default, and a model is split over as many GPUs as its heads divide among.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bitagent_crds.minermodel import DType
from bitagent_crds.minermodel import Engine as EngineChoices
from bitagent_evaluator.safety.architectures.dense import head_dim, key_value_heads

CPU_BLOCK_TOKENS = 32
CPU_CONCURRENCY = 256
"""vLLM's own limit of running sequences."""
_CPU_CACHE_BYTES = (32 << 20, 4 << 30)
_DTYPE_NAMES: Mapping[DType, str] = {
    DType.BFLOAT16: "bfloat16",
    DType.FLOAT16: "float16",
    DType.FLOAT32: "float32",
}
_DTYPE_BYTES = {"float32": 4}


@dataclass(frozen=True)
class Hardware:
    """What the engine runs on."""

    gpus: int
    """Number of GPUs; 0 means the CPU."""
    name: str


@dataclass(frozen=True)
class EnginePlan:
    """How the engine is started."""

    arguments: dict[str, Any]
    """Arguments of vLLM's engine, the model's path left out."""
    config: dict[str, Any]
    """The configuration that the engine reads instead of the submitted one."""
    dtype: str


def token_limit(config: Mapping[str, Any], choices: EngineChoices) -> int:
    """Most tokens of prompt and answer together."""
    allowed: int = config["max_position_embeddings"]
    return min(allowed, choices.max_model_length or allowed)


def engine_dtype(config: Mapping[str, Any], choices: EngineChoices) -> str:
    """Number format in the engine: the one chosen, else the checkpoint's own."""
    return _DTYPE_NAMES.get(choices.dtype) or str(config.get("dtype") or "bfloat16")


def plan_engine(
    config: Mapping[str, Any], choices: EngineChoices, hardware: Hardware, *, lengths: Sequence[int], max_tokens: int
) -> EnginePlan:
    """The plan for prompts of these lengths in tokens, all of which fit."""
    length = min(token_limit(config, choices), max(lengths, default=1) + max_tokens)
    dtype = engine_dtype(config, choices)
    arguments: dict[str, Any] = {
        "dtype": dtype,
        "max_model_len": length,
        "seed": 0,
        "load_format": "safetensors",
        "skip_tokenizer_init": True,
        "enable_prefix_caching": True,
        "generation_config": "vllm",
        "trust_remote_code": False,
    }
    if hardware.gpus:
        arguments["tensor_parallel_size"] = tensor_parallel_size(config, hardware.gpus)
    else:
        arguments |= {
            "enforce_eager": True,
            "block_size": CPU_BLOCK_TOKENS,
            "kv_cache_memory_bytes": _cpu_cache_bytes(config, dtype, length, len(lengths)),
        }
    return EnginePlan(arguments, _with_positions(config, length), dtype)


def tensor_parallel_size(config: Mapping[str, Any], gpus: int) -> int:
    """The largest number of GPUs, at most `gpus`, that attention and key-value heads divide among."""
    heads, groups = config["num_attention_heads"], key_value_heads(config)
    return max(size for size in range(1, gpus + 1) if heads % size == 0 and groups % size == 0)


def _with_positions(config: Mapping[str, Any], length: int) -> dict[str, Any]:
    """The configuration with a table of positions no longer than needed, where that changes nothing else."""
    rope = config.get("rope_parameters") or config.get("rope_scaling") or {}
    if rope.get("rope_type", "default") != "default":
        return dict(config)
    return {**config, "max_position_embeddings": length}


def _cpu_cache_bytes(config: Mapping[str, Any], dtype: str, length: int, prompts: int) -> int:
    per_token = (
        2 * config["num_hidden_layers"] * key_value_heads(config) * head_dim(config) * _DTYPE_BYTES.get(dtype, 2)
    )
    blocks = -(-length // CPU_BLOCK_TOKENS) + 1
    per_sequence = blocks * CPU_BLOCK_TOKENS * per_token
    least, most = _CPU_CACHE_BYTES
    wanted = per_sequence * min(max(1, prompts), CPU_CONCURRENCY)
    return int(max(2 * per_sequence, min(most, max(least, wanted))))
