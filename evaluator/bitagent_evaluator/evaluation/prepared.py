"""One run's inputs, and what is prepared of them before an engine is ready.

The engine's import starts first, in a thread; meanwhile the model's files are validated, its weights are scanned, and
a sandboxed child writes the prompts.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bitagent_crds.conditions import Reason
from bitagent_crds.evaluation import RunSpec, longest_answer
from bitagent_crds.jobs import MemoryLimits
from bitagent_crds.progress import EvaluationPhase
from bitagent_crds.results import Unanswered
from bitagent_crds.task_set import Task, TaskSetManifest
from bitagent_evaluator.engines.base import Backend
from bitagent_evaluator.engines.plan import engine_dtype, token_limit
from bitagent_evaluator.evaluation.budget import Budget, Clock, Meter, UnansweredTask
from bitagent_evaluator.evaluation.journal import Journal, RunKey, prompts_digest
from bitagent_evaluator.evaluation.strategies import (
    GenerationStrategy,
    PromptEncoder,
    ScoringOptions,
    open_encoder,
    prepare_strategies,
)
from bitagent_evaluator.models.checkpoint import non_finite_tensors
from bitagent_evaluator.models.validation.files import ValidationResult, weight_files
from bitagent_evaluator.models.validation.validate import validate_directory
from bitagent_evaluator.prompts.tokenizer import SandboxedTokenizer
from bitagent_evaluator.support.faults import InfrastructureFault, ModelFault
from bitagent_evaluator.support.progress import Progress

_log = logging.getLogger(__name__)

MAX_MODEL_BYTES = 1 << 40
"""No limit in practice: the size of a model is limited when it is fetched."""
_REPETITIONS = 3
"""How often prompts are written again that may differ: what depends on chance may be the same once."""


@dataclass(frozen=True)
class Evaluation:
    """One run, with the files that it needs and makes."""

    run: RunSpec
    model_dir: Path
    tasks: Sequence[Task]
    out_dir: Path
    """Directory of the results."""
    task_set: TaskSetManifest | None = None
    """Manifest of the task set, if it has one, for provenance."""
    fresh: bool = False
    """Whether to ask every task again instead of reusing answers of an earlier attempt."""
    memory_limits: MemoryLimits = field(default_factory=MemoryLimits)
    """What the round admits, to decide whose fault a lack of memory is."""
    on_stall: Callable[[str], None] | None = None
    """Called in another thread, with the cause in words, if the engine hangs; None: not noticed."""
    began: float | None = None
    """Start time on the monotonic clock; None for a process's first evaluation, which includes the process's start."""


@dataclass(frozen=True)
class Prepared:
    """A model's tasks as it is asked them, while the tokenizer that wrote the prompts is open."""

    evaluation: Evaluation
    run: RunSpec
    """What is run, with the prompt format that is used."""
    model: ValidationResult
    encoder: PromptEncoder
    strategies: Sequence[GenerationStrategy]
    key: RunKey

    @property
    def config(self) -> dict[str, Any]:
        """The model's configuration."""
        return dict(self.model.config or {})

    @property
    def order(self) -> list[str]:
        """Ids of the tasks that can be asked, in the order in which the budget is spent."""
        return [task_id for strategy in self.strategies for task_id in strategy.task_ids]

    @property
    def too_long(self) -> int:
        """Number of tasks whose prompt does not fit into the model."""
        return sum(len(strategy.too_long) for strategy in self.strategies)

    @property
    def refused(self) -> dict[str, str]:
        """The template's error for each task whose prompt it rejected."""
        return {task_id: message for strategy in self.strategies for task_id, message in strategy.refused.items()}

    @property
    def unasked(self) -> dict[str, UnansweredTask]:
        """Tasks that cannot be asked because of the model's template, and why."""
        return _unasked(self.strategies)

    def meter(self, journal: Journal, clock: Clock, *, earlier_seconds: float | None = None) -> Meter:
        """Return what the run has spent by a journal; `earlier_seconds`: the time, if that is not the journal's."""
        return Meter(
            self.order,
            Budget.of(self.run, len(self.evaluation.tasks)),
            tokens={response.id: response.completion_tokens for response in journal.responses.values()},
            earlier_seconds=journal.started.generate_seconds if earlier_seconds is None else earlier_seconds,
            clock=clock,
        )


