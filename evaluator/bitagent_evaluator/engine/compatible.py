"""May a running engine take another model's weights? Pure.

An engine is built for the shapes of one checkpoint: vLLM accepts weights that lack a layer without a word and goes on with the previous
model's, and weights of another shape break it. So every tensor's name, dtype and shape must be equal, and so must the configuration and
the engine's arguments. Only limits may differ, as long as the running engine's are the larger ones: no answer depends on them, because
a prompt that would reach them is not asked.

Not swapped at all, because nothing here could tell a wrong swap from a right one: quantised weights, which kernels store in another order,
and models split over several GPUs, where no process holds a whole tensor.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from bitagent_evaluator.engine.plan import CPU_CACHE_BYTES, EnginePlan, positions_are_a_table
from bitagent_evaluator.safety.headers import Tensor

_LIMITS = frozenset({"max_model_len", "kv_cache_memory_bytes"})
_POSITIONS = "max_position_embeddings"
_UNUSED = frozenset({"bos_token_id", "pad_token_id", "dtype"})
"""Members that the engine does not compute with here: it gets token ids, and its number format is an argument. `eos_token_id` is none of
them, because vLLM stops at it."""
_FAMILY = (
    "architectures", "hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads", "num_key_value_heads", "vocab_size",
    "tie_word_embeddings", "quantization_config",
)  # fmt: skip
_HEADROOM_TOKENS = 512


@dataclass(frozen=True)
class Footprint:
    """What an engine was, or is to be, built for."""

    tensors: Mapping[str, tuple[str, tuple[int, ...]]]
    """Dtype and shape of every tensor of the checkpoint."""
    config: Mapping[str, Any]
    arguments: Mapping[str, Any]


def footprint(tensors: Mapping[str, Tensor], plan: EnginePlan) -> Footprint:
    """The footprint of a checkpoint under a plan."""
    return Footprint(
        {name: (tensor.dtype, tensor.shape) for name, tensor in tensors.items()}, plan.config, plan.arguments
    )


def obstacle(running: Footprint, wanted: Footprint) -> str:
    """Why `wanted` cannot take the running engine's place, for people; empty if it can."""
    if running.config.get("quantization_config") or wanted.config.get("quantization_config"):
        return "the weights are quantised"
    if wanted.arguments.get("tensor_parallel_size", 1) > 1:
        return "the model is split over several GPUs"
    differing = _differing(running.tensors, wanted.tensors)
    if differing:
        return f"{len(differing)} tensors differ, such as {differing[0]}"
    differing = _differing(_comparable(running.config), _comparable(wanted.config))
    if differing:
        return f"the configuration differs: {', '.join(differing)}"
    fixed = [{key: value for key, value in of.arguments.items() if key not in _LIMITS} for of in (running, wanted)]
    differing = _differing(*fixed)
    if differing:
        return f"the engine's arguments differ: {', '.join(differing)}"
    short = [name for name in sorted(_LIMITS) if _limit(running, name) < _limit(wanted, name)]
    return f"the running engine is too small: {', '.join(short)}" if short else ""


def with_headroom(plan: EnginePlan) -> EnginePlan:
    """The plan for an engine that further models may take over: their templates write prompts of slightly other lengths.

    The length is rounded up to whole steps of 512 tokens, as far as the positions allow, and a CPU's cache grows along within its bounds.
    """
    needed = plan.arguments["max_model_len"]
    roomy = -(-needed // _HEADROOM_TOKENS) * _HEADROOM_TOKENS
    config = dict(plan.config)
    if positions_are_a_table(config):
        config[_POSITIONS] = max(roomy, config[_POSITIONS])
    length = min(roomy, config[_POSITIONS])
    arguments = {**plan.arguments, "max_model_len": length}
    planned = arguments.get("kv_cache_memory_bytes")
    if planned is not None:
        most = max(planned, CPU_CACHE_BYTES[1])
        arguments["kv_cache_memory_bytes"] = min(most, -(-planned * length // needed))
    return replace(plan, arguments=arguments, config=config)


def family(config: Mapping[str, Any]) -> str:
    """Equal for models that may be able to share an engine, so that they can be evaluated one after the other. Takes any configuration."""
    return json.dumps([config.get(member) for member in _FAMILY])


def _comparable(config: Mapping[str, Any]) -> dict[str, Any]:
    unused = _UNUSED | {_POSITIONS} if positions_are_a_table(config) else _UNUSED
    return {key: value for key, value in config.items() if key not in unused}


def _differing(one: Mapping[str, Any], other: Mapping[str, Any]) -> list[str]:
    return sorted(
        key for key in one.keys() | other.keys() if key not in one or key not in other or one[key] != other[key]
    )


def _limit(of: Footprint, name: str) -> int:
    return int(of.arguments.get(name, 0))
