"""Why an engine failed: the model or the machine? A table, first match wins.

After the safety checks a model can still fail to load, but a machine fails more often. So what is not known to come from the model counts
as infrastructure, except for the exception types by which engines complain about a configuration or a checkpoint.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from bitagent_crds.conditions import Reason
from bitagent_evaluator.faults import InfrastructureFault, ModelFault


@dataclass(frozen=True)
class _Rule:
    pattern: str
    """Of `type: text` of the exception or of one of its causes, ignoring case."""
    reason: Reason
    advice: str = ""


_RULES = (
    _Rule(
        r"^(\w+\.)*OutOfMemoryError|^MemoryError|out of memory|cannot allocate memory|no available memory|not enough memory"
        r"|available memory on|free memory on device|No space for the cache|larger than the (available|maximum).*KV cache",
        Reason.OUT_OF_MEMORY,
        "give the evaluation more memory or a larger GPU",
    ),
    _Rule(r"compute capability", Reason.INFRASTRUCTURE_FAULT, "this GPU cannot compute in the model's number format"),
    _Rule(
        r"Failed to find a kernel|Marlin does not support",
        Reason.INFRASTRUCTURE_FAULT,
        "this hardware has no kernel for the model's quantisation; 8-bit GPTQ needs a GPU",
    ),
    _Rule(r"CUDA|NCCL|NVML|cuBLAS|cuDNN|driver|device-side|No such device", Reason.INFRASTRUCTURE_FAULT),
    _Rule(
        r"size mismatch|shape|were not initialized|no module or parameter|SafetensorError|quantiz|not divisible|must be divisible",
        Reason.MODEL_LOAD_FAILED,
    ),
    _Rule(
        r"^(\w+\.)*(ValueError|AssertionError|KeyError|TypeError|ValidationError|IndexError"
        r"|ZeroDivisionError|OverflowError|RecursionError)\b",
        Reason.MODEL_LOAD_FAILED,
    ),
)


def classify(error: BaseException) -> ModelFault | InfrastructureFault:
    """The fault behind an exception of the engine."""
    texts = [f"{type(cause).__name__}: {cause}" for cause in _causes(error)]
    first = next((line for line in texts[0].splitlines() if line.strip()), "")[:400]
    for rule in _RULES:
        if any(re.search(rule.pattern, text, re.IGNORECASE) for text in texts):
            message = f"the engine failed: {first}" + (f" ({rule.advice})" if rule.advice else "")
            if rule.reason is Reason.MODEL_LOAD_FAILED:
                return ModelFault(rule.reason, message)
            return InfrastructureFault(rule.reason, message)
    return InfrastructureFault(Reason.INFRASTRUCTURE_FAULT, f"the engine failed: {first}")


def _causes(error: BaseException) -> list[BaseException]:
    chain: list[BaseException] = []
    current: BaseException | None = error
    while current is not None and current not in chain:
        chain.append(current)
        current = current.__cause__ or current.__context__
    return chain
