"""The interface of backends and engines, and the cause of an engine's error: the model or the machine.

After the safety checks a model can still fail to load, but a machine fails more often. So an error that is not known to
come from the model, by a table of patterns or by the exception types with which engines report a bad configuration or
checkpoint, counts as infrastructure.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, runtime_checkable

from bitagent_crds.conditions import Fault, Reason
from bitagent_evaluator.engines.plan import EnginePlan, Hardware
from bitagent_evaluator.support.faults import InfrastructureFault, ModelFault
from bitagent_evaluator.support.text import first_line


@dataclass(frozen=True)
class CompletionRequest:
    """One prompt for the engine."""

    key: str
    """Chosen by the caller; the completion has the same."""
    token_ids: list[int]
    max_tokens: int
    """Maximum number of tokens to generate."""


@dataclass(frozen=True)
class Completion:
    """The engine's answer to one request."""

    key: str
    token_ids: list[int]
    """Generated tokens without the stop token."""
    completion_tokens: int
    """Number of generated tokens, with the stop token."""
    finish_reason: str
    """`stop` or `length`."""


class Engine(Protocol):
    """A loaded model."""

    device: str
    """Hardware, for provenance."""
    packages: dict[str, str]
    """Versions of the packages that compute."""

    def generate(self, requests: Sequence[CompletionRequest], stop_ids: Sequence[int]) -> Iterator[list[Completion]]:
        """Yield all completions, greedily decoded, each as soon as it is finished. Raises InfrastructureFault.

        May yield an empty list after each step, so that a caller can look at the clock. Closing a generator ends all
        requests.
        """
        ...


@runtime_checkable
class StoppableEngine(Protocol):
    """An engine that shows what it is generating and can end single requests."""

    def generated(self) -> Mapping[str, int]:
        """Return the number of tokens generated so far for each unfinished request, by key."""
        ...

    def end(self, keys: Collection[str]) -> None:
        """End these requests; they get no completion."""
        ...


@runtime_checkable
class WatchableEngine(StoppableEngine, Protocol):
    """An engine that also shows what it has generated."""

    def tokens(self, keys: Collection[str]) -> Mapping[str, list[int]]:
        """Return the tokens generated so far for these requests, by key, as far as they are unfinished."""
        ...


class Backend(Protocol):
    """Loads models into engines."""

    identity: str
    """Name and version of the inference engine; responses of another one are not reused."""

    def prepare(self, model_dir: Path) -> None:
        """Start what takes long and needs no model, without waiting for it."""
        ...

    def hardware(self) -> Hardware:
        """Return what engines run on; waits for `prepare`. Raises InfrastructureFault."""
        ...

    def start(self, model_dir: Path, plan: EnginePlan) -> AbstractContextManager[Engine]:
        """Load a model, into the running engine if that is possible. Raises ModelFault and InfrastructureFault.

        The engine of an earlier call must not be used any more.
        """
        ...


@dataclass(frozen=True)
class _FailureRule:
    pattern: str
    """Regular expression, searched without case in `type: text` of the exception and of each of its causes."""
    reason: Reason
    advice: str = ""


_RULES = (
    _FailureRule(
        r"free memory on device .* less than desired",
        Reason.MEMORY_IN_USE,
        "another process uses the GPU: end it",
    ),
    _FailureRule(
        r"^(\w+\.)*OutOfMemoryError|^MemoryError|out of memory|cannot allocate memory|no available memory"
        r"|not enough memory"
        r"|available memory on|No space for the cache"
        r"|larger than the (available|maximum).*KV cache",
        Reason.OUT_OF_MEMORY,
        "give the evaluation more memory or a larger GPU",
    ),
    _FailureRule(r"compute capability", Reason.ENGINE_FAILED, "this GPU cannot compute in the model's number format"),
    _FailureRule(
        r"Failed to find a kernel|Marlin does not support",
        Reason.ENGINE_FAILED,
        "this hardware has no kernel for the model's quantisation; 8-bit GPTQ needs a GPU",
    ),
    _FailureRule(
        r"driver|NVML|No such device|No space left on device|Read-only file system|Input/output error",
        Reason.INFRASTRUCTURE_FAULT,
    ),
    _FailureRule(r"CUDA|NCCL|cuBLAS|cuDNN|device-side", Reason.ENGINE_FAILED),
    _FailureRule(
        r"size mismatch|shape|were not initialized|no module or parameter|SafetensorError|quantiz"
        r"|not divisible|must be divisible",
        Reason.MODEL_LOAD_FAILED,
    ),
    _FailureRule(
        r"^(\w+\.)*(ValueError|AssertionError|KeyError|TypeError|ValidationError|IndexError"
        r"|ZeroDivisionError|OverflowError|RecursionError)\b",
        Reason.MODEL_LOAD_FAILED,
    ),
)


def classify_engine_error(error: BaseException) -> ModelFault | InfrastructureFault:
    """Return the fault behind an exception of the engine; the first matching rule decides."""
    texts = [f"{type(cause).__name__}: {cause}" for cause in _causes(error)]
    first = first_line(texts[0], limit=400)
    for rule in _RULES:
        if any(re.search(rule.pattern, text, re.IGNORECASE) for text in texts):
            message = f"the engine failed: {first}" + (f" ({rule.advice})" if rule.advice else "")
            if rule.reason.fault is Fault.MODEL:
                return ModelFault(rule.reason, message)
            return InfrastructureFault(rule.reason, message)
    return InfrastructureFault(Reason.ENGINE_FAILED, f"the engine failed: {first}")


def _causes(error: BaseException) -> list[BaseException]:
    chain: list[BaseException] = []
    current: BaseException | None = error
    while current is not None and current not in chain:
        chain.append(current)
        current = current.__cause__ or current.__context__
    return chain
