"""Whether a model fits into memory, decided before it is loaded.

The estimate is the minimum that an evaluation takes, so that nothing is refused that would have worked: the weights in
the engine's number format, keys and values of one sequence as long as the task set needs (on a CPU the whole planned
cache, which is allocated at once), and the largest intermediate results of one step. vLLM reports what it needs beyond
that itself, with reason OutOfMemory too.

A model that does not fit is an InfrastructureFault here, even if its weights alone exceed the device: on other hardware
the same files would have earned a score. Its message names both numbers and the settings that change them. Whether the
round's bounds promised such a machine, or the model needs more than they allow, is decided by `evaluation.blame`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from bitagent_crds.conditions import Reason
from bitagent_evaluator.engines.plan import EnginePlan, cache_bytes_per_sequence, dtype_bytes
from bitagent_evaluator.models.validation.architectures import layout_of
from bitagent_evaluator.models.validation.head import EMBEDDINGS, HEAD
from bitagent_evaluator.models.validation.memory import FLOATS
from bitagent_evaluator.models.validation.weights import ITEM_BYTES, Tensor
from bitagent_evaluator.models.validation.windows import layer_windows
from bitagent_evaluator.support.faults import InfrastructureFault

_UNOCCUPIED = 0.8
"""Share of a GPU's memory that is free at least if no other process uses it; the driver takes less than the rest."""
GPU_SHARE = 0.92
"""Share of a GPU's memory that vLLM uses by default."""
_STEP_TOKENS = {True: 8192, False: 4096}
"""Minimum number of tokens that vLLM computes in one step, by whether it runs on a GPU, unless the plan sets it."""
_SEQUENCES = 256
"""Number of sequences in one step, unless the plan sets it."""
_LOGIT_BYTES = 4


@dataclass(frozen=True)
class MemoryRequirement:
    """Minimum number of bytes that an evaluation takes on each device."""

    weights: int
    cache: int
    step: int

    @property
    def total(self) -> int:
        """Sum of all parts."""
        return self.weights + self.cache + self.step


@dataclass(frozen=True)
class DeviceMemory:
    """Memory of the tightest device, in bytes."""

    name: str
    """In words: `the GPU's memory`, `the memory limit of this container`."""
    total: int
    free: int
    gpu: bool


