"""vLLM in this process, driven step by step, so that every answer is in our hands the moment it is finished."""

from __future__ import annotations

import atexit
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Self

from bitagent_crds.conditions import Reason
from bitagent_evaluator.engine.failures import classify
from bitagent_evaluator.engine.interface import Answer, Prompt
from bitagent_evaluator.engine.plan import EnginePlan, Hardware
from bitagent_evaluator.engine.preload import Preload, lasting_objects
from bitagent_evaluator.engine.view import model_view
from bitagent_evaluator.faults import InfrastructureFault

_PACKAGES = ("vllm", "torch", "transformers", "tokenizers", "jinja2")


class VllmEngine:
    """A loaded model. A context manager."""

    def __init__(self, model_dir: Path, plan: EnginePlan, hardware: Hardware) -> None:
        """Load; raises ModelFault or InfrastructureFault."""
        from vllm.engine.arg_utils import EngineArgs
        from vllm.usage.usage_lib import UsageContext
        from vllm.v1.engine.llm_engine import LLMEngine

        self.device = hardware.name
        self.packages = _versions()
        self._stack = ExitStack()
        view = self._stack.enter_context(model_view(model_dir, plan.config))
        try:
            with lasting_objects():
                if hardware.gpus <= 1:
                    _register_in_process(plan.config["architectures"][0])
                arguments = EngineArgs(
                    model=str(view), disable_log_stats=True, use_tqdm_on_load=False, **plan.arguments
                )
                self._engine: Any = LLMEngine.from_engine_args(arguments, usage_context=UsageContext.LLM_CLASS)
        except Exception as error:
            self._stack.close()
            raise classify(error) from error

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def generate(self, prompts: Sequence[Prompt], stop_ids: Sequence[int]) -> Iterator[list[Answer]]:
        """All answers, as they are finished. A failure here is the machine's: the model was loaded and its prompts are sound."""
        stops = frozenset(stop_ids)
        try:
            self._submit(prompts, stops)
            while self._engine.has_unfinished_requests():
                finished = [_answer(output, stops) for output in self._engine.step() if output.finished]
                if finished:
                    yield finished
        except (RuntimeError, ValueError, AssertionError, OSError, MemoryError) as error:
            fault = classify(error)
            if isinstance(fault, InfrastructureFault):
                raise fault from error
            raise InfrastructureFault(Reason.INFRASTRUCTURE_FAULT, fault.message) from error

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


def _register_in_process(architecture: str) -> None:
    """Let vLLM look at the model's class here. It would import itself once more in a child process to keep CUDA out of this one: ten seconds
    in a pod, whose caches are always empty. Workers that are processes of their own (several GPUs) need that; one in this process does not.
    """
    from vllm.model_executor.models.registry import ModelRegistry

    known = ModelRegistry.models.get(architecture)
    if known is not None:
        ModelRegistry.register_model(architecture, known.load_model_cls())


class VllmBackend:
    """vLLM as installed. Its last engine lives until the next one starts or the process ends: letting go of one takes a second or two, and a
    pod that leaves with `os._exit` never does.
    """

    def __init__(self) -> None:
        self.identity = f"vllm {version('vllm')}"
        self._preload: Preload | None = None
        self._engine: VllmEngine | None = None
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
        """Load a model."""
        self._let_go()
        self._engine = VllmEngine(model_dir, plan, self.hardware())
        return self._engine

    def _let_go(self) -> None:
        self._engine = None


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
