"""Whether the model or the machine caused an error of the engine."""

from __future__ import annotations

import pytest

from bitagent_crds.conditions import Reason
from bitagent_evaluator.engines.base import classify_engine_error
from bitagent_evaluator.support.faults import InfrastructureFault, ModelFault


class OutOfMemoryError(RuntimeError):
    """Named as torch names its own."""


FAILURES = {
    "GPU memory": (OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB"), Reason.OUT_OF_MEMORY),
    "host memory": (MemoryError(), Reason.OUT_OF_MEMORY),
    "no room for cache": (ValueError("No available memory for the cache blocks."), Reason.OUT_OF_MEMORY),
    "too little room": (
        ValueError("Free memory on device cuda:0 (10/79 GiB) on startup is less than desired"), Reason.MEMORY_IN_USE
    ),
    "old GPU": (
        ValueError("Bfloat16 is only supported on GPUs with compute capability of at least 8.0"),
        Reason.ENGINE_FAILED,
    ),
    "8-bit GPTQ on a CPU": (
        ValueError("Marlin does not support weight_bits = uint8b128. Only types = [uint4b8] are supported"),
        Reason.ENGINE_FAILED,
    ),
    "driver": (RuntimeError("Found no NVIDIA driver on your system"), Reason.INFRASTRUCTURE_FAULT),
    "CUDA error with shape": (RuntimeError("CUDA error: unspecified launch failure"), Reason.ENGINE_FAILED),
    "disk": (OSError(28, "No space left on device"), Reason.INFRASTRUCTURE_FAULT),
    "unknown": (RuntimeError("something else"), Reason.ENGINE_FAILED),
    "shape": (RuntimeError("The size of tensor a must match: shape [1, 2]"), Reason.MODEL_LOAD_FAILED),
    "layer missing": (
        ValueError("Following weights were not initialized from checkpoint"), Reason.MODEL_LOAD_FAILED
    ),
    "bare assertion": (AssertionError(), Reason.MODEL_LOAD_FAILED),
    "a number that nothing divides by": (ZeroDivisionError("float division by zero"), Reason.MODEL_LOAD_FAILED),
    "nested too deeply": (RecursionError("maximum recursion depth exceeded"), Reason.MODEL_LOAD_FAILED),
    "unknown member": (KeyError("model.layers.9"), Reason.MODEL_LOAD_FAILED),
}  # fmt: skip


@pytest.mark.parametrize(("error", "reason"), FAILURES.values(), ids=FAILURES.keys())
def test_whose_fault_a_failure_is(error: Exception, reason: Reason) -> None:
    fault = classify_engine_error(error)
    assert fault.reason is reason
    assert isinstance(fault, ModelFault) == (reason is Reason.MODEL_LOAD_FAILED)


def test_cause_tells_more_than_the_exception() -> None:
    error = RuntimeError("Engine core initialization failed")
    error.__cause__ = OutOfMemoryError("CUDA out of memory")
    fault = classify_engine_error(error)
    assert isinstance(fault, InfrastructureFault) and fault.reason is Reason.OUT_OF_MEMORY
