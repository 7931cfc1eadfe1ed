"""The engine's arguments, decided from the model's configuration, the prompts and the hardware. Pure.

- `max_model_len` is what the longest prompt and its answer need, never more than the model allows: memory is for
  concurrency.
- Prefix caching is on; on a CPU with blocks of 32 tokens, because the default of 128 never matches short prompts.
- On a CPU the key-value cache gets what the prompts can use (its default would take most of the machine), and nothing
  is compiled.
- On GPUs memory use is vLLM's default, and a model is split over as many GPUs as its heads and layers are divisible by.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bitagent_crds.minermodel import DType, EngineChoices
from bitagent_evaluator.models.validation.architectures import architecture_of, head_dim, key_value_heads, layout_of
from bitagent_evaluator.models.validation.engine_shape import positions_are_a_table

CPU_BLOCK_TOKENS = 32
CPU_CONCURRENCY = 256
"""vLLM's limit of sequences that run at the same time."""
CPU_CACHE_BYTES = (32 << 20, 4 << 30)
"""Minimum and maximum size of the key-value cache on a CPU; two sequences of full length fit in any case."""
_DTYPE_NAMES: Mapping[DType, str] = {
    DType.BFLOAT16: "bfloat16",
    DType.FLOAT16: "float16",
    DType.FLOAT32: "float32",
}
_DTYPE_BYTES = {"float32": 4}
_VOCABULARY_BLOCK = 64
"""vLLM pads the vocabulary to a multiple of this before it splits it."""


@dataclass(frozen=True)
class Hardware:
    """Hardware that the engine runs on."""

    gpus: int
    """Number of GPUs; 0 for the CPU."""
    name: str
    batch_invariant: bool = False
    """Whether completions are independent of what else is computed at the same time (see `preload`)."""
    memory_bytes: int = 0
    """Total memory of one GPU; 0 for the CPU."""
    driver: str = ""
    """Version of the GPU's kernel driver; empty if unknown."""
    quantized: bool = True
    """Whether the engine has kernels for quantised weights here."""


@dataclass(frozen=True)
class EnginePlan:
    """Arguments and configuration with which the engine is started."""

    arguments: dict[str, Any]
    """Arguments of vLLM's engine, without the model's path."""
    config: dict[str, Any]
    """Configuration that the engine reads instead of the submitted one."""
    dtype: str
    """Number format in the engine."""
    batch_invariant: bool = False

    @property
    def recorded(self) -> dict[str, Any]:
        """Engine arguments for a result's provenance."""
        return {**self.arguments, "batch_invariant": self.batch_invariant}


def token_limit(config: Mapping[str, Any], choices: EngineChoices) -> int:
    """Return the maximum number of tokens of prompt and answer together."""
    allowed: int = config["max_position_embeddings"]
    return min(allowed, choices.max_model_length or allowed)


def engine_dtype(config: Mapping[str, Any], choices: EngineChoices) -> str:
    """Return the number format in the engine: the chosen one, else the checkpoint's own.

    Kernels for quantised weights compute in 16 bits only; those models get bfloat16 if float32 is chosen. Families that
    the engine does not compute in float16 get it, too.
    """
    dtype = _DTYPE_NAMES.get(choices.dtype) or str(config.get("dtype") or "bfloat16")
    if dtype == "float16" and not architecture_of(config).float16:
        return "bfloat16"
    return "bfloat16" if dtype == "float32" and config.get("quantization_config") else dtype


def missing_kernels(config: Mapping[str, Any], hardware: Hardware) -> str:
    """Return what vLLM cannot compute on this hardware, with the remedy; empty if there is nothing.

    Its kernels for quantised weights on a CPU need AVX-512 on x86, and it has none for quantised experts there.
    """
    if not config.get("quantization_config") or hardware.gpus:
        return ""
    if layout_of(config).experts is not None:
        return f"vLLM cannot compute quantised experts on {hardware.name}: use a GPU"
    if not hardware.quantized:
        return f"vLLM cannot compute quantised weights on {hardware.name}: use a GPU or a processor with AVX-512"
    return ""


def plan_engine(
    config: Mapping[str, Any], choices: EngineChoices, hardware: Hardware, *, lengths: Sequence[int], max_tokens: int
) -> EnginePlan:
    """Return the plan for prompts of these lengths in tokens, all of which fit, and answers of `max_tokens`."""
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
            "kv_cache_memory_bytes": cpu_cache_bytes(config, dtype, length, len(lengths)),
        }
    return EnginePlan(arguments, _with_positions(config, length), dtype, hardware.batch_invariant)


def tensor_parallel_size(config: Mapping[str, Any], gpus: int) -> int:
    """Return the largest number of GPUs, at most `gpus`, by which everything that vLLM splits is divisible.

    That is heads, inner layers (of each expert in a mixture), padded vocabulary, and whole groups of quantised weights.
    With another number a sound model fails to load, which would look like its own fault; so does one with fewer experts
    than GPUs.
    """
    layout, group = layout_of(config), _group_size(config)
    inner = layout.split_widths(config)
    attended = config["num_attention_heads"] * head_dim(config)
    vocabulary = -(-config["vocab_size"] // _VOCABULARY_BLOCK) * _VOCABULARY_BLOCK
    split = [config["num_attention_heads"], key_value_heads(config), *inner, vocabulary]
    grouped = [*inner, attended] if group > 1 else []
    most = gpus if layout.experts is None else min(gpus, config[layout.experts.count])

    def divides(size: int) -> bool:
        return all(width % size == 0 for width in split) and all(width % (size * group) == 0 for width in grouped)

    return max(size for size in range(1, most + 1) if size == 1 or divides(size))


def _group_size(config: Mapping[str, Any]) -> int:
    """Return how many weights share a scale in quantised layers; 1 if a whole row does, or if nothing is quantised."""
    settings = config.get("quantization_config") or {}
    group: Mapping[str, Any] = next(iter((settings.get("config_groups") or {}).values()), {})
    return max(1, settings.get("group_size") or (group.get("weights") or {}).get("group_size") or 1)


def _with_positions(config: Mapping[str, Any], length: int) -> dict[str, Any]:
    """Return the configuration with a table of positions no longer than needed, if that changes nothing else."""
    return {**config, "max_position_embeddings": length} if positions_are_a_table(config) else dict(config)


def cache_bytes_per_sequence(config: Mapping[str, Any], dtype: str, length: int) -> int:
    """Return the bytes of keys and values of one sequence of `length` tokens, in whole blocks and one to spare."""
    layers: int = config["num_hidden_layers"]
    per_token = 2 * layers * key_value_heads(config) * head_dim(config) * dtype_bytes(dtype)
    blocks = -(-length // CPU_BLOCK_TOKENS) + 1
    return blocks * CPU_BLOCK_TOKENS * per_token


def dtype_bytes(dtype: str) -> int:
    """Return the size in bytes of one number in an engine's format."""
    return _DTYPE_BYTES.get(dtype, 2)


def cpu_cache_bytes(config: Mapping[str, Any], dtype: str, length: int, prompts: int) -> int:
    """Return the size of the key-value cache on a CPU: what so many prompts can use, within bounds."""
    per_sequence = cache_bytes_per_sequence(config, dtype, length)
    least, most = CPU_CACHE_BYTES
    useful = per_sequence * min(max(1, prompts), CPU_CONCURRENCY)
    return int(max(2 * per_sequence, min(most, max(least, useful))))
