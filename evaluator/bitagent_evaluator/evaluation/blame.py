"""Whose fault a lack of memory is: the model's, or that of a machine that is smaller than the round promises.

Admission asks the same function before a GPU is used (`bitagent_crds.memory`), so the model's fault is left for runs
without an admission, and for facts of earlier versions.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from bitagent_crds.conditions import Reason
from bitagent_crds.evaluation import RunSpec
from bitagent_crds.jobs import MemoryLimits
from bitagent_crds.memory import excess, memory_need
from bitagent_crds.minermodel import MemoryShape
from bitagent_evaluator.models.validation.files import ValidationResult
from bitagent_evaluator.support.faults import InfrastructureFault, ModelFault


@contextmanager
def blaming_memory(model: ValidationResult, run: RunSpec, limits: MemoryLimits) -> Iterator[None]:
    """Raise ModelFault instead of OutOfMemory if the model needs more than the limits allow.

    Else the fault stays the machine's, and its message says so.
    """
    try:
        yield
    except InfrastructureFault as fault:
        if fault.reason is not Reason.OUT_OF_MEMORY or model.memory is None:
            raise
        shape = MemoryShape.model_validate(model.memory)
        too_much = excess(shape, model.parameters or 0, run.engine, run, limits)
        if too_much:
            message = f"out of memory, by the model's own shape: {too_much}"
            raise ModelFault(Reason.NEEDS_TOO_MUCH_MEMORY, message) from fault
        need = memory_need(shape, run.engine, run)
        message = f"{fault.message}; the run's bounds allow the {need.in_words} that one sequence needs"
        raise InfrastructureFault(fault.reason, message) from fault
