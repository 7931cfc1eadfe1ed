"""Evaluate a model behind an OpenAI-compatible endpoint.

Tokenizer and template are the server's: chats go to its chat completions, finished texts to its completions. Weights
and hardware are unknown, so the results name the endpoint instead. Journal, scoring and files are those of a run on
this machine.
"""

from __future__ import annotations

import asyncio
import json
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from bitagent_crds.conditions import Reason
from bitagent_crds.evaluation import BuiltinScorer, RunSpec, longest_answer
from bitagent_crds.plugins import PluginError
from bitagent_crds.results import Response, Unanswered
from bitagent_crds.task_forms import SEVERAL_STEPS, BuiltinPromptFormat, Expects
from bitagent_crds.task_set import Task, TaskSetManifest
from bitagent_evaluator.chat_templates.render import thinking_variables
from bitagent_evaluator.engines.openai import Address, CircuitBreaker, Endpoint, for_each_concurrently
from bitagent_evaluator.engines.openai_errors import EndpointUnavailable, RequestFailed, RequestFailure
from bitagent_evaluator.evaluation.budget import Budget, Meter, UnansweredTask
from bitagent_evaluator.evaluation.endpoint_prompts import EndpointRequest, ToolChoice, endpoint_request
from bitagent_evaluator.evaluation.findings import BY_ENDPOINT
from bitagent_evaluator.evaluation.journal import Journal, RunKey, prompts_digest
from bitagent_evaluator.evaluation.results import Evaluated, Provenance, finish
from bitagent_evaluator.evaluation.scoring_pool import ScoringPool, pool_size, usable_cores
from bitagent_evaluator.evaluation.timeline import TimelineRecorder
from bitagent_evaluator.prompts import prompt_format
from bitagent_evaluator.prompts.base import thinking_note
from bitagent_evaluator.scoring.scorers import check_scorer
from bitagent_evaluator.support.faults import InfrastructureFault
from bitagent_evaluator.support.progress import Progress

_log = logging.getLogger(__name__)

_UNKNOWN = "unknown"


class UnsuitedTasks(ValueError):
    """Raised for tasks or a scorer that an endpoint cannot serve; the message names them."""


@dataclass(frozen=True)
class RemoteEvaluation:
    """One run whose model is behind an endpoint."""

    run: RunSpec
    """What is run; `repo` is the model's name at the endpoint. Auto becomes ChatTemplate: the functions as `tools`,
    which is how an endpoint expects them."""
    address: Address
    tasks: Sequence[Task]
    out_dir: Path
    """Directory of the results."""
    tool_choice: ToolChoice = ToolChoice.AUTO
    task_set: TaskSetManifest | None = None
    """Manifest of the task set, if it has one, for provenance."""
    concurrency: int = 16
    """Maximum number of requests in flight."""
    timeout_seconds: float = 120.0
    """Limit of one attempt at a request."""
    fresh: bool = False
    """Whether to ask every task again instead of reusing answers of an earlier attempt."""


async def ask_endpoint(
    endpoint: Endpoint,
    questions: Sequence[EndpointRequest],
    *,
    max_tokens: int,
    concurrency: int,
    keep: Callable[[Response], None],
    tool_choice: ToolChoice = ToolChoice.AUTO,
    template_variables: Mapping[str, bool] | None = None,
    may_ask: Callable[[str], bool] = lambda task_id: True,
) -> dict[str, RequestFailed]:
    """Ask all questions with greedy decoding and pass each answer to `keep`.

    A question whose id `may_ask` denies when its turn comes is left out.

    Returns the failed requests by the question's id. Raises EndpointUnavailable if the endpoint does not serve; the
    answers until then have been kept.
    """
    failed: dict[str, RequestFailed] = {}
    breaker = CircuitBreaker()

    async def ask(asked: EndpointRequest) -> None:
        if not may_ask(asked.id):
            return
        try:
            response = await asked.send(
                endpoint, max_tokens=max_tokens, tool_choice=tool_choice, template_variables=template_variables
            )
        except RequestFailed as error:
            failed[asked.id] = error
            breaker.record_failure(error)
            return
        breaker.record_success()
        keep(response)

    await for_each_concurrently(questions, ask, concurrency=concurrency)
    return failed


