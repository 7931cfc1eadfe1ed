"""vLLM in this process, driven step by step, so that every completion is available as soon as it is finished."""

from __future__ import annotations

import atexit
import gc
import logging
from collections.abc import Collection, Iterator, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Self

from bitagent_crds.conditions import Reason
from bitagent_crds.jobs import HardwareFacts
from bitagent_evaluator.engines.base import Completion, CompletionRequest, classify_engine_error
from bitagent_evaluator.engines.head import head_equals_embeddings, head_source
from bitagent_evaluator.engines.losses import MeasuredText, PassageLoss, measure_losses
from bitagent_evaluator.engines.memory import check_memory, cpu_memory, gpu_memory, required_memory
from bitagent_evaluator.engines.plan import EnginePlan, Hardware, missing_kernels
from bitagent_evaluator.engines.preload import Preload, without_garbage_collection
from bitagent_evaluator.engines.swap import (
    WORKER,
    Footprint,
    SwapFailed,
    footprint,
    incompatibility,
    swap_weights,
    with_headroom,
)
from bitagent_evaluator.models.checkpoint import model_tensors, model_view
from bitagent_evaluator.support.faults import InfrastructureFault

_log = logging.getLogger(__name__)

_FAILURES = (RuntimeError, ValueError, AssertionError, OSError, MemoryError)
_PACKAGES = ("vllm", "torch", "transformers", "tokenizers", "jinja2")


class VllmEngine:
    """A loaded model. A context manager that leaves the engine running: the backend may load another model into it."""

    def __init__(self, model_dir: Path, plan: EnginePlan, hardware: Hardware, built_for: Footprint) -> None:
        """Load a model. Raises ModelFault and InfrastructureFault."""
        from vllm.engine.arg_utils import EngineArgs
        from vllm.usage.usage_lib import UsageContext
        from vllm.v1.engine.llm_engine import LLMEngine

        self.device = hardware.name
        self.packages = _versions()
        self._built_for = built_for
        self._sound = True
        self._engine: Any = None
        try:
            with model_view(model_dir, plan.config) as view, without_garbage_collection():
                if hardware.gpus <= 1:
                    _register_in_process(plan.config["architectures"][0])
                arguments = EngineArgs(
                    model=str(view),
                    disable_log_stats=True,
                    use_tqdm_on_load=False,
                    worker_extension_cls=WORKER,
                    **plan.arguments,
                )
                self._engine = LLMEngine.from_engine_args(arguments, usage_context=UsageContext.LLM_CLASS)
        except Exception as error:
            raise classify_engine_error(error) from error

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Do nothing: VllmBackend closes the engine."""

    def incompatibility(self, other: Footprint) -> str:
        """Return why another model cannot be loaded into this engine, in words; empty if it can."""
        return incompatibility(self._built_for, other) if self._sound else "its last answers were not finished"

    def swap(self, model_dir: Path, other: Footprint) -> None:
        """Load another model's weights. Raises SwapFailed."""
        self._sound = False
        swap_weights(self._engine, model_dir, other)
        self._sound = True

    def close(self) -> None:
        """Free the memory and vLLM's process-wide state.

        An engine that is only dereferenced destroys the state of the next one when it is collected.
        """
        engine, self._engine = self._engine, None
        if engine is not None:
            try:
                engine.engine_core.shutdown()
            except Exception as error:  # noqa: BLE001 - a failed device fails here too; the next engine reports it
                _log.warning("the last engine did not end in order: %s: %s", type(error).__name__, error)
            del engine
            free_memory()

    def generate(self, requests: Sequence[CompletionRequest], stop_ids: Sequence[int]) -> Iterator[list[Completion]]:
        """Yield after each step the completions that it finished, possibly none. Raises InfrastructureFault.

        Errors here are the machine's: the model was loaded and its prompts are sound.
        """
        stops = frozenset(stop_ids)
        self._sound = False
        try:
            self._submit(requests, stops)
            while self._engine.has_unfinished_requests():
                yield [_completion(output, stops) for output in self._engine.step() if output.finished]
            self._sound = True
        except _FAILURES as error:
            raise _infrastructure_fault(error) from error
        except GeneratorExit:
            self.end(list(self.generated()))
            raise

    def generated(self) -> dict[str, int]:
        """Return the number of tokens generated so far for each unfinished request, by key."""
        states = self._engine.output_processor.request_states.values()
        return {state.external_req_id: state.detokenizer.num_output_tokens() for state in states if state.detokenizer}

    def tokens(self, keys: Collection[str]) -> dict[str, list[int]]:
        """Return the tokens generated so far for these requests, by key, as far as they are unfinished."""
        watched = frozenset(keys)
        states = self._engine.output_processor.request_states.values()
        return {
            state.external_req_id: list(state.detokenizer.output_token_ids)
            for state in states
            if state.detokenizer and state.external_req_id in watched
        }

    def end(self, keys: Collection[str]) -> None:
        """End these requests; they get no completion."""
        self._engine.abort_request(list(keys))

    def losses(self, passages: Sequence[MeasuredText]) -> Iterator[list[PassageLoss]]:
        """Yield the losses of passages, each as soon as it is finished. Raises InfrastructureFault."""
        self._sound = False
        try:
            yield from measure_losses(self._engine, passages)
            self._sound = True
        except _FAILURES as error:
            raise _infrastructure_fault(error) from error

    def _submit(self, requests: Sequence[CompletionRequest], stops: frozenset[int]) -> None:
        from vllm.inputs import tokens_input
        from vllm.sampling_params import RequestOutputKind, SamplingParams

        for request in requests:
            parameters = SamplingParams(
                temperature=0.0,
                max_tokens=request.max_tokens,
                stop_token_ids=sorted(stops),
                detokenize=False,
                output_kind=RequestOutputKind.FINAL_ONLY,
            )
            self._engine.add_request(request.key, tokens_input(request.token_ids), parameters)


