"""The part of a swap inside vLLM's worker, which loads `SwapWorker` as an extension.

vLLM can load weights into a running model, but that alone does not give the answers of a fresh engine. Corrected here:

1. On a CPU, a head that shares the embeddings' weights computes with a packed copy of its own, which reloading leaves
   unchanged: it is packed again.
2. Reloading reports neither missing weights nor weights that it drops. So every parameter must have its tensors in the
   files, and every tensor of the files its parameter, except for those that engines ignore. What the engine keeps in
   the checkpoint's layout is compared with the files, bit for bit; on a GPU, without quantisation, that is everything.
   CUDA graphs hold addresses, so no parameter may have moved.
3. The key-value cache keeps the previous model's numbers. Unused ones are masked, but NaN times zero is NaN: a model
   that overflows would spoil the next one's answers. The cache is set to zero.

The fourth correction, dropping cached prefixes, is the scheduler's: see `swap`.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from contextlib import ExitStack
from typing import Any

import torch
from safetensors import safe_open

_ROWS_OF = {"qkv_proj": ("q_proj", "k_proj", "v_proj"), "gate_up_proj": ("gate_proj", "up_proj")}
"""Parameters that consist of the rows of several tensors of the checkpoint, in this order, if it does not have them."""
_IGNORED = (".rotary_emb.inv_freq",)
"""Ends of names of tensors that no engine uses: it computes them from the configuration."""


class SwapWorker:
    """Extension of vLLM's worker, named by `worker_extension_cls`, so that no code is sent to worker processes."""

    model_runner: Any

    def swap_weights(self, files: Sequence[str]) -> list[str]:
        """Replace the loaded weights by those of these files; return the names of all tensors that were read.

        Raises what vLLM raises, and RuntimeError if a parameter differs from the files. After any exception the model
        is a mixture and must not be used.
        """
        runner = self.model_runner
        model = runner.get_model()
        addresses = {name: parameter.data_ptr() for name, parameter in model.named_parameters()}
        names: list[str] = []
        with ExitStack() as stack:
            checkpoint = _Checkpoint(files, stack)
            runner.reload_weights(weights_iterator=checkpoint.tensors(names))
            _pack_tied_heads(model)
            _check_parameters(model, addresses, checkpoint)
        _set_to_zero(runner.kv_caches)
        return names


class _Checkpoint:
    """Open weight files of a checkpoint."""

    def __init__(self, files: Sequence[str], stack: ExitStack) -> None:
        self._file_of: dict[str, Any] = {}
        for file in files:
            opened = stack.enter_context(safe_open(file, framework="pt"))
            self._file_of.update((name, opened) for name in opened.keys())  # noqa: SIM118 - not a mapping

    def tensors(self, names: list[str]) -> Iterator[tuple[str, Any]]:
        """Yield all tensors; append the name of each to `names` as it is read."""
        for name, file in self._file_of.items():
            names.append(name)
            yield name, file.get_tensor(name)

    def sources(self, name: str) -> tuple[str, ...]:
        """Return the tensors that a parameter or buffer consists of; empty if one of them is missing."""
        if name in self._file_of:
            return (name,)
        owner, _, kind = name.rpartition(".")
        prefix, _, last = owner.rpartition(".")
        parts = tuple(f"{prefix}.{part}.{kind}" for part in _ROWS_OF.get(last, ()))
        return parts if all(part in self._file_of for part in parts) else ()

    def rows(self, sources: Sequence[str]) -> Any:
        """Return the rows of these tensors, one after the other."""
        return torch.cat([self._file_of[source].get_tensor(source) for source in sources])

    def unused(self, used: Collection[str]) -> list[str]:
        """Return the sorted names of the tensors that an engine should hold and that are not among `used`."""
        return sorted(name for name in self._file_of.keys() - used if not name.endswith(_IGNORED))


def _pack_tied_heads(model: Any) -> None:
    # Imported here, where it costs nothing: vLLM's import takes seconds, and the comparisons do without it.
    from vllm.model_executor.layers.vocab_parallel_embedding import (
        ParallelLMHead,
        UnquantizedEmbeddingMethod,
        VocabParallelEmbedding,
    )

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


def _check_parameters(model: Any, addresses: dict[str, int], checkpoint: _Checkpoint) -> None:
    """Compare parameters, and buffers that are in the files, with the files. Raises RuntimeError."""
    for name, parameter in model.named_parameters():
        if parameter.is_meta:
            raise RuntimeError(f"{name} was not loaded")
        if parameter.data_ptr() != addresses.get(name):
            raise RuntimeError(f"{name} is at another address than before")
    used: set[str] = set()
    compared: set[int] = set()
    without: dict[str, int] = {}
    # A parameter that two modules share has a tensor for each of the two names, or for one of them.
    for name, parameter in model.named_parameters(remove_duplicate=False):
        sources = checkpoint.sources(name)
        used.update(sources)
        if not sources:
            without[name] = id(parameter)
        elif parameter.numel():  # A CPU computes with a packed copy of most parameters and keeps no other.
            _compare(name, parameter, checkpoint.rows(sources))
            compared.add(id(parameter))
    for name, buffer in model.named_buffers():
        if sources := checkpoint.sources(name):
            used.update(sources)
            _compare(name, buffer, checkpoint.rows(sources))
    lost = [name for name, parameter in without.items() if parameter not in compared]
    if lost:
        raise RuntimeError(f"the checkpoint has nothing for {lost[0]}")
    dropped = checkpoint.unused(used)
    if dropped:
        raise RuntimeError(f"the engine has nothing that holds {dropped[0]} of the checkpoint")
    if not compared:
        raise RuntimeError("no parameter could be compared with the checkpoint")


def _compare(name: str, tensor: Any, expected: Any) -> None:
    held = tensor.data[: len(expected)]  # Embeddings are padded.
    if not torch.equal(_bits(held), _bits(expected.to(held.device, held.dtype))):
        raise RuntimeError(f"{name} does not hold what the checkpoint says")


def _bits(tensor: Any) -> Any:
    return tensor.contiguous().view(torch.uint8)


def _set_to_zero(caches: Any) -> None:
    for cache in caches:
        if isinstance(cache, list | tuple):
            _set_to_zero(cache)
        else:
            cache.zero_()
