"""Evaluate one model on one task set.

Answers go to the journal as they are completed. Tasks that an earlier attempt answered are not asked again, and a run
without any other task never loads an engine. A prompt that leaves no room for an answer is not asked, nor is one that
the model's template rejects: such a task has no response, and fails. So do tasks that the model's budget of tokens or
time leaves (`budget`).

The tasks may be shared out between processes, each of which answers its own (`shards`); the last one to end puts the
answers together and scores them.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from functools import partial

from bitagent_crds.conditions import Reason
from bitagent_crds.evaluation import BuiltinScorer, RunSpec
from bitagent_crds.minermodel import DType
from bitagent_crds.plugins import PluginError
from bitagent_crds.progress import EvaluationPhase
from bitagent_crds.results import Response
from bitagent_crds.task_forms import BuiltinPromptFormat
from bitagent_evaluator.engines.base import Backend, Engine
from bitagent_evaluator.engines.losses import plan_for_losses
from bitagent_evaluator.engines.plan import plan_engine
from bitagent_evaluator.evaluation.blame import blaming_memory
from bitagent_evaluator.evaluation.budget import Clock, Meter
from bitagent_evaluator.evaluation.journal import Journal
from bitagent_evaluator.evaluation.metered import metered
from bitagent_evaluator.evaluation.prepared import Evaluation, Prepared, check_repeatable, prepared
from bitagent_evaluator.evaluation.results import Evaluated, Provenance, finish
from bitagent_evaluator.evaluation.scoring_pool import ScoringPool, pool_size, usable_cores
from bitagent_evaluator.evaluation.shards import Shard, end_shard, gathered, has_others_prompts
from bitagent_evaluator.evaluation.strategies import PromptEncoder
from bitagent_evaluator.evaluation.thinking_engine import with_thought_limits
from bitagent_evaluator.evaluation.thoughts import ThoughtFinder, ThoughtLimits
from bitagent_evaluator.evaluation.timeline import TimelineRecorder, seconds_since
from bitagent_evaluator.evaluation.watchdog import Watchdog
from bitagent_evaluator.prompts import check_format
from bitagent_evaluator.sandbox.process import SandboxUnavailable
from bitagent_evaluator.scoring.scorers import check_scorer
from bitagent_evaluator.support.faults import InfrastructureFault
from bitagent_evaluator.support.progress import Progress

_log = logging.getLogger(__name__)


def evaluate(
    evaluation: Evaluation, backend: Backend, progress: Progress, *, clock: Clock = time.monotonic
) -> Evaluated:
    """Evaluate the model and write the results to `out_dir`. Raises ModelFault or InfrastructureFault.

    `clock` measures the time of generating that the run may bound.
    """
    with _faults(evaluation), prepared(_settled(evaluation), backend, progress) as this:
        order = frozenset(this.order)
        with Journal(evaluation.out_dir, this.key, order, fresh=evaluation.fresh) as journal:
            meter = this.meter(journal, clock)
            with _scoring(this) as pool:
                pool.submit(list(journal.responses.values()))
                with blaming_memory(this.model, this.run, evaluation.memory_limits):
                    load = _generate(this, backend, progress, journal, meter, asked=order, scored=pool)
                return _finish(this, progress, journal, meter, pool, load=load)


def evaluate_shard(
    evaluation: Evaluation, shard: Shard, backend: Backend, progress: Progress, *, clock: Clock = time.monotonic
) -> Evaluated | int:
    """Answer the tasks of one shard; the last shard to end writes the results of all, and returns them.

    The others return how many tasks they have answered. Raises ModelFault or InfrastructureFault.
    """
    with _faults(evaluation), prepared(_settled(evaluation), backend, progress) as this:
        own = shard.task_ids(evaluation.tasks) & frozenset(this.order)
        with Journal(shard.folder(evaluation.out_dir), this.key, own, fresh=evaluation.fresh) as journal:
            meter = this.meter(journal, clock)
            with blaming_memory(this.model, this.run, evaluation.memory_limits):
                load = _generate(this, backend, progress, journal, meter, asked=own)
            late, answered = meter.out_of_time, len(journal.responses)
        end_shard(shard, evaluation.out_dir, this.key, late=late)
        with gathered(evaluation.out_dir, shard.count, this.key) as answers:
            if answers is None:
                if has_others_prompts(evaluation.out_dir, shard.count, this.key):
                    check_repeatable(this)
                return answered
            with Journal(evaluation.out_dir, this.key, frozenset(this.order)) as journal:
                journal.adopt(answers.started, answers.responses)
                spent = this.run.generate_seconds if answers.late else None
                meter = this.meter(journal, clock, earlier_seconds=spent or 0.0)
                with _scoring(this) as pool:
                    return _finish(this, progress, journal, meter, pool, load=load)


@contextmanager
def _faults(evaluation: Evaluation) -> Iterator[None]:
    """Check the names of scorer and format, and name the faults of plugins and sandboxes."""
    try:
        check_scorer(evaluation.run.scorer)
        check_format(evaluation.run.prompt_format)
        yield
    except PluginError as error:
        raise InfrastructureFault(Reason.INFRASTRUCTURE_FAULT, str(error)) from error
    except SandboxUnavailable as error:  # a child may also be killed because the model left it no memory
        raise InfrastructureFault(Reason.CRASHED, str(error)) from error


def _settled(evaluation: Evaluation) -> Evaluation:
    """Return the evaluation with the choices that scorer Loss does not leave open.

    The number format is float32, because a 16-bit format changes a loss by more than models differ. The format is
    ChatTemplate where none was chosen, because no call is asked for.
    """
    run = evaluation.run
    if run.scorer != BuiltinScorer.LOSS:
        return evaluation
    auto = run.prompt_format == BuiltinPromptFormat.AUTO
    settled = run.model_copy(
        update={
            "engine": run.engine.model_copy(update={"dtype": DType.FLOAT32}),
            "prompt_format": BuiltinPromptFormat.CHAT_TEMPLATE if auto else run.prompt_format,
        }
    )
    return replace(evaluation, run=settled)


def _scoring(this: Prepared) -> ScoringPool:
    tasks = this.evaluation.tasks
    workers = pool_size(tasks, usable_cores())
    return ScoringPool(tasks, this.encoder.format_name, this.run.scorer, workers=workers)


def _finish(
    this: Prepared, progress: Progress, journal: Journal, meter: Meter, pool: ScoringPool, *, load: float
) -> Evaluated:
    """Score the answers of a journal, write the results, and return them; `load`: seconds of this process."""
    responses, late = meter.settle(journal.responses)
    progress.start_phase("scoring", EvaluationPhase.SCORING)
    started = time.monotonic()
    provenance = Provenance(
        run=this.run,
        task_set=this.evaluation.task_set,
        syntaxes=tuple(this.encoder.format.syntaxes),
        dtype=this.key.dtype,
        started=journal.started,
        notes=this.encoder.notes,
    )
    finished = finish(
        this.evaluation.out_dir,
        provenance,
        this.evaluation.tasks,
        responses,
        pool,
        unanswered=this.unasked | late,
    )
    return Evaluated(
        run=this.run,
        aggregate=finished.aggregate,
        result_digest=finished.result_digest,
        device=" + ".join(journal.started.devices)[:128],
        resumed=journal.resumed,
        too_long=this.too_long,
        refused=this.refused,
        unanswered=finished.unanswered,
        answer_sketch=finished.answer_sketch,
        findings=finished.findings,
        seconds=journal.started.seconds(load=load, score=time.monotonic() - started),
    )


def _generate(
    this: Prepared,
    backend: Backend,
    progress: Progress,
    journal: Journal,
    meter: Meter,
    *,
    asked: frozenset[str],
    scored: ScoringPool | None = None,
) -> float:
    """Ask those of the tasks `asked` that have no answer; return the seconds until the engine was ready, if needed.

    `scored` gets the answers as they come.
    """
    evaluation, config, total = this.evaluation, this.config, len(asked)
    others = frozenset(meter.order) - asked
    if journal.resumed:
        _log.info("%d of %d answers reused from an earlier attempt", journal.resumed, total)
    if not meter.left(journal.responses.keys() | others):
        return seconds_since(evaluation.began)
    sequences = [tokens for strategy in this.strategies for tokens in strategy.sequence_lengths]
    plan = plan_engine(config, this.run.engine, backend.hardware(), lengths=sequences, max_tokens=0)
    if this.run.scorer == BuiltinScorer.LOSS:
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
            if scored is not None:
                scored.submit(responses)
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
            spending = metered(_with_thought_limits(engine, this.run, this.encoder), meter, after_step)
            for strategy in this.strategies:
                strategy.run(spending, frozenset(journal.responses) | others, keep)
        journal.record_seconds(meter.seconds)
        timeline.write(journal.directory)
        return load


def _with_thought_limits(engine: Engine, run: RunSpec, encoder: PromptEncoder) -> Engine:
    """Return the engine that cuts thoughts and answers, or the engine itself if thoughts have no limit of their own."""
    if run.max_thought_tokens is None:
        return engine
    finder = ThoughtFinder(partial(encoder.tokenizer.decode, special_tokens=True), encoder.end_of_thinking_id)
    return with_thought_limits(engine, ThoughtLimits(run.max_thought_tokens, run.max_tokens), finder)
