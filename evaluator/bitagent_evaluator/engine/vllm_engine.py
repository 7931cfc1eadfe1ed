"""vLLM in this process, driven step by step, so that every answer is in our hands the moment it is finished."""

from __future__ import annotations

import atexit
import gc
import logging
from collections.abc import Iterator, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Self

from bitagent_crds.conditions import Reason
from bitagent_evaluator.engine.compatible import Footprint, footprint, obstacle, with_headroom
from bitagent_evaluator.engine.failures import classify
from bitagent_evaluator.engine.interface import Answer, Prompt
from bitagent_evaluator.engine.memory import check_memory, need
from bitagent_evaluator.engine.memory_room import cpu_room, gpu_room
from bitagent_evaluator.engine.plan import EnginePlan, Hardware
from bitagent_evaluator.engine.preload import Preload, lasting_objects
from bitagent_evaluator.engine.prompt_losses import Measured, Passage, measure
from bitagent_evaluator.engine.swap import WORKER, EngineLost, swap_weights
from bitagent_evaluator.engine.tensors import model_tensors
from bitagent_evaluator.engine.view import model_view
from bitagent_evaluator.faults import InfrastructureFault

_log = logging.getLogger(__name__)

_FAILURES = (RuntimeError, ValueError, AssertionError, OSError, MemoryError)
_PACKAGES = ("vllm", "torch", "transformers", "tokenizers", "jinja2")


class VllmEngine:
    """A loaded model. A context manager: what it leaves is an engine that the backend may give another model."""

    def __init__(self, model_dir: Path, plan: EnginePlan, hardware: Hardware, built_for: Footprint) -> None:
        """Load; raises ModelFault or InfrastructureFault."""
        from vllm.engine.arg_utils import EngineArgs
        from vllm.usage.usage_lib import UsageContext
        from vllm.v1.engine.llm_engine import LLMEngine

        self.device = hardware.name
        self.packages = _versions()
        self._built_for = built_for
        self._sound = True
        self._engine: Any = None
        try:
            with model_view(model_dir, plan.config) as view, lasting_objects():
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
            raise classify(error) from error

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Nothing: see VllmBackend."""

    def obstacle(self, wanted: Footprint) -> str:
        """Why this engine cannot take another model over, for people; empty if it can."""
        return obstacle(self._built_for, wanted) if self._sound else "its last answers were not finished"

    def swap(self, model_dir: Path, wanted: Footprint) -> None:
        """Become the engine of another model. Raises EngineLost."""
        self._sound = False
        swap_weights(self._engine, model_dir, wanted)
        self._sound = True

    def close(self) -> None:
        """Free the memory and vLLM's process-wide state. An engine that is only forgotten takes its successor's state down with it."""
        engine, self._engine = self._engine, None
        if engine is not None:
            try:
                engine.engine_core.shutdown()
            except Exception as error:  # noqa: BLE001 - a failed device fails here too; the next engine says whether it can start
                _log.warning("the last engine did not end in order: %s: %s", type(error).__name__, error)
            del engine
            free_memory()

    def generate(self, prompts: Sequence[Prompt], stop_ids: Sequence[int]) -> Iterator[list[Answer]]:
        """All answers, as they are finished. A failure here is the machine's: the model was loaded and its prompts are sound."""
        stops = frozenset(stop_ids)
        self._sound = False
        try:
            self._submit(prompts, stops)
            while self._engine.has_unfinished_requests():
                finished = [_answer(output, stops) for output in self._engine.step() if output.finished]
                if finished:
                    yield finished
            self._sound = True
        except _FAILURES as error:
            raise _of_the_machine(error) from error

    def losses(self, passages: Sequence[Passage]) -> Iterator[list[Measured]]:
        """Losses of passages, as they are finished. A failure here is the machine's, as in `generate`."""
        self._sound = False
        try:
            yield from measure(self._engine, passages)
            self._sound = True
        except _FAILURES as error:
            raise _of_the_machine(error) from error

    def _submit(self, prompts: Sequence[Prompt], stops: frozenset[int]) -> None:
        from vllm.inputs import tokens_input
        from vllm.sampling_params import RequestOutputKind, SamplingParams

        for prompt in prompts:
            parameters = SamplingParams(
                temperature=0.0,
                max_tokens=prompt.max_tokens,
                stop_token_ids=sorted(stops),
                detokenize=False,
                output_kind=RequestOutputKind.FINAL_ONLY,
            )
            self._engine.add_request(prompt.key, tokens_input(prompt.token_ids), parameters)


