"""Tasks asked of a model behind an endpoint.

The model's tokenizer and template are the server's: chats go to its chat completions, ready texts to its completions. Nothing is known of
its weights or hardware, so results name the endpoint in their place. Journal, judging and files are those of a run on this machine.
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
from bitagent_crds.evalround import PhaseSeconds
from bitagent_crds.evaluation import LossParameters, Scorer
from bitagent_crds.fields import PromptFormat
from bitagent_crds.minermodel import Engine as EngineChoices
from bitagent_crds.results import Expects, Response, Task, TaskSetManifest
from bitagent_evaluator.endpoint import (
    Address,
    Endpoint,
    EndpointUnavailable,
    Failure,
    Patience,
    RequestFailed,
    for_each,
)
from bitagent_evaluator.faults import InfrastructureFault
from bitagent_evaluator.formats import prompt_format
from bitagent_evaluator.progress import Progress
from bitagent_evaluator.runs.evaluate import Evaluated
from bitagent_evaluator.runs.finishing import finish
from bitagent_evaluator.runs.journal import Journal, RunKey, prompts_digest
from bitagent_evaluator.runs.judging import Judging, judges_for, usable_cores
from bitagent_evaluator.runs.questions import Question, ToolChoice, question
from bitagent_evaluator.runs.results import Provenance
from bitagent_evaluator.runs.timeline import Clock

_log = logging.getLogger(__name__)

_UNKNOWN = "unknown"


class UnsuitedTasks(ValueError):
    """Tasks or scorer that an endpoint cannot serve; the message says which."""


@dataclass(frozen=True)
class RemoteEvaluation:
    """What is to be asked of whom."""

    address: Address
    tasks: Sequence[Task]
    task_set_digest: str
    out_dir: Path
    max_tokens: int
    prompt_format: PromptFormat = PromptFormat.AUTO
    """Auto becomes ChatTemplate: the functions as `tools`, which is how an endpoint expects them."""
    tool_choice: ToolChoice = ToolChoice.AUTO
    scorer: Scorer = Scorer.BFCL
    task_set: TaskSetManifest | None = None
    """The manifest of the task set, if it has one, for provenance."""
    concurrency: int = 16
    """Requests that are open at once."""
    timeout_seconds: float = 120.0
    """Bounds each try of a request."""
    fresh: bool = False
    """Ask everything anew instead of taking over an earlier attempt's answers."""


async def ask_endpoint(
    endpoint: Endpoint,
    questions: Sequence[Question],
    *,
    max_tokens: int,
    concurrency: int,
    keep: Callable[[Response], None],
    tool_choice: ToolChoice = ToolChoice.AUTO,
) -> dict[str, RequestFailed]:
    """Ask everything, greedily decoded; `keep` gets each answer as it comes. Returns the failed requests by the question's id.

    Raises EndpointUnavailable when the endpoint serves nobody; what was answered until then has been kept.
    """
    failed: dict[str, RequestFailed] = {}
    patience = Patience()

    async def ask(asked: Question) -> None:
        try:
            response = await asked.ask(endpoint, max_tokens=max_tokens, tool_choice=tool_choice)
        except RequestFailed as error:
            failed[asked.id] = error
            patience.failed(error)
            return
        patience.answered()
        keep(response)

    await for_each(questions, ask, concurrency=concurrency)
    return failed


def evaluate_endpoint(evaluation: RemoteEvaluation, progress: Progress) -> Evaluated:
    """Score what the endpoint answers and write the results to `out_dir`.

    A task that the endpoint refuses, as it does a prompt that is too long, stays without a response. Raises UnsuitedTasks, and
    InfrastructureFault when the endpoint is of no use or did not answer everything that it should have.
    """
    _check_suited(evaluation)
    used = PromptFormat.CHAT_TEMPLATE if evaluation.prompt_format is PromptFormat.AUTO else evaluation.prompt_format
    form = prompt_format(used)
    questions = [question(task, form.chat(task), tool_choice=evaluation.tool_choice) for task in evaluation.tasks]
    started = time.monotonic()
    with Journal(
        evaluation.out_dir, _run_key(evaluation, used, questions), {q.id for q in questions}, fresh=evaluation.fresh
    ) as journal:
        judges = judges_for(evaluation.tasks, usable_cores())
        with Judging(evaluation.tasks, used, evaluation.scorer, judges=judges) as judging:
            failed = _ask(evaluation, questions, journal, judging, progress)
            refused = {q.id: f"the endpoint: {failed[q.id]}" for q in questions if q.id in failed}
            generated = time.monotonic()
            progress.phase("scoring")
            provenance = _provenance(evaluation, used, tuple(form.syntaxes), journal)
            finished = finish(
                evaluation.out_dir, provenance, evaluation.tasks, journal.responses, judging, refused=refused
            )
        return Evaluated(
            aggregate=finished.aggregate,
            result_digest=finished.result_digest,
            prompt_format=used,
            device=" + ".join(journal.started.devices)[:128],
            resumed=journal.resumed,
            too_long=0,
            refused=refused,
            seconds=PhaseSeconds(
                load="0.000", generate=f"{generated - started:.3f}", score=f"{time.monotonic() - generated:.3f}"
            ),
        )


