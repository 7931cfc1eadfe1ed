"""One step: a task of the examiner, the miners' answers, their scores, and the feedback.

What a miner does costs that miner only. What the examiner does not score has no score; if it gives no task, or no miner
can be reached, the step does not count at all.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from bitagent_crds.conditions import Reason
from bitagent_crds.examiner import ExaminerReason, ExaminerTask, ExaminerVerdict, Pool, TaskSetFiles, Timing
from bitagent_crds.online import Online, OnlineOutcome
from bitagent_validator.chain.facts import Neuron
from bitagent_validator.online.examiner import Examiner, ExaminerLost, ExaminerRefused
from bitagent_validator.online.feedback import feedback
from bitagent_validator.online.sample import Sample
from bitagent_validator.questions import Questioner, address_of
from bitagent_validator.state.scores import OnlineState
from bitagent_wire.messages import ChatMessage, QueryResult, QueryTask, Role, Tool, ToolArgument
from bitagent_wire.outcomes import Answer, Outcome

log = logging.getLogger(__name__)

FEEDBACK_SECONDS = 5.0
FEEDBACK_BYTES = 64 * 1024
"""Bytes that are read of the answer to feedback, which has no meaning."""
AGAIN_SECONDS = 2.0
"""Pause before a request is sent to an examiner again that was lost: its container starts again."""
LOST_MAX = 2
"""Answers in a row for which the examiner was lost, after which the others are not tried."""
SCORING_SECONDS = 300.0
"""Time after which no further answer is scored."""

_SILENT = frozenset({Outcome.UNREACHABLE, Outcome.TIMEOUT})
"""Outcomes that the pod's own network may have, too."""
_NOT_ITS_DOING = frozenset({OnlineOutcome.NOT_SCORED, OnlineOutcome.UNSUITED_KEY})
"""Outcomes without a score."""
_POOL = frozenset(
    {
        ExaminerReason.POOL_MISSING,
        ExaminerReason.POOL_CHANGED,
        ExaminerReason.POOL_TOO_LARGE,
        ExaminerReason.POOL_UNSUITABLE,
        ExaminerReason.POOL_IN_USE,
        ExaminerReason.SCORER_REFUSED,
    }
)
"""Reasons that are about the pool: another may do."""


@dataclass(frozen=True)
class UsablePool:
    """A pool as it is asked."""

    name: str
    """The EvalRound's."""
    pool: Pool
    baseline: float
    """Score of the best constant answer to its tasks; 0 if none is known."""


@dataclass(frozen=True)
class StepPlan:
    """What a step does."""

    competition: str
    block: int
    seed: str
    """Of the task."""
    sample: Sample
    settings: Online
    pools: Sequence[UsablePool]
    """In the order of preference; at least one."""
    running: Sequence[TaskSetFiles] = ()
    """Task sets of rounds that run, whose tasks are not asked."""
    known: OnlineState | None = None
    """The averages before it, for the feedback."""
    held_seconds: float = 0.0
    """Time after the questions before which no feedback is sent."""


@dataclass(frozen=True)
class MinerResult:
    """What became of one miner."""

    neuron: Neuron
    outcome: OnlineOutcome
    answer: Answer[QueryTask] | None = None
    """None if it was not asked."""
    verdict: ExaminerVerdict | None = None
    """None if the answer is not scored by the examiner."""
    message: str = ""
    """More about the outcome; it may have the miner's own words."""

    @property
    def score(self) -> float | None:
        """The score of this step; None if it has none."""
        if self.verdict is not None:
            return self.verdict.score
        return None if self.outcome in _NOT_ITS_DOING else 0.0


@dataclass(frozen=True)
class StepReport:
    """What a step found."""

    plan: StepPlan | None
    """None if the chain could not be read."""
    results: tuple[MinerResult, ...] = ()
    task: ExaminerTask | None = None
    pool: UsablePool | None = None
    """The one whose task was asked."""
    counts: bool = False
    """Whether the results change averages."""
    reason: Reason = Reason.ONLINE_STEP_DONE
    message: str = ""
    """What went wrong; empty if nothing did."""
    block: int = 0