def free_memory() -> None:
    """Free unreferenced memory, on the GPU too.

    What stays is excluded from garbage collection again: the next engine's start collects five times, which takes 0.2 s
    instead of 1.6 s.
    """
    import torch

    gc.unfreeze()
    gc.collect()
    gc.freeze()
    torch.cuda.empty_cache()  # Does nothing without a GPU.


def _infrastructure_fault(error: Exception) -> InfrastructureFault:
    """Return the fault behind an exception at a point where no model can be at fault."""
    fault = classify_engine_error(error)
    return fault if isinstance(fault, InfrastructureFault) else InfrastructureFault(Reason.ENGINE_FAILED, fault.message)


def _register_in_process(architecture: str) -> None:
    """Let vLLM inspect the model's class in this process.

    It would import itself again in a child process to keep CUDA out of this one: ten seconds in a pod, whose caches are
    always empty. Workers that are processes of their own (several GPUs) need that; one in this process does not.
    """
    from vllm.model_executor.models.registry import ModelRegistry

    known = ModelRegistry.models.get(architecture)
    if known is not None:
        ModelRegistry.register_model(architecture, known.load_model_cls())


class VllmBackend:
    """The installed vLLM, with at most one engine.

    The last engine runs until a model comes that cannot be loaded into it, or until the process ends: closing one takes
    a second or two, which a pod that exits with `os._exit` saves.

    A model of the same footprint is loaded into the running engine; completions are those of a fresh engine, and so are
    the results (tests compare both byte for byte). With `several` models to come, an engine starts with headroom for
    prompts of other lengths.
    """

    def __init__(self, *, several: bool = False) -> None:
        self.identity = f"vllm {version('vllm')}"
        self._several = several
        self._preload: Preload | None = None
        self._engine: VllmEngine | None = None
        self._failed = False
        """Whether the last load failed: the memory that it holds must be freed before the next one."""
        atexit.register(self._close_engine)

    def prepare(self, model_dir: Path) -> None:
        """Start the import of vLLM."""
        if self._preload is None:
            self._preload = Preload(model_dir)

    def hardware(self) -> Hardware:
        """Return the GPUs if torch finds any, else the CPU. Raises InfrastructureFault."""
        if self._preload is None:
            raise RuntimeError("prepare comes first")
        try:
            return self._preload.wait()
        except InfrastructureFault:
            raise
        except Exception as error:
            message = f"vLLM cannot be imported: {type(error).__name__}: {error}"
            raise InfrastructureFault(Reason.INFRASTRUCTURE_FAULT, message) from error

    def hardware_facts(self) -> HardwareFacts | None:
        """Return the hardware and the engine's version for a summary; None while they are not known."""
        known = self._preload.known if self._preload is not None else None
        if known is None:
            return None
        name = known.name.partition(" x ")[2] if known.gpus else known.name
        return HardwareFacts(
            name=name, gpus=known.gpus, memory_bytes=known.memory_bytes, driver=known.driver, engine=self.identity
        )

    def start(self, model_dir: Path, plan: EnginePlan) -> VllmEngine:
        """Load a model, into the running engine if that is possible. Raises ModelFault and InfrastructureFault."""
        hardware = self.hardware()
        tensors = model_tensors(model_dir)
        head = head_source(tensors, plan.config, lambda: head_equals_embeddings(model_dir, plan.dtype))
        if self._engine is not None and self._try_swap(self._engine, model_dir, footprint(tensors, plan, head)):
            return self._engine
        self._close_engine()
        missing = missing_kernels(plan.config, hardware)
        if missing:
            raise InfrastructureFault(Reason.ENGINE_FAILED, missing)
        if self._several:
            plan = with_headroom(plan)
        gpus = plan.arguments.get("tensor_parallel_size", 0)
        check_memory(required_memory(tensors, plan), gpu_memory(gpus) if gpus else cpu_memory())
        self._failed = True
        self._engine = VllmEngine(model_dir, plan, hardware, footprint(tensors, plan, head))
        self._failed = False
        return self._engine

    def _try_swap(self, engine: VllmEngine, model_dir: Path, other: Footprint) -> bool:
        reason = engine.incompatibility(other)
        if reason:
            _log.info("starting a new engine: %s", reason)
            return False
        try:
            engine.swap(model_dir, other)
        except SwapFailed as error:
            _log.warning("starting a new engine: the weights could not be exchanged: %s", error)
            return False
        _log.info("loaded the model's weights into the running engine")
        return True

    def _close_engine(self) -> None:
        engine, self._engine = self._engine, None
        if engine is not None:
            engine.close()
        if self._failed:
            free_memory()
            self._failed = False


def _completion(output: Any, stops: frozenset[int]) -> Completion:
    completion = output.outputs[0]
    ids = list(completion.token_ids)
    ended = completion.finish_reason == "stop"
    kept = ids[:-1] if ended and ids and ids[-1] in stops else ids
    return Completion(output.request_id, kept, len(ids), "stop" if ended else "length")


def _versions() -> dict[str, str]:
    found = {}
    for name in _PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found