def required_memory(tensors: Mapping[str, Tensor], plan: EnginePlan) -> MemoryRequirement:
    """Return what the checkpoint takes under the plan, on each device that it is split over."""
    config, devices = plan.config, plan.arguments.get("tensor_parallel_size", 1)
    on_gpu = "tensor_parallel_size" in plan.arguments
    step_tokens = plan.arguments.get("max_num_batched_tokens", _STEP_TOKENS[on_gpu])
    one_sequence = _one_sequence(plan, step_tokens)
    widest = 2 * (config["hidden_size"] + layout_of(config).inner_width(config) // devices)
    sequences = plan.arguments.get("max_num_seqs", _SEQUENCES)
    return MemoryRequirement(
        weights=-(-_weight_bytes(tensors, plan, packs_head=not on_gpu) // devices),
        cache=plan.arguments.get("kv_cache_memory_bytes", -(-one_sequence // devices)),
        step=step_tokens * widest * dtype_bytes(plan.dtype) + sequences * config["vocab_size"] * _LOGIT_BYTES,
    )


def _one_sequence(plan: EnginePlan, step_tokens: int) -> int:
    """Return the size of keys and values of the longest sequence.

    A layer with a sliding window keeps those of the window and of one step (vLLM's SlidingWindowSpec).
    """
    config, length = plan.config, int(plan.arguments["max_model_len"])
    layers = int(config["num_hidden_layers"])
    windows = layer_windows(config)
    full = cache_bytes_per_sequence(config, plan.dtype, length)
    windowed = cache_bytes_per_sequence(config, plan.dtype, min(length, windows.window + step_tokens))
    return ((layers - windows.layers) * full + windows.layers * windowed) // layers


def _weight_bytes(tensors: Mapping[str, Tensor], plan: EnginePlan, *, packs_head: bool) -> int:
    """Return the size of the weights. Without a head the embeddings are the head, and a CPU packs a copy of them.

    A head that equals tied embeddings is loaded, too, before the engine finds that out.
    """
    shared = HEAD not in tensors
    total = 0
    for name, tensor in tensors.items():
        size = tensor.elements * (dtype_bytes(plan.dtype) if tensor.dtype in FLOATS else ITEM_BYTES[tensor.dtype])
        total += 2 * size if shared and packs_head and name == EMBEDDINGS else size
    return total


def check_memory(required: MemoryRequirement, memory: DeviceMemory) -> None:
    """Raise InfrastructureFault if the model cannot be evaluated in this memory.

    The reason is OutOfMemory, or MemoryInUse if another process holds much of a GPU.
    """
    reason = Reason.OUT_OF_MEMORY
    usable = int(memory.total * GPU_SHARE) if memory.gpu else memory.total
    if required.total <= min(usable, memory.free):
        return
    change = (
        "more or larger GPUs (workload.resources.gpus)" if memory.gpu else "more memory (workload.resources.memory)"
    )
    if required.total > usable:
        offered = (
            f"of {_gib(memory.total)} at most {_gib(usable)} can be used"
            if memory.gpu
            else f"it is {_gib(memory.total)}"
        )
        advice = (
            f"no other try will end differently: give evaluations {change}, set a 16-bit format (spec.engine.dtype), "
            "or admit smaller models only (admission.maxParameters)"
        )
    else:
        if memory.gpu and memory.free < _UNOCCUPIED * memory.total:
            reason = Reason.MEMORY_IN_USE
        offered = f"{_gib(memory.free)} of {_gib(memory.total)} are free"
        advice = f"something else holds {_gib(memory.total - memory.free)}: end it, or give evaluations {change}"
    message = (
        f"the model needs at least {_gib(required.total)} of {memory.name} (weights {_gib(required.weights)}, "
        f"key-value cache {_gib(required.cache)}, one step {_gib(required.step)}), and {offered}; {advice}"
    )
    raise InfrastructureFault(reason, message)


def _gib(size: int) -> str:
    return f"{size / (1 << 30):.2f} GiB"


_UNLIMITED = 1 << 60
"""Limits from here on are none: control groups version 1 write a number near 2**63."""


def gpu_memory(gpus: int) -> DeviceMemory:
    """Return the memory of the GPU with the least free memory among the first `gpus`."""
    import torch

    free, total = min(torch.cuda.mem_get_info(gpu) for gpu in range(gpus))
    return DeviceMemory("the GPU's memory" if gpus == 1 else "each GPU's memory", total=total, free=free, gpu=True)


def cpu_memory(root: Path = Path("/")) -> DeviceMemory:
    """Return the tightest of the machine's memory and the limits of this process's control groups, versions 1 and 2.

    A group's file cache counts as free: the kernel drops it before it kills a process, and the weights have just been
    read.
    """
    machine = _numbers(root / "proc/meminfo", factor=1024)
    available = machine["MemAvailable"]
    memories = [DeviceMemory("the machine's memory", total=machine["MemTotal"], free=available, gpu=False)]
    for limit, use in _group_limits(root):
        free = min(max(0, limit - use), available)
        memories.append(DeviceMemory("the memory limit of this container", total=limit, free=free, gpu=False))
    return min(memories, key=lambda memory: (memory.free, memory.total))


def _group_limits(root: Path) -> Iterator[tuple[int, int]]:
    """Yield limit and use, without the file cache, of every limited group from the process's own to the root.

    In a container any of them may be the root of the mount, so all parents of the path are tried.
    """
    for line in _lines(root / "proc/self/cgroup"):
        _, controllers, path = line.split(":", 2)
        if controllers == "":
            mount, limit_file, use_file, prefix = "sys/fs/cgroup", "memory.max", "memory.current", ""
        elif "memory" in controllers.split(","):
            mount, limit_file, use_file = "sys/fs/cgroup/memory", "memory.limit_in_bytes", "memory.usage_in_bytes"
            prefix = "total_"
        else:
            continue
        own = PurePosixPath(path)
        for group in (own, *own.parents):
            folder = root / mount / str(group).lstrip("/")
            limit = _number(folder / limit_file)
            if limit is not None and limit < _UNLIMITED:
                statistics = _numbers(folder / "memory.stat")
                cached = sum(statistics.get(f"{prefix}{part}_file", 0) for part in ("active", "inactive"))
                yield limit, (_number(folder / use_file) or 0) - cached


def _lines(path: Path) -> list[str]:
    return path.read_text().splitlines() if path.is_file() else []


def _number(path: Path) -> int | None:
    """Return the only number in a file; None for a missing file and for `max`."""
    (text,) = _lines(path)[:1] or [""]
    return int(text) if text.isdigit() else None


def _numbers(path: Path, *, factor: int = 1) -> dict[str, int]:
    """Return the numbers by name, from lines of a name, a number and an optional unit."""
    fields = [line.replace(":", " ").split() for line in _lines(path)]
    return {
        name: int(value) * factor
        for name, value, *_ in (field for field in fields if len(field) > 1)
        if value.isdigit()
    }