def _check_suited(evaluation: RemoteEvaluation) -> None:
    if evaluation.scorer is Scorer.LOSS:
        raise UnsuitedTasks("scorer Loss needs the model itself: an endpoint does not tell how likely a given text is")
    for task in evaluation.tasks:
        if task.expects is Expects.STATE:
            raise UnsuitedTasks(
                f"task {task.id} is a conversation; through an endpoint only single questions are asked"
            )
        if task.expects is Expects.TEXT:
            raise UnsuitedTasks(f"task {task.id} has only a reference text, whose loss an endpoint does not tell")


def _ask(
    evaluation: RemoteEvaluation,
    questions: Sequence[Question],
    journal: Journal,
    judging: Judging,
    progress: Progress,
) -> Mapping[str, RequestFailed]:
    """Ask what is not answered yet; the requests that were refused."""
    judging.hand(list(journal.responses.values()))
    missing = [asked for asked in questions if asked.id not in journal.responses]
    if not missing:
        return {}
    address = evaluation.address
    journal.start(
        device=f"endpoint {address.shown}", arguments=_arguments(evaluation), packages={"openai": version("openai")}
    )
    progress.phase(f"asking {address.model}")
    progress.answered(len(journal.responses), len(questions))
    clock = Clock(answers=len(journal.responses), began=time.monotonic())

    def keep(response: Response) -> None:
        journal.append([response])
        judging.hand([response])
        clock.came([response])
        progress.answered(len(journal.responses), len(questions))

    async def ask() -> dict[str, RequestFailed]:
        async with Endpoint(address, timeout_seconds=evaluation.timeout_seconds) as endpoint:
            return await ask_endpoint(
                endpoint,
                missing,
                max_tokens=evaluation.max_tokens,
                concurrency=evaluation.concurrency,
                tool_choice=evaluation.tool_choice,
                keep=keep,
            )

    try:
        failed = asyncio.run(ask())
    except EndpointUnavailable as error:
        raise InfrastructureFault(Reason.INFRASTRUCTURE_FAULT, str(error)) from error
    _check_answered(failed, journal)
    clock.write(evaluation.out_dir)
    return failed


def _check_answered(failed: Mapping[str, RequestFailed], journal: Journal) -> None:
    """A task may go without an answer only when the endpoint refused it, and it must not have refused all of them."""
    lost = {task_id: error for task_id, error in failed.items() if error.failure is not Failure.REFUSED}
    if lost:
        task_id, error = next(iter(lost.items()))
        message = f"{len(lost)} tasks got no answer, such as {task_id}: {error}; the others are kept, run it again"
        raise InfrastructureFault(Reason.INFRASTRUCTURE_FAULT, message)
    if failed and not journal.responses:
        message = f"all {len(failed)} tasks were refused: {next(iter(failed.values()))}"
        raise InfrastructureFault(Reason.INFRASTRUCTURE_FAULT, message)
    for task_id, error in failed.items():
        _log.warning("task %s was refused and fails: %s", task_id, error)


def _arguments(evaluation: RemoteEvaluation) -> dict[str, object]:
    return {
        "url": evaluation.address.shown,
        "model": evaluation.address.model,
        "temperature": 0.0,
        "max_tokens": evaluation.max_tokens,
        "tool_choice": evaluation.tool_choice.value,
    }


def _run_key(evaluation: RemoteEvaluation, used: PromptFormat, questions: Sequence[Question]) -> RunKey:
    return RunKey(
        task_set_digest=evaluation.task_set_digest,
        weights_digest=None,
        prompts_digest=prompts_digest(asked.content() for asked in questions),
        stop_ids=[],
        prompt_format=used,
        max_tokens=evaluation.max_tokens,
        max_model_length=0,
        dtype=_UNKNOWN,
        engine=json.dumps(_arguments(evaluation)),
    )


def _provenance(
    evaluation: RemoteEvaluation, used: PromptFormat, syntaxes: tuple[str, ...], journal: Journal
) -> Provenance:
    return Provenance(
        repo=evaluation.address.model,
        commit=None,
        weights_digest=None,
        task_set_digest=evaluation.task_set_digest,
        task_set=evaluation.task_set,
        prompt_format=used,
        syntaxes=syntaxes,
        max_tokens=evaluation.max_tokens,
        choices=EngineChoices(),
        dtype=_UNKNOWN,
        scorer=evaluation.scorer,
        loss=LossParameters(),
        started=journal.started,
    )