@contextmanager
def prepared(evaluation: Evaluation, backend: Backend, progress: Progress) -> Iterator[Prepared]:
    """Check the model and write the prompts while the engine's import runs.

    Raises ModelFault, InfrastructureFault and SandboxUnavailable.
    """
    run, model_dir = evaluation.run, evaluation.model_dir
    if not model_dir.is_dir() or not weight_files(entry.name for entry in model_dir.iterdir()):
        message = f"{model_dir} holds no model: was it removed from the cache while the evaluation waited?"
        raise InfrastructureFault(Reason.INFRASTRUCTURE_FAULT, message)
    progress.start_phase("checking the model, writing prompts, loading vLLM", EvaluationPhase.LOADING)
    backend.prepare(model_dir)
    with SandboxedTokenizer(model_dir) as tokenizer:
        model = checked_model(model_dir)
        config = dict(model.config or {})
        encoder, strategies = _prompts(evaluation, tokenizer, config)
        _check_finite(model_dir)
        run = run.model_copy(update={"prompt_format": encoder.format_name})
        key = _run_key(run, backend, encoder, strategies, config)
        this = Prepared(evaluation, run, model, encoder, strategies, key)
        if this.too_long:
            _log.warning("%d prompts do not fit into %d tokens; their tasks fail", this.too_long, encoder.token_limit)
        for task_id, why in this.unasked.items():
            _log.warning("task %s cannot be asked and fails: %s", task_id, why.detail)
        yield this


def check_repeatable(this: Prepared) -> None:
    """Write the prompts again, in other processes. Raises ModelFault if they differ.

    A template can print a part of where an object lies in memory. Then what one process was answered cannot be put
    together with the answers of another.
    """
    for _ in range(_REPETITIONS):
        with SandboxedTokenizer(this.evaluation.model_dir) as tokenizer:
            _, strategies = _prompts(this.evaluation, tokenizer, this.config)
            if _digest_of(strategies) != this.key.prompts_digest:
                message = "the chat template writes other prompts in each process: it prints what is not text"
                raise ModelFault(Reason.TEMPLATE_REFUSED, message)


def _prompts(
    evaluation: Evaluation, tokenizer: SandboxedTokenizer, config: dict[str, Any]
) -> tuple[PromptEncoder, Sequence[GenerationStrategy]]:
    run = evaluation.run
    encoder = open_encoder(
        tokenizer,
        run.prompt_format,
        max_tokens=longest_answer(run),
        token_limit=token_limit(config, run.engine),
        vocab_size=config["vocab_size"],
        max_prompt_tokens=run.max_prompt_tokens,
        thinking=run.thinking_switch,
    )
    scoring = ScoringOptions(run.scorer, run.loss_parameters)
    return encoder, prepare_strategies(evaluation.tasks, encoder, scoring)


def _digest_of(strategies: Sequence[GenerationStrategy]) -> str:
    return prompts_digest(ids for strategy in strategies for ids in strategy.fingerprint())


def _unasked(strategies: Sequence[GenerationStrategy]) -> dict[str, UnansweredTask]:
    """Return the tasks that cannot be asked because of the model's template, and why."""
    found: dict[str, UnansweredTask] = {}
    for strategy in strategies:
        for cause, details in (
            (Unanswered.PROMPT_REFUSED, strategy.refused),
            (Unanswered.PROMPT_TOO_LONG, strategy.over_limit),
        ):
            found |= {task_id: UnansweredTask(cause, detail) for task_id, detail in details.items()}
    return found


def checked_model(model_dir: Path) -> ValidationResult:
    """Return the facts of a model that is safe to load. Raises ModelFault for another one."""
    judgement = validate_directory(model_dir, max_bytes=MAX_MODEL_BYTES)
    if judgement.refusal is not None or judgement.config is None:
        reason, message = judgement.refusal or (Reason.BAD_CONFIG, "no configuration")
        raise ModelFault(reason, message)
    return judgement


def _check_finite(model_dir: Path) -> None:
    bad = non_finite_tensors(model_dir)
    if bad:
        message = f"{len(bad)} tensors hold NaN or infinity, such as {bad[0]}"
        raise ModelFault(Reason.NON_FINITE_WEIGHTS, message)


def _run_key(
    run: RunSpec,
    backend: Backend,
    encoder: PromptEncoder,
    strategies: Sequence[GenerationStrategy],
    config: dict[str, Any],
) -> RunKey:
    return RunKey(
        run=run,
        prompts_digest=_digest_of(strategies),
        stop_ids=tuple(encoder.stop_ids),
        max_model_length=encoder.token_limit,
        dtype=engine_dtype(config, run.engine),
        engine=backend.identity,
    )