def free_memory() -> None:
    """Give back what nobody refers to any more, on the GPU too."""
    import torch

    gc.unfreeze()
    gc.collect()
    torch.cuda.empty_cache()  # Does nothing where there is no GPU.


def _of_the_machine(error: Exception) -> InfrastructureFault:
    """The fault behind an exception when no model can be at fault."""
    fault = classify(error)
    return (
        fault
        if isinstance(fault, InfrastructureFault)
        else InfrastructureFault(Reason.INFRASTRUCTURE_FAULT, fault.message)
    )


def _register_in_process(architecture: str) -> None:
    """Let vLLM look at the model's class here. It would import itself once more in a child process to keep CUDA out of this one: ten seconds
    in a pod, whose caches are always empty. Workers that are processes of their own (several GPUs) need that; one in this process does not.
    """
    from vllm.model_executor.models.registry import ModelRegistry

    known = ModelRegistry.models.get(architecture)
    if known is not None:
        ModelRegistry.register_model(architecture, known.load_model_cls())


class VllmBackend:
    """vLLM as installed. Its last engine lives until a model comes that cannot take it over, or the process ends: letting go of one takes a
    second or two, and a pod that leaves with `os._exit` never does.

    A model of the same footprint gets the running engine with its own weights; answers are those of a fresh engine, and so are the results
    (tests compare both byte for byte). With `several` models to come, an engine starts with some headroom for prompts of other lengths.
    """

    def __init__(self, *, several: bool = False) -> None:
        self.identity = f"vllm {version('vllm')}"
        self._several = several
        self._preload: Preload | None = None
        self._engine: VllmEngine | None = None
        self._failed = False
        """Whether the last load failed: what it left behind is in the next one's way."""
        atexit.register(self._let_go)

    def prepare(self, model_dir: Path) -> None:
        """Begin to import vLLM."""
        if self._preload is None:
            self._preload = Preload(model_dir)

    def hardware(self) -> Hardware:
        """GPUs if torch sees any, else the CPU. Raises InfrastructureFault."""
        if self._preload is None:
            raise RuntimeError("prepare comes first")
        try:
            return self._preload.wait()
        except Exception as error:
            message = f"vLLM cannot be imported: {type(error).__name__}: {error}"
            raise InfrastructureFault(Reason.INFRASTRUCTURE_FAULT, message) from error

    def start(self, model_dir: Path, plan: EnginePlan) -> VllmEngine:
        """Load a model, into the running engine if that is possible."""
        tensors = model_tensors(model_dir)
        wanted = footprint(tensors, plan)
        if self._engine is not None and self._taken_over(self._engine, model_dir, wanted):
            return self._engine
        self._let_go()
        hardware = self.hardware()
        if self._several:
            plan = with_headroom(plan)
        gpus = plan.arguments.get("tensor_parallel_size", 0)
        check_memory(need(tensors, plan), gpu_room(gpus) if gpus else cpu_room())
        self._failed = True
        self._engine = VllmEngine(model_dir, plan, hardware, footprint(tensors, plan))
        self._failed = False
        return self._engine

    def _taken_over(self, engine: VllmEngine, model_dir: Path, wanted: Footprint) -> bool:
        reason = engine.obstacle(wanted)
        if reason:
            _log.info("a fresh engine, because %s", reason)
            return False
        try:
            engine.swap(model_dir, wanted)
        except EngineLost as error:
            _log.warning("a fresh engine, because the weights could not be exchanged: %s", error)
            return False
        _log.info("the running engine took the model's weights over")
        return True

    def _let_go(self) -> None:
        engine, self._engine = self._engine, None
        if engine is not None:
            engine.close()
        if self._failed:
            free_memory()
            self._failed = False


def _answer(output: Any, stops: frozenset[int]) -> Answer:
    completion = output.outputs[0]
    ids = list(completion.token_ids)
    ended = completion.finish_reason == "stop"
    kept = ids[:-1] if ended and ids and ids[-1] in stops else ids
    return Answer(output.request_id, kept, len(ids), "stop" if ended else "length")


def _versions() -> dict[str, str]:
    found = {}
    for name in _PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found