def evaluate_endpoint(evaluation: RemoteEvaluation, progress: Progress) -> Evaluated:
    """Evaluate the model behind the endpoint and write the results to `out_dir`.

    A task that the endpoint rejects, such as one whose prompt is too long, has no response. Raises UnsuitedTasks, and
    InfrastructureFault if the endpoint is not usable or leaves requests unanswered that it has not rejected.
    """
    _check_suited(evaluation)
    try:
        check_scorer(evaluation.run.scorer)
        return _evaluate(evaluation, progress)
    except PluginError as error:
        raise InfrastructureFault(Reason.INFRASTRUCTURE_FAULT, str(error)) from error


def _evaluate(evaluation: RemoteEvaluation, progress: Progress) -> Evaluated:
    run = evaluation.run
    if run.prompt_format == BuiltinPromptFormat.AUTO:
        run = run.model_copy(update={"prompt_format": BuiltinPromptFormat.CHAT_TEMPLATE})
    form = prompt_format(run.prompt_format)
    if note := thinking_note(run.prompt_format, form, run.thinking_switch):
        _log.warning("%s", note)
    questions = [
        endpoint_request(task, form.build_prompt(task), tool_choice=evaluation.tool_choice) for task in evaluation.tasks
    ]
    key = _run_key(run, evaluation, questions)
    with Journal(evaluation.out_dir, key, {q.id for q in questions}, fresh=evaluation.fresh) as journal:
        meter = Meter(
            [asked.id for asked in questions],
            Budget.of(run, len(evaluation.tasks)),
            tokens={response.id: response.completion_tokens for response in journal.responses.values()},
            earlier_seconds=journal.started.generate_seconds,
        )
        workers = pool_size(evaluation.tasks, usable_cores())
        with ScoringPool(evaluation.tasks, run.prompt_format, run.scorer, workers=workers) as pool:
            failed = _ask(evaluation, questions, journal, pool, progress, meter)
            refused = {q.id: BY_ENDPOINT + str(failed[q.id]) for q in questions if q.id in failed}
            unasked = {task_id: UnansweredTask(Unanswered.PROMPT_REFUSED, why) for task_id, why in refused.items()}
            unasked |= _over_limit(journal.responses, run.max_prompt_tokens)
            responses, late = meter.settle(journal.responses)
            responses = {task_id: response for task_id, response in responses.items() if task_id not in unasked}
            generated = time.monotonic()
            progress.start_phase("scoring")
            provenance = Provenance(
                run=run,
                task_set=evaluation.task_set,
                syntaxes=tuple(form.syntaxes),
                dtype=_UNKNOWN,
                started=journal.started,
            )
            finished = finish(
                evaluation.out_dir, provenance, evaluation.tasks, responses, pool, unanswered=late | unasked
            )
        return Evaluated(
            run=run,
            aggregate=finished.aggregate,
            result_digest=finished.result_digest,
            device=" + ".join(journal.started.devices)[:128],
            resumed=journal.resumed,
            too_long=0,
            refused=refused,
            unanswered=finished.unanswered,
            answer_sketch=finished.answer_sketch,
            findings=finished.findings,
            seconds=journal.started.seconds(load=0.0, score=time.monotonic() - generated),
        )


def _check_suited(evaluation: RemoteEvaluation) -> None:
    if evaluation.run.scorer == BuiltinScorer.LOSS:
        raise UnsuitedTasks("scorer Loss needs the model itself: an endpoint does not tell how likely a given text is")
    for task in evaluation.tasks:
        if task.expects in SEVERAL_STEPS:
            raise UnsuitedTasks(
                f"task {task.id} is a conversation; through an endpoint only single questions are asked"
            )
        if task.expects is Expects.TEXT:
            raise UnsuitedTasks(f"task {task.id} has only a reference text, whose loss an endpoint does not tell")


