"""Evaluate one model on one task set.

The engine's import starts first, in a thread; meanwhile the model's files are validated, its weights are scanned, and
a sandboxed child writes the prompts. Answers go to the journal as they are completed. Tasks that an earlier attempt
answered are not asked again, and a run without any other task never loads an engine. A prompt that leaves no room for
an answer is not asked, nor is one that the model's template rejects: such a task has no response, and fails. So do
tasks that the model's budget of tokens or time leaves (`budget`).
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

from bitagent_crds.conditions import Reason
from bitagent_crds.evaluation import BuiltinScorer, RunSpec, longest_answer
from bitagent_crds.fields import BuiltinPromptFormat
from bitagent_crds.jobs import MemoryLimits
from bitagent_crds.minermodel import DType
from bitagent_crds.plugins import PluginError
from bitagent_crds.progress import EvaluationPhase
from bitagent_crds.results import Response, Unanswered
from bitagent_crds.task_set import Task, TaskSetManifest
from bitagent_evaluator.engines.base import Backend, Engine
from bitagent_evaluator.engines.losses import plan_for_losses
from bitagent_evaluator.engines.plan import engine_dtype, plan_engine, token_limit
from bitagent_evaluator.evaluation.blame import blaming_memory
from bitagent_evaluator.evaluation.budget import Budget, Clock, Meter, UnansweredTask
from bitagent_evaluator.evaluation.journal import Journal, RunKey, prompts_digest
from bitagent_evaluator.evaluation.metered import metered
from bitagent_evaluator.evaluation.results import Evaluated, Provenance, finish
from bitagent_evaluator.evaluation.scoring_pool import ScoringPool, pool_size, usable_cores
from bitagent_evaluator.evaluation.strategies import (
    GenerationStrategy,
    PromptEncoder,
    ScoringOptions,
    open_encoder,
    prepare_strategies,
)
from bitagent_evaluator.evaluation.thinking_engine import with_thought_limits
from bitagent_evaluator.evaluation.thoughts import ThoughtFinder, ThoughtLimits
from bitagent_evaluator.evaluation.timeline import TimelineRecorder, seconds_since
from bitagent_evaluator.evaluation.watchdog import Watchdog
from bitagent_evaluator.models.checkpoint import non_finite_tensors
from bitagent_evaluator.models.validation.files import ValidationResult, weight_files
from bitagent_evaluator.models.validation.validate import validate_directory
from bitagent_evaluator.prompts import check_format
from bitagent_evaluator.prompts.tokenizer import SandboxedTokenizer
from bitagent_evaluator.sandbox.process import SandboxUnavailable
from bitagent_evaluator.scoring import check_scorer
from bitagent_evaluator.support.faults import InfrastructureFault, ModelFault
from bitagent_evaluator.support.progress import Progress

_log = logging.getLogger(__name__)

MAX_MODEL_BYTES = 1 << 40
"""No limit in practice: the size of a model is limited when it is fetched."""


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


def evaluate(
    evaluation: Evaluation, backend: Backend, progress: Progress, *, clock: Clock = time.monotonic
) -> Evaluated:
    """Evaluate the model and write the results to `out_dir`. Raises ModelFault or InfrastructureFault.

    `clock` measures the time of generating that the run may bound.
    """
    try:
        check_scorer(evaluation.run.scorer)
        check_format(evaluation.run.prompt_format)
        return _evaluate(replace(evaluation, run=_settled(evaluation.run)), backend, progress, clock)
    except PluginError as error:
        raise InfrastructureFault(Reason.INFRASTRUCTURE_FAULT, str(error)) from error
    except SandboxUnavailable as error:  # a child may also be killed because the model left it no memory
        raise InfrastructureFault(Reason.CRASHED, str(error)) from error


def _settled(run: RunSpec) -> RunSpec:
    """Return the run with the choices that scorer Loss does not leave open.

    The number format is float32, because a 16-bit format changes a loss by more than models differ. The format is
    ChatTemplate where none was chosen, because no call is asked for.
    """
    if run.scorer != BuiltinScorer.LOSS:
        return run
    auto = run.prompt_format == BuiltinPromptFormat.AUTO
    return run.model_copy(
        update={
            "engine": run.engine.model_copy(update={"dtype": DType.FLOAT32}),
            "prompt_format": BuiltinPromptFormat.CHAT_TEMPLATE if auto else run.prompt_format,
        }
    )


def _evaluate(evaluation: Evaluation, backend: Backend, progress: Progress, clock: Clock) -> Evaluated:
    run, model_dir = evaluation.run, evaluation.model_dir
    if not model_dir.is_dir() or not weight_files(entry.name for entry in model_dir.iterdir()):
        message = f"{model_dir} holds no model: was it removed from the cache while the evaluation waited?"
        raise InfrastructureFault(Reason.INFRASTRUCTURE_FAULT, message)
    progress.start_phase("checking the model, writing prompts, loading vLLM", EvaluationPhase.LOADING)
    backend.prepare(model_dir)
    with SandboxedTokenizer(model_dir) as tokenizer:
        model = checked_model(model_dir)
        config = dict(model.config or {})
        limit = token_limit(config, run.engine)
        encoder = open_encoder(
            tokenizer,
            run.prompt_format,
            max_tokens=longest_answer(run),
            token_limit=limit,
            vocab_size=config["vocab_size"],
            max_prompt_tokens=run.max_prompt_tokens,
            thinking=run.thinking_switch,
        )
        strategies = prepare_strategies(evaluation.tasks, encoder, ScoringOptions(run.scorer, run.loss_parameters))
        _check_finite(model_dir)
        if too_long := sum(len(strategy.too_long) for strategy in strategies):
            _log.warning("%d prompts do not fit into %d tokens; their tasks fail", too_long, limit)
        refused = {task_id: message for strategy in strategies for task_id, message in strategy.refused.items()}
        unasked = _unasked(strategies)
        for task_id, why in unasked.items():
            _log.warning("task %s cannot be asked and fails: %s", task_id, why.detail)
        run = run.model_copy(update={"prompt_format": encoder.format_name})
        key = _run_key(run, backend, encoder, strategies, config)
        order = [task_id for strategy in strategies for task_id in strategy.task_ids]
        with Journal(evaluation.out_dir, key, frozenset(order), fresh=evaluation.fresh) as journal:
            meter = Meter(
                order,
                Budget.of(run, len(evaluation.tasks)),
                tokens={response.id: response.completion_tokens for response in journal.responses.values()},
                earlier_seconds=journal.started.generate_seconds,
                clock=clock,
            )
            workers = pool_size(evaluation.tasks, usable_cores())
            with ScoringPool(evaluation.tasks, encoder.format_name, run.scorer, workers=workers) as pool:
                pool.submit(list(journal.responses.values()))
                with blaming_memory(model, run, evaluation.memory_limits):
                    load = _generate(evaluation, backend, progress, config, encoder, strategies, journal, pool, meter)
                responses, late = meter.settle(journal.responses)
                progress.start_phase("scoring", EvaluationPhase.SCORING)
                started = time.monotonic()
                provenance = Provenance(
                    run=run,
                    task_set=evaluation.task_set,
                    syntaxes=tuple(encoder.format.syntaxes),
                    dtype=key.dtype,
                    started=journal.started,
                    notes=encoder.notes,
                )
                finished = finish(
                    evaluation.out_dir, provenance, evaluation.tasks, responses, pool, unanswered=unasked | late
                )
            return Evaluated(
                run=run,
                aggregate=finished.aggregate,
                result_digest=finished.result_digest,
                device=" + ".join(journal.started.devices)[:128],
                resumed=journal.resumed,
                too_long=too_long,
                refused=refused,
                unanswered=finished.unanswered,
                answer_sketch=finished.answer_sketch,
                findings=finished.findings,
                seconds=journal.started.seconds(load=load, score=time.monotonic() - started),
            )


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
        prompts_digest=prompts_digest(ids for strategy in strategies for ids in strategy.fingerprint()),
        stop_ids=tuple(encoder.stop_ids),
        max_model_length=encoder.token_limit,
        dtype=engine_dtype(config, run.engine),
        engine=backend.identity,
    )


def _generate(
    evaluation: Evaluation,
    backend: Backend,
    progress: Progress,
    config: dict[str, Any],
    encoder: PromptEncoder,
    strategies: Sequence[GenerationStrategy],
    journal: Journal,
    pool: ScoringPool,
    meter: Meter,
) -> float:
    """Ask the tasks without an answer; return the seconds until the engine was ready, if one was needed."""
    total = len(meter.order)
    if journal.resumed:
        _log.info("%d of %d answers reused from an earlier attempt", journal.resumed, total)
    if not meter.left(journal.responses):
        return seconds_since(evaluation.began)
    sequences = [tokens for strategy in strategies for tokens in strategy.sequence_lengths]
    plan = plan_engine(config, evaluation.run.engine, backend.hardware(), lengths=sequences, max_tokens=0)
    if evaluation.run.scorer == BuiltinScorer.LOSS:
        plan = plan_for_losses(plan)
    progress.start_phase("loading the model", EvaluationPhase.LOADING)
    with backend.start(evaluation.model_dir, plan) as engine:
        load = seconds_since(evaluation.began)
        journal.start(device=engine.device, arguments=plan.recorded, packages=engine.packages, load_seconds=load)
        progress.start_phase("generating", EvaluationPhase.GENERATING)
        progress.update(len(journal.responses), total)
        timeline = TimelineRecorder(answers=len(journal.responses), began=evaluation.began)

        def keep(responses: list[Response]) -> None:
            journal.append(responses)
            pool.submit(responses)
            timeline.record(responses)
            progress.update(len(journal.responses), total, timeline.tokens)

        with ExitStack() as stack:
            watchdog = stack.enter_context(Watchdog(evaluation.on_stall)) if evaluation.on_stall else None

            def after_step() -> None:
                journal.record_seconds(meter.seconds)
                progress.step()
                if watchdog is not None:
                    watchdog.beat()

            meter.start()
            spending = metered(_with_thought_limits(engine, evaluation.run, encoder), meter, after_step)
            for strategy in strategies:
                strategy.run(spending, frozenset(journal.responses), keep)
        journal.record_seconds(meter.seconds)
        timeline.write(evaluation.out_dir)
        return load


def _with_thought_limits(engine: Engine, run: RunSpec, encoder: PromptEncoder) -> Engine:
    """Return the engine that cuts thoughts and answers, or the engine itself if thoughts have no limit of their own."""
    if run.max_thought_tokens is None:
        return engine
    finder = ThoughtFinder(partial(encoder.tokenizer.decode, special_tokens=True), encoder.end_of_thinking_id)
    return with_thought_limits(engine, ThoughtLimits(run.max_thought_tokens, run.max_tokens), finder)