async def run_step(plan: StepPlan, *, examiner: Examiner, questioner: Questioner) -> StepReport:
    """Carry out a step. Raises only CancelledError, TimeoutError of its caller, and what is a fault of this program."""
    drawn = await _task(plan, examiner)
    if isinstance(drawn, StepReport):
        return drawn
    pool, task = drawn
    try:
        message = question(task)
    except ValueError as error:
        text = f"a task of {pool.name} cannot be asked: {error}"[:300]
        return StepReport(plan, reason=Reason.EXAMINER_UNAVAILABLE, message=text)
    clock = asyncio.get_running_loop().time
    began = clock()
    asked = await _ask(plan, message, questioner)
    reached = [r for r in asked if r.answer is not None and r.answer.outcome not in _SILENT]
    addressed = any(r.answer is not None for r in asked)
    if not reached and (addressed or plan.known is None):
        text = f"none of {sum(r.answer is not None for r in asked)} asked miners of a sample of {len(asked)} answered"
        return StepReport(plan, tuple(asked), task, pool, reason=Reason.NO_MINER_ANSWERED, message=text)
    results, lost = await _scored(asked, plan, pool.pool, task, examiner)
    if plan.settings.feedback:
        await asyncio.sleep(began + plan.held_seconds - clock())
        await _send_feedback(results, plan.known, questioner)
    reason = Reason.EXAMINER_UNAVAILABLE if lost else Reason.ONLINE_STEP_DONE
    return StepReport(plan, tuple(results), task, pool, counts=True, reason=reason, message=lost, block=plan.block)


async def _task(plan: StepPlan, examiner: Examiner) -> tuple[UsablePool, ExaminerTask] | StepReport:
    """Return the task and its pool; the report if there is none."""
    reason, text = Reason.POOL_UNAVAILABLE, "there is no pool"
    number = plan.block // plan.settings.every_blocks
    for pool in plan.pools:
        for attempt in range(2):
            try:
                return pool, await examiner.task(pool.pool, seed=plan.seed, number=number, running=plan.running)
            except ExaminerRefused as error:
                reason = Reason.POOL_UNAVAILABLE if error.reason in _POOL else Reason.EXAMINER_UNAVAILABLE
                text = f"no task of {pool.name}: {error}"
                break
            except ExaminerLost as error:
                reason, text = Reason.EXAMINER_UNAVAILABLE, f"no task of {pool.name}: {error}"
                if not attempt:
                    await asyncio.sleep(AGAIN_SECONDS)
        if reason is not Reason.POOL_UNAVAILABLE:
            break
    return StepReport(plan, reason=reason, message=text)


async def _ask(plan: StepPlan, message: QueryTask, questioner: Questioner) -> list[MinerResult]:
    """Ask all miners of the sample that serve."""
    addresses = {neuron.hotkey: address_of(neuron) for neuron in plan.sample.miners}
    answers = await questioner.ask_all(
        {address: message for address in addresses.values() if address is not None},
        timeout_seconds=plan.settings.timeout_seconds,
        maximum_bytes=plan.settings.maximum_bytes,
    )
    results = []
    for neuron in plan.sample.miners:
        answer = answers.get(neuron.hotkey)
        if answer is None:
            results.append(MinerResult(neuron, OnlineOutcome.NOT_SERVING, message="it serves no axon"))
        elif answer.outcome is Outcome.ADDRESS_REFUSED:
            results.append(MinerResult(neuron, OnlineOutcome.ADDRESS_REFUSED, message=answer.detail))
        else:
            outcome = OnlineOutcome.NOT_SCORED if answer.good else OnlineOutcome(answer.outcome.value)
            results.append(MinerResult(neuron, outcome, answer, message=answer.detail))
    return results


def question(task: ExaminerTask) -> QueryTask:
    """Return a task as miners are asked it. Raises ValueError if it does not fit the message."""
    return QueryTask(
        messages=[ChatMessage(role=Role(each.role), content=each.content) for each in task.messages],
        tools=[
            Tool(
                name=tool.name,
                description=tool.description,
                arguments={
                    name: ToolArgument(required=each.required, type=each.type, description=each.description)
                    for name, each in tool.arguments.items()
                },
            )
            for tool in task.tools
        ],
    )


@dataclass
class _Scoring:
    """The scores of one step so far."""

    verdicts: dict[str, ExaminerVerdict] = field(default_factory=dict)
    costly: dict[str, str] = field(default_factory=dict)
    """Why an answer could not be judged within limits, by hotkey."""
    broke: dict[str, str] = field(default_factory=dict)
    """Answers with which the examiner was lost twice."""
    unscored: dict[str, str] = field(default_factory=dict)
    in_a_row: int = 0


