"""Evaluate one model on one task set.

The engine's import runs in a thread from the first moment; meanwhile the model's files are judged and its weights scanned, and the prompts
are written in a bounded child. Answers go to the journal as they come. What was answered by an earlier attempt is not asked again; a run
with nothing left to ask never loads an engine. A prompt that leaves the model no room for an answer is not asked, nor is one that the
model's template refuses to write: its task fails, as one without a response.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from bitagent_crds.conditions import Reason
from bitagent_crds.evalround import PhaseSeconds
from bitagent_crds.evaluation import LossParameters, Scorer
from bitagent_crds.fields import PromptFormat
from bitagent_crds.minermodel import DType
from bitagent_crds.minermodel import Engine as EngineChoices
from bitagent_crds.results import Response, Task, TaskSetManifest
from bitagent_evaluator.bounded.process import ChildLost
from bitagent_evaluator.engine.finite import non_finite_tensors
from bitagent_evaluator.engine.interface import Backend
from bitagent_evaluator.engine.plan import engine_dtype, plan_engine, token_limit
from bitagent_evaluator.engine.prompt_losses import for_losses
from bitagent_evaluator.faults import InfrastructureFault, ModelFault
from bitagent_evaluator.progress import Progress
from bitagent_evaluator.rendering.prompts import PromptWriter
from bitagent_evaluator.runs.asking import Asked, Way, Wording, open_wording, prepare_ways
from bitagent_evaluator.runs.clock import seconds_since
from bitagent_evaluator.runs.finishing import finish
from bitagent_evaluator.runs.journal import Journal, RunKey, prompts_digest
from bitagent_evaluator.runs.judging import Judging, judges_for, usable_cores
from bitagent_evaluator.runs.results import Provenance
from bitagent_evaluator.runs.timeline import Clock
from bitagent_evaluator.safety.inspect import directory_reader, directory_sizes, inspect
from bitagent_evaluator.safety.selection import weight_files
from bitagent_evaluator.scoring import Aggregate

_log = logging.getLogger(__name__)

MAX_MODEL_BYTES = 1 << 40
"""What is fetched is bounded elsewhere; a model that is here may be as large as it is."""


@dataclass(frozen=True)
class Evaluation:
    """What is to be evaluated, and how."""

    model_dir: Path
    repo: str
    """Where the model came from."""
    commit: str | None
    weights_digest: str | None
    tasks: Sequence[Task]
    task_set_digest: str
    out_dir: Path
    prompt_format: PromptFormat
    max_tokens: int
    engine: EngineChoices
    scorer: Scorer = Scorer.BFCL
    """How answers are judged; not part of what answers depend on, so a run can be taken over with another scorer."""
    loss: LossParameters = field(default_factory=LossParameters)
    """How losses are measured, for scorer Loss."""
    task_set: TaskSetManifest | None = None
    """The manifest of the task set, if it has one, for provenance."""
    fresh: bool = False
    """Ask everything anew instead of taking over an earlier attempt's answers."""
    began: float | None = None
    """When it began, on the monotonic clock; None for the first of a process, which pays for the process's start."""


@dataclass(frozen=True)
class Evaluated:
    """Outcome of an evaluation."""

    aggregate: Aggregate
    result_digest: str
    prompt_format: PromptFormat
    device: str
    resumed: int
    too_long: int
    """Tasks that were not asked because their prompt does not fit."""
    refused: Mapping[str, str]
    """Tasks that were not asked because the model's template, or the endpoint, refuses them: what it said, by the task's id."""
    seconds: PhaseSeconds


def evaluate(evaluation: Evaluation, backend: Backend, progress: Progress) -> Evaluated:
    """Score the model and write the results to `out_dir`. Raises ModelFault or InfrastructureFault."""
    try:
        return _evaluate(_for_losses(evaluation) if evaluation.scorer is Scorer.LOSS else evaluation, backend, progress)
    except ChildLost as error:
        raise InfrastructureFault(Reason.INFRASTRUCTURE_FAULT, str(error)) from error


def _for_losses(evaluation: Evaluation) -> Evaluation:
    """What scorer Loss does not leave open: float32, because a 16-bit format moves a loss by more than models differ, and the plain chat where
    no format was chosen, because there is no call to be asked for.
    """
    chosen = evaluation.prompt_format
    return replace(
        evaluation,
        engine=evaluation.engine.model_copy(update={"dtype": DType.FLOAT32}),
        prompt_format=PromptFormat.CHAT_TEMPLATE if chosen is PromptFormat.AUTO else chosen,
    )


