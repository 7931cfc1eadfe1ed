"""Does the model fit, before a minute is spent on loading it? Pure.

What is counted is the least that an evaluation takes, so that nothing is refused that would have worked: the weights in the engine's number
format, keys and values of one sequence as long as the task set calls for (on a CPU the whole planned cache, which is taken at once), and the
largest intermediate results of one step. What vLLM needs beyond that it says itself, with reason OutOfMemory too.

Whose fault is a model that does not fit? The operator's, even if its weights alone exceed the device: the round's admission let it in, and
on other hardware the same files would have earned a score. A score of 0 would be a statement about the model, and it would be wrong. So it is
an InfrastructureFault, and its message names both numbers and the settings that change them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from bitagent_crds.conditions import Reason
from bitagent_evaluator.engine.plan import EnginePlan, cache_bytes_per_sequence, dtype_bytes
from bitagent_evaluator.faults import InfrastructureFault
from bitagent_evaluator.safety.headers import ITEM_BYTES, Tensor

GPU_SHARE = 0.92
"""Part of a GPU's memory that vLLM uses; its default."""
_STEP_TOKENS = {True: 8192, False: 4096}
"""Tokens that vLLM computes in one step, at least, on a GPU and on a CPU, unless the plan says another number."""
_SEQUENCES = 256
"""Sequences in one step, likewise."""
_LOGIT_BYTES = 4
_FLOATS = frozenset({"BF16", "F16", "F32", "F64"})
_HEAD = "lm_head.weight"
_EMBEDDINGS = "model.embed_tokens.weight"


@dataclass(frozen=True)
class Need:
    """Bytes that an evaluation takes on each device, at least."""

    weights: int
    cache: int
    step: int

    @property
    def total(self) -> int:
        """All together."""
        return self.weights + self.cache + self.step


@dataclass(frozen=True)
class Room:
    """Memory of the tightest device, in bytes."""

    where: str
    """What it is, for people: `the GPU's memory`, `the memory limit of this container`."""
    total: int
    free: int
    gpu: bool


def need(tensors: Mapping[str, Tensor], plan: EnginePlan) -> Need:
    """What the checkpoint takes under the plan, on each device that it is split over."""
    config, devices = plan.config, plan.arguments.get("tensor_parallel_size", 1)
    on_gpu = "tensor_parallel_size" in plan.arguments
    one_sequence = cache_bytes_per_sequence(config, plan.dtype, plan.arguments["max_model_len"])
    widest = 2 * (config["hidden_size"] + config["intermediate_size"] // devices)
    step_tokens = plan.arguments.get("max_num_batched_tokens", _STEP_TOKENS[on_gpu])
    sequences = plan.arguments.get("max_num_seqs", _SEQUENCES)
    return Need(
        weights=-(-_weight_bytes(tensors, plan, packs_head=not on_gpu) // devices),
        cache=plan.arguments.get("kv_cache_memory_bytes", -(-one_sequence // devices)),
        step=step_tokens * widest * dtype_bytes(plan.dtype) + sequences * config["vocab_size"] * _LOGIT_BYTES,
    )


def _weight_bytes(tensors: Mapping[str, Tensor], plan: EnginePlan, *, packs_head: bool) -> int:
    """A tied head is loaded once; a CPU packs a copy of it."""
    tied = plan.config.get("tie_word_embeddings", False)
    total = 0
    for name, tensor in tensors.items():
        if tied and name == _HEAD:
            continue
        size = tensor.elements * (dtype_bytes(plan.dtype) if tensor.dtype in _FLOATS else ITEM_BYTES[tensor.dtype])
        total += 2 * size if tied and packs_head and name == _EMBEDDINGS else size
    return total


def check_memory(needed: Need, room: Room) -> None:
    """Raise InfrastructureFault (OutOfMemory) if the model cannot be evaluated in this memory."""
    usable = int(room.total * GPU_SHARE) if room.gpu else room.total
    if needed.total <= min(usable, room.free):
        return
    change = "more or larger GPUs (workload.resources.gpus)" if room.gpu else "more memory (workload.resources.memory)"
    if needed.total > usable:
        offered = (
            f"of {_gib(room.total)} at most {_gib(usable)} can be used" if room.gpu else f"it is {_gib(room.total)}"
        )
        advice = (
            f"no other try will end differently: give evaluations {change}, set a 16-bit format (spec.engine.dtype), "
            "or admit smaller models only (admission.maxParameters)"
        )
    else:
        offered = f"{_gib(room.free)} of {_gib(room.total)} are free"
        advice = f"something else holds {_gib(room.total - room.free)}: end it, or give evaluations {change}"
    message = (
        f"the model needs at least {_gib(needed.total)} of {room.where} (weights {_gib(needed.weights)}, key-value cache "
        f"{_gib(needed.cache)}, one step {_gib(needed.step)}), and {offered}; {advice}"
    )
    raise InfrastructureFault(Reason.OUT_OF_MEMORY, message)


def _gib(size: int) -> str:
    return f"{size / (1 << 30):.2f} GiB"