async def _scored(
    asked: Sequence[MinerResult], plan: StepPlan, pool: Pool, task: ExaminerTask, examiner: Examiner
) -> tuple[list[MinerResult], str]:
    """Return the results with their verdicts, and why some have none although the miner has answered.

    An answer with which the examiner is lost twice, while it scores others, scores 0.
    """
    so_far = _Scoring()
    clock = asyncio.get_running_loop().time
    end = clock() + SCORING_SECONDS
    for result in asked:
        if result.answer is None or result.answer.message is None:
            continue
        if so_far.in_a_row >= LOST_MAX:
            so_far.unscored[result.neuron.hotkey] = "the examiner is away"
            continue
        if clock() > end:
            so_far.unscored[result.neuron.hotkey] = f"the examiner was not done in {SCORING_SECONDS:g} s"
            continue
        timing = Timing(
            seconds=round(min(result.answer.seconds, plan.settings.timeout_seconds), 3),
            timeout_seconds=plan.settings.timeout_seconds,
        )
        await _score(so_far, result.neuron.hotkey, result.answer.message.response, pool, task.id, timing, examiner)
    if so_far.verdicts:
        so_far.costly |= {hotkey: f"the examiner ended with it twice: {why}" for hotkey, why in so_far.broke.items()}
    else:
        so_far.unscored |= so_far.broke
    results = [_with_verdict(result, so_far) for result in asked]
    return results, "; ".join(sorted(set(so_far.unscored.values())))[:300]


async def _score(
    so_far: _Scoring, hotkey: str, text: str, pool: Pool, task: str, timing: Timing, examiner: Examiner
) -> None:
    lost = ""
    for attempt in range(2):
        try:
            so_far.verdicts[hotkey] = await examiner.score(pool, task=task, answer=text, timing=timing)
        except ExaminerRefused as error:
            so_far.in_a_row = 0
            if error.reason.by_answer:
                so_far.costly[hotkey] = str(error)
                return
            lost = ""
            so_far.unscored[hotkey] = str(error)
        except ExaminerLost as error:
            lost = str(error)
        else:
            so_far.unscored.pop(hotkey, None)
            so_far.in_a_row = 0
            return
        if not attempt:
            await asyncio.sleep(AGAIN_SECONDS)
    if lost:
        so_far.unscored.pop(hotkey, None)
        so_far.broke[hotkey] = lost
        so_far.in_a_row += 1


def _with_verdict(result: MinerResult, so_far: _Scoring) -> MinerResult:
    hotkey, answer = result.neuron.hotkey, result.answer
    if (verdict := so_far.verdicts.get(hotkey)) is not None:
        return MinerResult(result.neuron, OnlineOutcome.SCORED, answer, verdict)
    if (why := so_far.costly.get(hotkey)) is not None:
        return MinerResult(result.neuron, OnlineOutcome.TOO_COSTLY, answer, message=why)
    if (why := so_far.unscored.get(hotkey)) is not None:
        return MinerResult(result.neuron, OnlineOutcome.NOT_SCORED, answer, message=why)
    return result


async def _send_feedback(results: Sequence[MinerResult], known: OnlineState | None, questioner: Questioner) -> None:
    """Send each miner whose answer is scored what it scored; what comes of it is not looked at."""
    means = known.means if known else {}
    messages = {}
    for result in results:
        address = address_of(result.neuron)
        if result.verdict is None or address is None:
            continue
        mean = means.get(result.neuron.hotkey)
        text = feedback(result.verdict, mean=mean.mean if mean else None, others=known)
        messages[address] = QueryResult(results=text)
    answers = await questioner.ask_all(messages, timeout_seconds=FEEDBACK_SECONDS, maximum_bytes=FEEDBACK_BYTES)
    log.debug("feedback: %d of %d miners took it", sum(a.good for a in answers.values()), len(messages))


def scores_of(report: StepReport, neurons: Mapping[str, Neuron]) -> dict[str, float]:
    """Return the scores that count, by hotkey, of those that are registered as they were when they were asked."""
    if not report.counts:
        return {}
    return {
        result.neuron.hotkey: result.score
        for result in report.results
        if result.score is not None
        and (now := neurons.get(result.neuron.hotkey)) is not None
        and now.registered_at == result.neuron.registered_at
    }