def _ask(
    evaluation: RemoteEvaluation,
    questions: Sequence[EndpointRequest],
    journal: Journal,
    pool: ScoringPool,
    progress: Progress,
    meter: Meter,
) -> Mapping[str, RequestFailed]:
    """Ask the tasks without an answer; return the requests that the endpoint rejected."""
    pool.submit(list(journal.responses.values()))
    left = set(meter.left(journal.responses))
    missing = [asked for asked in questions if asked.id in left]
    if not missing:
        return {}
    address = evaluation.address
    journal.start(
        device=f"endpoint {address.shown}", arguments=_arguments(evaluation), packages={"openai": version("openai")}
    )
    progress.start_phase(f"asking {address.model}")
    progress.update(len(journal.responses), len(questions))
    timeline = TimelineRecorder(answers=len(journal.responses), began=time.monotonic())

    def keep(response: Response) -> None:
        meter.add(response.id, response.completion_tokens)
        journal.record_seconds(meter.seconds)
        journal.append([response])
        pool.submit([response])
        timeline.record([response])
        progress.update(len(journal.responses), len(questions))

    async def ask() -> dict[str, RequestFailed]:
        async with Endpoint(address, timeout_seconds=evaluation.timeout_seconds) as endpoint:
            return await ask_endpoint(
                endpoint,
                missing,
                max_tokens=longest_answer(evaluation.run),
                concurrency=evaluation.concurrency,
                tool_choice=evaluation.tool_choice,
                template_variables=thinking_variables(evaluation.run.thinking_switch),
                keep=keep,
                may_ask=lambda task_id: not meter.out_of_time and not meter.hopeless([task_id]),
            )

    meter.start()
    try:
        failed = asyncio.run(ask())
    except EndpointUnavailable as error:
        raise InfrastructureFault(Reason.INFRASTRUCTURE_FAULT, str(error)) from error
    _check_answered(failed, journal)
    timeline.write(evaluation.out_dir)
    return failed


_OF_ONE_TASK = frozenset({RequestFailure.REFUSED, RequestFailure.UNREADABLE})


def _check_answered(failed: Mapping[str, RequestFailed], journal: Journal) -> None:
    """Raise InfrastructureFault if a request got no answer at all, or if no request was answered.

    A rejected request, or an answer that cannot be read in any attempt, costs its own task only.
    """
    lost = {task_id: error for task_id, error in failed.items() if error.failure not in _OF_ONE_TASK}
    if lost:
        task_id, error = next(iter(lost.items()))
        message = f"{len(lost)} tasks got no answer, such as {task_id}: {error}; the others are kept, run it again"
        raise InfrastructureFault(Reason.INFRASTRUCTURE_FAULT, message)
    if failed and not journal.responses:
        message = f"none of {len(failed)} tasks was answered: {next(iter(failed.values()))}"
        raise InfrastructureFault(Reason.INFRASTRUCTURE_FAULT, message)
    for task_id, error in failed.items():
        _log.warning("task %s fails: %s", task_id, error)


def _over_limit(responses: Mapping[str, Response], limit: int | None) -> dict[str, UnansweredTask]:
    """Return the tasks whose prompt was longer than the run allows, by what the endpoint counted."""
    uncounted = sum(not response.prompt_tokens for response in responses.values())
    if limit is not None and uncounted:
        _log.warning("the endpoint does not count the tokens of %d prompts: no limit applies to them", uncounted)
    return {
        task_id: UnansweredTask(
            Unanswered.PROMPT_TOO_LONG, f"the prompt has {response.prompt_tokens:,} tokens, allowed {limit:,}"
        )
        for task_id, response in responses.items()
        if limit is not None and response.prompt_tokens > limit
    }


def _arguments(evaluation: RemoteEvaluation) -> dict[str, object]:
    variables = thinking_variables(evaluation.run.thinking_switch)
    return {
        "url": evaluation.address.shown,
        "model": evaluation.address.model,
        "temperature": 0.0,
        "max_tokens": longest_answer(evaluation.run),
        "tool_choice": evaluation.tool_choice.value,
        **({"chat_template_kwargs": variables} if variables else {}),
    }


def _run_key(run: RunSpec, evaluation: RemoteEvaluation, questions: Sequence[EndpointRequest]) -> RunKey:
    return RunKey(
        run=run,
        prompts_digest=prompts_digest(asked.content() for asked in questions),
        stop_ids=(),
        max_model_length=0,
        dtype=_UNKNOWN,
        engine=json.dumps(_arguments(evaluation)),
    )