def _evaluate(evaluation: Evaluation, backend: Backend, progress: Progress) -> Evaluated:
    model_dir = evaluation.model_dir
    if not model_dir.is_dir() or not weight_files(entry.name for entry in model_dir.iterdir()):
        message = f"{model_dir} holds no model: was it removed from the cache while the evaluation waited?"
        raise InfrastructureFault(Reason.INFRASTRUCTURE_FAULT, message)
    progress.phase("checking the model, writing prompts, loading vLLM")
    backend.prepare(model_dir)
    with PromptWriter(model_dir) as writer:
        config = checked_config(model_dir)
        limit = token_limit(config, evaluation.engine)
        wording = open_wording(
            writer,
            evaluation.prompt_format,
            max_tokens=evaluation.max_tokens,
            token_limit=limit,
            vocab_size=config["vocab_size"],
        )
        ways = prepare_ways(evaluation.tasks, wording, Asked(evaluation.scorer, evaluation.loss))
        _check_finite(model_dir)
        if too_long := sum(len(way.too_long) for way in ways):
            _log.warning("%d prompts do not fit into %d tokens; their tasks fail", too_long, limit)
        refused = {task_id: message for way in ways for task_id, message in way.refused.items()}
        for task_id, message in refused.items():
            _log.warning("task %s cannot be asked and fails: %s", task_id, message)
        key = _run_key(evaluation, backend, wording, ways, config)
        ids = {task_id for way in ways for task_id in way.ids}
        with Journal(evaluation.out_dir, key, ids, fresh=evaluation.fresh) as journal:
            judges = judges_for(evaluation.tasks, usable_cores())
            with Judging(evaluation.tasks, wording.name, evaluation.scorer, judges=judges) as judging:
                judging.hand(list(journal.responses.values()))
                load, generate = _generate(evaluation, backend, progress, config, ways, journal, judging)
                progress.phase("scoring")
                started = time.monotonic()
                provenance = _provenance(evaluation, wording, key, journal)
                finished = finish(
                    evaluation.out_dir, provenance, evaluation.tasks, journal.responses, judging, refused=refused
                )
            return Evaluated(
                aggregate=finished.aggregate,
                result_digest=finished.result_digest,
                prompt_format=wording.name,
                device=" + ".join(journal.started.devices)[:128],
                resumed=journal.resumed,
                too_long=too_long,
                refused=refused,
                seconds=PhaseSeconds(
                    load=f"{load:.3f}", generate=f"{generate:.3f}", score=f"{time.monotonic() - started:.3f}"
                ),
            )


def checked_config(model_dir: Path) -> dict[str, Any]:
    """The model's configuration as the engine may see it. Raises ModelFault for a model that is not safe to load."""
    judgement = inspect(directory_sizes(model_dir), directory_reader(model_dir), max_bytes=MAX_MODEL_BYTES)
    if judgement.refusal is not None or judgement.config is None:
        reason, message = judgement.refusal or (Reason.BAD_CONFIG, "no configuration")
        raise ModelFault(reason, message)
    return dict(judgement.config)


def _check_finite(model_dir: Path) -> None:
    bad = non_finite_tensors(model_dir)
    if bad:
        message = f"{len(bad)} tensors hold NaN or infinity, such as {bad[0]}"
        raise ModelFault(Reason.NON_FINITE_WEIGHTS, message)


def _run_key(
    evaluation: Evaluation, backend: Backend, wording: Wording, ways: Sequence[Way], config: dict[str, Any]
) -> RunKey:
    return RunKey(
        task_set_digest=evaluation.task_set_digest,
        weights_digest=evaluation.weights_digest,
        prompts_digest=prompts_digest(ids for way in ways for ids in way.fingerprint()),
        stop_ids=list(wording.stop_ids),
        prompt_format=wording.name,
        max_tokens=evaluation.max_tokens,
        max_model_length=wording.token_limit,
        dtype=engine_dtype(config, evaluation.engine),
        engine=backend.identity,
    )


def _generate(
    evaluation: Evaluation,
    backend: Backend,
    progress: Progress,
    config: dict[str, Any],
    ways: Sequence[Way],
    journal: Journal,
    judging: Judging,
) -> tuple[float, float]:
    """Ask what is not answered yet; seconds until ready, and seconds of generating."""
    total = sum(len(way.ids) for way in ways)
    if journal.resumed:
        _log.info("%d of %d answers taken over from an earlier attempt", journal.resumed, total)
    if len(journal.responses) == total:
        return seconds_since(evaluation.began), 0.0
    sequences = [tokens for way in ways for tokens in way.sequences]
    plan = plan_engine(config, evaluation.engine, backend.hardware(), lengths=sequences, max_tokens=0)
    if evaluation.scorer is Scorer.LOSS:
        plan = for_losses(plan)
    progress.phase("loading the model")
    with backend.start(evaluation.model_dir, plan) as engine:
        journal.start(device=engine.device, arguments=plan.recorded, packages=engine.packages)
        load = seconds_since(evaluation.began)
        progress.phase("generating")
        started = time.monotonic()
        progress.answered(len(journal.responses), total)
        clock = Clock(answers=len(journal.responses), began=evaluation.began)

        def keep(responses: list[Response]) -> None:
            journal.append(responses)
            judging.hand(responses)
            clock.came(responses)
            progress.answered(len(journal.responses), total)

        for way in ways:
            way.ask(engine, frozenset(journal.responses), keep)
        clock.write(evaluation.out_dir)
        return load, time.monotonic() - started


def _provenance(evaluation: Evaluation, wording: Wording, key: RunKey, journal: Journal) -> Provenance:
    return Provenance(
        repo=evaluation.repo,
        commit=evaluation.commit,
        weights_digest=evaluation.weights_digest,
        task_set_digest=evaluation.task_set_digest,
        task_set=evaluation.task_set,
        prompt_format=wording.name,
        syntaxes=tuple(wording.format.syntaxes),
        max_tokens=evaluation.max_tokens,
        choices=evaluation.engine,
        dtype=key.dtype,
        scorer=evaluation.scorer,
        loss=evaluation.loss,
        started=journal.started,
    )
