"""Hot swap: whether a running engine can get another model's weights (pure), and the exchange itself.

An engine is built for the shapes of one checkpoint: vLLM accepts weights that lack a layer without an error and keeps
the previous model's, and weights of another shape break it. So every tensor's name, dtype and shape must be equal, and
so must the configuration, the engine's arguments, and what the engine decides once by the checkpoint's values: where it
takes the head from. Only limits may differ, as long as the running engine's are the larger ones: no answer depends on
them, because a prompt that would reach them is not asked. Rotary positions that are scaled by the engine's longest
sequence are the exception.

Quantised weights and experts, which kernels store in another order, and models split over several GPUs, of which no
process holds a whole tensor, are never swapped: nothing here could tell a wrong swap of them from a right one.

A swap takes a tenth of a second instead of the time of an engine's start.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from bitagent_evaluator.engines.head import HeadSource
from bitagent_evaluator.engines.plan import CPU_CACHE_BYTES, EnginePlan
from bitagent_evaluator.models.checkpoint import weight_paths
from bitagent_evaluator.models.validation.engine_shape import EXPERTS, POSITIONS, comparable, positions_are_a_table
from bitagent_evaluator.models.validation.weights import Tensor

_LENGTH = "max_model_len"
_LIMITS = frozenset({_LENGTH, "kv_cache_memory_bytes"})
_FAMILY = (
    *("architectures", "hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads"),
    *("num_key_value_heads", "vocab_size", "tie_word_embeddings", "quantization_config"),
)
_HEADROOM_TOKENS = 512
_INDEPENDENT_OF_LENGTH = frozenset({"default", "linear", "dynamic", "yarn", "llama3"})
"""Scalings of rotary positions that the engine computes without its longest sequence.

`longrope` has two sets of factors, of which the engine takes one for all sequences by `max_model_len` (vLLM 0.32,
Phi3LongRoPEScaledRotaryEmbedding).
"""


@dataclass(frozen=True)
class Footprint:
    """Everything about a checkpoint that an engine is built for."""

    tensors: Mapping[str, tuple[str, tuple[int, ...]]]
    """Dtype and shape of every tensor of the checkpoint, by name."""
    config: Mapping[str, Any]
    arguments: Mapping[str, Any]
    head: HeadSource


def footprint(tensors: Mapping[str, Tensor], plan: EnginePlan, head: HeadSource) -> Footprint:
    """Return the footprint of a checkpoint under a plan."""
    return Footprint(
        {name: (tensor.dtype, tensor.shape) for name, tensor in tensors.items()}, plan.config, plan.arguments, head
    )


def incompatibility(running: Footprint, other: Footprint) -> str:
    """Return why the running engine cannot get the weights of the other model, in words; empty if it can."""
    if running.config.get("quantization_config") or other.config.get("quantization_config"):
        return "the weights are quantised"
    if other.arguments.get("tensor_parallel_size", 1) > 1:
        return "the model is split over several GPUs"
    if any(EXPERTS in name for name in other.tensors):
        return "the model has experts"
    differing = _differing(running.tensors, other.tensors)
    if differing:
        return f"{len(differing)} tensors differ, such as {differing[0]}"
    differing = _differing(comparable(running.config), comparable(other.config))
    if differing:
        return f"the configuration differs: {', '.join(differing)}"
    if running.head is not other.head:
        return f"the running engine has a head {running.head}, the model one {other.head}"
    limits = _LIMITS - {_LENGTH} if _computes_with_length(other.config) else _LIMITS
    fixed = [{key: value for key, value in of.arguments.items() if key not in limits} for of in (running, other)]
    differing = _differing(*fixed)
    if differing:
        return f"the engine's arguments differ: {', '.join(differing)}"
    short = [name for name in sorted(limits) if _limit(running, name) < _limit(other, name)]
    return f"the running engine is too small: {', '.join(short)}" if short else ""


def with_headroom(plan: EnginePlan) -> EnginePlan:
    """Return the plan for an engine that later gets other models, whose templates write prompts of other lengths.

    The length is rounded up to a multiple of 512 tokens, as far as the positions allow, and a CPU's cache grows in
    proportion within its bounds. Where answers depend on the length, the plan is unchanged.
    """
    if _computes_with_length(plan.config):
        return plan
    needed = plan.arguments[_LENGTH]
    rounded = -(-needed // _HEADROOM_TOKENS) * _HEADROOM_TOKENS
    config = dict(plan.config)
    if positions_are_a_table(config):
        config[POSITIONS] = max(rounded, config[POSITIONS])
    length = min(rounded, config[POSITIONS])
    arguments = {**plan.arguments, _LENGTH: length}
    planned = arguments.get("kv_cache_memory_bytes")
    if planned is not None:
        most = max(planned, CPU_CACHE_BYTES[1])
        arguments["kv_cache_memory_bytes"] = min(most, -(-planned * length // needed))
    return replace(plan, arguments=arguments, config=config)


def architecture_family(config: Mapping[str, Any]) -> str:
    """Return a key that is equal for models that may share an engine; for any configuration, checked or not."""
    return json.dumps([config.get(member) for member in _FAMILY])


def _computes_with_length(config: Mapping[str, Any]) -> bool:
    """Return whether the engine scales rotary positions by its longest sequence, or may do so."""
    return not _INDEPENDENT_OF_LENGTH.issuperset(_scalings(config.get("rope_parameters"), config.get("rope_scaling")))


def _scalings(*settings: object) -> Iterator[str]:
    """Yield the scalings of rotary positions, also of those with settings for each type of layer."""
    for of in settings:
        if isinstance(of, Mapping):
            yield str(of.get("rope_type") or of.get("type") or "default")
            yield from _scalings(*of.values())


def _differing(one: Mapping[str, Any], other: Mapping[str, Any]) -> list[str]:
    """Return the keys whose values differ, or that only one has, sorted."""
    return sorted(
        key for key in one.keys() | other.keys() if key not in one or key not in other or one[key] != other[key]
    )


def _limit(of: Footprint, name: str) -> int:
    return int(of.arguments.get(name, 0))


WORKER = "bitagent_evaluator.engines.swap_worker.SwapWorker"
"""Extension of the engine's workers."""


class SwapFailed(Exception):
    """A swap failed half-way: the engine holds a mixture of two models and must not be used again."""


def swap_weights(engine: Any, model_dir: Path, expected: Footprint) -> None:
    """Load the weights of `model_dir`, which has the expected footprint, into vLLM's `engine`. Raises SwapFailed."""
    try:
        files = [str(path.resolve()) for path in weight_paths(model_dir)]
        read: list[list[str]] = engine.collective_rpc("swap_weights", args=(files,))
        if any(sorted(names) != sorted(expected.tensors) for names in read):
            raise RuntimeError("the weight files changed while they were read")
        # Cached prefixes hold keys and values of the previous model. vLLM does not drop them while requests use them.
        if not engine.reset_prefix_cache():
            raise RuntimeError("the prefix cache is in use")
    except Exception as error:
        raise SwapFailed(f"{type(error).__name__}: {error}"[:300]) from error
