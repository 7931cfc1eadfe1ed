"""One step: what a miner does costs that miner only, and what the examiner does costs no miner anything."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from tests.examiner import SHAPE, listening
from tests.examiner import Examiner as Fake

from bitagent_crds.conditions import Reason
from bitagent_crds.examiner import ExaminerReason, Pool
from bitagent_crds.online import Online, OnlineOutcome
from bitagent_validator.chain.facts import Axon, Neuron
from bitagent_validator.online import step as module
from bitagent_validator.online.examiner import Examiner
from bitagent_validator.online.sample import Sample
from bitagent_validator.online.step import StepPlan, StepReport, UsablePool, run_step, scores_of
from bitagent_validator.state.scores import OnlineState
from bitagent_wire.messages import Message, QueryResult, QueryTask
from bitagent_wire.outcomes import Answer, MinerAddress, Outcome, Protocol

Make = Callable[..., Any]
FIRST, SECOND = (UsablePool(f"pool-{n}", Pool(round_uid=f"u-{n}", digest="sha256:" + "a" * 64), 0.25) for n in (1, 2))


class Miners:
    """Answers by hotkey: the text of one, or what came of asking."""

    def __init__(self, answers: Mapping[str, str | Outcome]) -> None:
        self.answers = answers
        self.asked: dict[str, QueryTask] = {}
        self.feedback: dict[str, str] = {}
        self.limits: list[tuple[float, int]] = []

    async def ask_all(
        self, messages: Mapping[MinerAddress, Message], *, timeout_seconds: float, maximum_bytes: int
    ) -> dict[str, Answer[Any]]:
        self.limits.append((timeout_seconds, maximum_bytes))
        return {miner.hotkey: self._answer(miner.hotkey, message) for miner, message in messages.items()}

    def _answer(self, hotkey: str, message: Message) -> Answer[Any]:
        if isinstance(message, QueryResult):
            self.feedback[hotkey] = message.results
            return Answer(Outcome.TIMEOUT, 5.0)
        assert isinstance(message, QueryTask)
        self.asked[hotkey] = message
        found = self.answers[hotkey]
        if isinstance(found, Outcome):
            return Answer(found, 1.0, Protocol.BTAUTH, detail="said the miner")
        return Answer(Outcome.ANSWERED, 1.5, Protocol.AXON, message.model_copy(update={"response": found}))


@pytest.fixture(autouse=True)
def _no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "AGAIN_SECONDS", 0.0)


@pytest.fixture
def run(tmp_path: Path, neuron: Make) -> Callable[..., Any]:
    """Carry out a step with these answers; a hotkey with None serves nothing."""

    async def go(
        answers: Mapping[str, str | Outcome | None],
        *,
        examiner: Fake | None = None,
        known: OnlineState | None = None,
        pools: tuple[UsablePool, ...] = (FIRST,),
        path: str = "s",
        held: float = 0.0,
        **settings: Any,
    ) -> tuple[StepReport, Miners, Fake]:
        miners = Miners({hotkey: each for hotkey, each in answers.items() if each is not None})
        neurons = [
            neuron(hotkey, uid=uid, axon=None if each is None else Axon("203.0.113.1", 8091, 4))
            for uid, (hotkey, each) in enumerate(answers.items())
        ]
        plan = StepPlan(
            competition="fc",
            block=100,
            seed="f" * 64,
            sample=Sample(tuple(neurons), {}),
            settings=Online.model_validate(settings),
            pools=pools,
            known=known,
            held_seconds=held,
        )
        async with listening(tmp_path / "s", examiner or Fake()) as fake:
            report = await run_step(plan, examiner=Examiner(tmp_path / path), questioner=miners)  # type: ignore[arg-type]
        return report, miners, fake

    return go


def scores(report: StepReport) -> dict[str, float | None]:
    return {result.neuron.hotkey: result.score for result in report.results}


def outcomes(report: StepReport) -> dict[str, OnlineOutcome]:
    return {result.neuron.hotkey: result.outcome for result in report.results}


async def test_all_are_asked_the_same_task_scored_and_answered(run: Make) -> None:
    report, miners, fake = await run({"a": "right", "b": "half", "c": "x", "d": None}, timeoutSeconds=9)
    assert scores(report) == {"a": 1.0, "b": 0.5, "c": 0.0, "d": 0.0}
    assert outcomes(report)["d"] is OnlineOutcome.NOT_SERVING
    assert (report.counts, report.message, report.pool) == (True, "", FIRST)
    assert len({each.model_dump_json() for each in miners.asked.values()}) == 1
    assert [(t.name, list(t.arguments)) for t in miners.asked["a"].tools] == [("weather", ["city"])]
    assert miners.asked["a"].response == ""
    assert fake.tasks[0].seed == "f" * 64
    assert [(s.timing.seconds, s.timing.timeout_seconds) for s in fake.scores if s.timing] == [(1.5, 9.0)] * 3
    assert miners.feedback.keys() == {"a", "b", "c"}
    assert SHAPE.replace("[", "\\[") in miners.feedback["a"]
    assert miners.limits == [(9, 4 << 20), (5.0, 65536)]


@pytest.mark.parametrize("held", [0.0, 0.5])
async def test_feedback_waits_while_another_validator_may_ask_the_same_task(run: Make, held: float) -> None:
    began = asyncio.get_running_loop().time()
    _, miners, _ = await run({"a": "right"}, held=held)
    assert miners.feedback.keys() == {"a"}
    assert asyncio.get_running_loop().time() - began >= held


async def test_feedback_can_be_left_out(run: Make) -> None:
    _, miners, _ = await run({"a": "right"}, feedback=False)
    assert miners.feedback == {}


@pytest.mark.parametrize(
    "outcome", [each for each in Outcome if each not in (Outcome.ANSWERED, Outcome.UNSUITED_KEY)], ids=str
)
async def test_what_is_no_answer_costs_that_miner_only(run: Make, outcome: Outcome) -> None:
    report, miners, _ = await run({"a": "right", "b": outcome})
    assert scores(report) == {"a": 1.0, "b": 0.0}
    assert outcomes(report)["b"].value == outcome.value
    assert "b" not in miners.feedback


async def test_a_key_that_the_old_wire_does_not_know_is_not_the_miners_fault(run: Make) -> None:
    report, _, _ = await run({"a": "right", "b": Outcome.UNSUITED_KEY})
    assert scores(report) == {"a": 1.0, "b": None}


@pytest.mark.parametrize(
    ("answer", "outcome", "score"),
    [
        pytest.param("costly", OnlineOutcome.TOO_COSTLY, 0.0, id="too costly"),
        pytest.param("crash", OnlineOutcome.TOO_COSTLY, 0.0, id="the examiner ends with it each time"),
        pytest.param("lost", OnlineOutcome.NOT_SCORED, None, id="the scorer is killed"),
    ],
)
async def test_an_answer_that_cannot_be_judged(run: Make, answer: str, outcome: OnlineOutcome, score: Any) -> None:
    report, _, _ = await run({"a": answer, "b": "right"})
    assert (outcomes(report)["a"], scores(report)) == (outcome, {"a": score, "b": 1.0})
    assert report.counts
    assert (report.reason is Reason.EXAMINER_UNAVAILABLE) is (score is None)


async def test_an_examiner_that_ends_with_every_answer_costs_no_miner_anything(run: Make) -> None:
    report, _, fake = await run(dict.fromkeys("abcde", "crash"))
    assert set(scores(report).values()) == {None}
    assert report.reason is Reason.EXAMINER_UNAVAILABLE
    assert len(fake.scores) == 2 * module.LOST_MAX, "the others are not tried"


async def test_without_an_examiner_no_miner_is_asked(run: Make) -> None:
    report, miners, _ = await run({"a": "right"}, path="nowhere")
    assert (report.counts, report.reason, miners.asked) == (False, Reason.EXAMINER_UNAVAILABLE, {})


@pytest.mark.parametrize(
    ("why", "reason"),
    [
        (ExaminerReason.POOL_MISSING, Reason.POOL_UNAVAILABLE),
        (ExaminerReason.POOL_CHANGED, Reason.POOL_UNAVAILABLE),
        (ExaminerReason.BUSY, Reason.EXAMINER_UNAVAILABLE),
    ],
)
async def test_a_pool_without_tasks(run: Make, why: ExaminerReason, reason: Reason) -> None:
    report, miners, _ = await run({"a": "right"}, examiner=Fake(refuses={"u-1": why}))
    assert (report.counts, report.reason, miners.asked) == (False, reason, {})


async def test_another_pool_is_asked_if_the_first_is_gone(run: Make) -> None:
    fake = Fake(refuses={"u-1": ExaminerReason.POOL_MISSING})
    report, _, _ = await run({"a": "right"}, examiner=fake, pools=(FIRST, SECOND))
    assert (report.counts, report.pool, fake.scores[0].pool) == (True, SECOND, SECOND.pool)


@pytest.mark.parametrize(
    ("answers", "known", "counts"),
    [
        pytest.param({"a": Outcome.TIMEOUT, "b": Outcome.UNREACHABLE}, True, False, id="none can be reached"),
        pytest.param({"a": Outcome.UNREACHABLE, "b": None}, True, False, id="none of those that serve"),
        pytest.param({"a": Outcome.REFUSED, "b": Outcome.UNREACHABLE}, True, True, id="one refuses"),
        pytest.param({"a": None, "b": None}, True, True, id="none serves"),
        pytest.param({"a": None, "b": None}, False, False, id="none serves, and none ever did"),
        pytest.param({"a": Outcome.ADDRESS_REFUSED}, True, True, id="private addresses only"),
    ],
)
async def test_a_step_counts_only_if_the_network_works(
    run: Make, answers: dict[str, Outcome | None], known: bool, counts: bool
) -> None:
    report, _, _ = await run(answers, known=OnlineState(block=1) if known else None)
    assert report.counts is counts
    assert (report.reason is Reason.NO_MINER_ANSWERED) is not counts


async def test_scores_belong_to_the_registration_that_was_asked(run: Make, neuron: Make) -> None:
    report, _, _ = await run({"a": "right", "b": "right", "c": "right", "d": "lost"})
    now: dict[str, Neuron] = {"a": neuron("a"), "b": neuron("b", registered_at=99), "d": neuron("d")}
    assert scores_of(report, now) == {"a": 1.0}


def test_every_outcome_of_the_wire_is_one_of_the_contract() -> None:
    assert {each.value for each in Outcome} - {each.value for each in OnlineOutcome} == {"Answered"}
