"""The part of a swap that happens where the weights are: in vLLM's worker, which takes `SwapWorker` in as an extension.

vLLM can load weights into a running model, but what it does is not enough for answers that equal a fresh engine's. Cured here:

1. On a CPU, a head that shares the embeddings' weights computes with a packed copy of its own, which reloading leaves as it was: it is
   packed again.
2. Reloading reports nothing missing. So every parameter that the engine keeps in the checkpoint's layout is compared with the files, bit
   for bit; on a GPU, without quantisation, those are all. CUDA graphs hold addresses, so no parameter may have moved.
3. The key-value cache keeps the previous model's numbers. Unused ones are masked, but NaN times zero is NaN: a model that overflows
   would spoil the next one's answers. The cache is set to zero.

The fourth cure, forgetting cached prefixes, is the scheduler's: see `swap`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from typing import Any

import torch
from safetensors import safe_open
from vllm.model_executor.layers.vocab_parallel_embedding import (
    ParallelLMHead,
    UnquantizedEmbeddingMethod,
    VocabParallelEmbedding,
)

_ROWS_OF = {"qkv_proj": ("q_proj", "k_proj", "v_proj"), "gate_up_proj": ("gate_proj", "up_proj")}
"""Parameters that hold the rows of several tensors of the checkpoint, in this order."""


class SwapWorker:
    """Mixed into vLLM's worker by name (`worker_extension_cls`), so that no code travels to worker processes."""

    model_runner: Any

    def swap_weights(self, files: Sequence[str]) -> list[str]:
        """Put the weights of these files in the place of the loaded ones; the names of all tensors read.

        Raises whatever vLLM raises, and RuntimeError if a parameter does not hold what the files say. After any exception the model is
        a mixture and must not answer.
        """
        runner = self.model_runner
        model = runner.get_model()
        places = {name: parameter.data_ptr() for name, parameter in model.named_parameters()}
        names: list[str] = []
        with ExitStack() as stack:
            checkpoint = _Checkpoint(files, stack)
            runner.reload_weights(weights_iterator=checkpoint.tensors(names))
            _pack_tied_heads(model)
            _check_parameters(model, places, checkpoint)
        _zero(runner.kv_caches)
        return names


class _Checkpoint:
    """Open weight files."""

    def __init__(self, files: Sequence[str], stack: ExitStack) -> None:
        self._holder: dict[str, Any] = {}
        for file in files:
            opened = stack.enter_context(safe_open(file, framework="pt"))
            self._holder.update((name, opened) for name in opened.keys())  # noqa: SIM118 - no mapping

    def tensors(self, names: list[str]) -> Iterator[tuple[str, Any]]:
        """All tensors, each name noted as its tensor is handed out."""
        for name, file in self._holder.items():
            names.append(name)
            yield name, file.get_tensor(name)

    def expected(self, parameter: str) -> Any:
        """What a parameter of the model must hold; None if the checkpoint has nothing for it."""
        owner, _, kind = parameter.rpartition(".")
        prefix, _, last = owner.rpartition(".")
        sources = [f"{prefix}.{part}.{kind}" for part in _ROWS_OF[last]] if last in _ROWS_OF else [parameter]
        if any(source not in self._holder for source in sources):
            return None
        return torch.cat([self._holder[source].get_tensor(source) for source in sources])


def _pack_tied_heads(model: Any) -> None:
    embeddings = [
        module
        for module in model.modules()
        if isinstance(module, VocabParallelEmbedding) and not isinstance(module, ParallelLMHead)
    ]
    for module in model.modules():
        if (
            isinstance(module, ParallelLMHead)
            and isinstance(module.quant_method, UnquantizedEmbeddingMethod)
            and any(module.weight is embedding.weight for embedding in embeddings)
        ):
            module.quant_method.process_weights_after_loading(module)


def _check_parameters(model: Any, places: dict[str, int], checkpoint: _Checkpoint) -> None:
    compared = 0
    for name, parameter in model.named_parameters():
        if parameter.is_meta:
            raise RuntimeError(f"{name} was not loaded")
        if parameter.data_ptr() != places.get(name):
            raise RuntimeError(f"{name} is at another address than before")
        if parameter.numel() == 0:
            continue  # A CPU computes with a packed copy and keeps no other.
        expected = checkpoint.expected(name)
        if expected is None:
            raise RuntimeError(f"the checkpoint has nothing for {name}")
        held = parameter.data[: len(expected)]  # Embeddings are padded.
        if not torch.equal(_bits(held), _bits(expected.to(held.device, held.dtype))):
            raise RuntimeError(f"{name} does not hold what the checkpoint says")
        compared += 1
    if not compared:
        raise RuntimeError("no parameter could be compared with the checkpoint")


def _bits(tensor: Any) -> Any:
    return tensor.contiguous().view(torch.uint8)


def _zero(caches: Any) -> None:
    for cache in caches:
        if isinstance(cache, list | tuple):
            _zero(cache)
        else:
            cache.zero_()
