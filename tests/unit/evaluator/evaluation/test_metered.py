"""An engine with a budget: whatever the schedule and however often it is killed, the same answers count."""

from __future__ import annotations

import random
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bitagent_crds.results import Response
from bitagent_evaluator.engines.base import Completion, CompletionRequest, StoppableEngine
from bitagent_evaluator.engines.losses import MeasuredText, PassageLoss
from bitagent_evaluator.evaluation.budget import Budget, Meter, count_within
from bitagent_evaluator.evaluation.metered import MeteredLossEngine, metered


@dataclass
class Engine:
    """Generates a token of some of the running requests in each step, chosen by chance."""

    tokens: Mapping[str, int]
    """Length of each answer."""
    chance: random.Random
    running_at_once: int
    steps_to_live: int | None = None
    device: str = "pretended"
    packages: dict[str, str] = field(default_factory=dict)
    generated_tokens: int = 0
    asked: list[str] = field(default_factory=list)
    closed: bool = False
    _open: dict[str, int] = field(default_factory=dict)

    def generate(self, requests: Sequence[CompletionRequest], stop_ids: Sequence[int]) -> Iterator[list[Completion]]:
        self.asked += [request.key for request in requests]
        self._open = {request.key: 0 for request in requests}
        steps = 0
        try:
            while self._open:
                if steps == self.steps_to_live:
                    raise KeyboardInterrupt
                steps += 1
                finished = []
                for key in list(self._open)[: self.running_at_once]:
                    if self.chance.random() < 0.7:
                        self._open[key] += 1
                        self.generated_tokens += 1
                    if self._open[key] == self.tokens[key]:
                        del self._open[key]
                        finished.append(Completion(key, [1], self.tokens[key], "stop"))
                self.chance.shuffle(finished)
                yield finished
        finally:
            self.closed = True

    def generated(self) -> dict[str, int]:
        return dict(self._open)

    def end(self, keys: Collection[str]) -> None:
        for key in keys:
            del self._open[key]


def requests(keys: Sequence[str]) -> list[CompletionRequest]:
    return [CompletionRequest(key, [1], 99) for key in keys]


def attempt(engine: Engine, meter: Meter, journal: dict[str, Response]) -> None:
    """What a run does in one attempt: the tasks that are left are asked, and answers kept as they come."""
    for finished in metered(engine, meter, lambda: None).generate(requests(meter.left(journal)), []):
        for given_ in finished:
            journal[given_.key] = Response(
                id=given_.key,
                text="",
                finish_reason="stop",
                prompt_tokens=1,
                completion_tokens=given_.completion_tokens,
            )


@given(
    lengths=st.lists(st.integers(1, 30), min_size=1, max_size=25),
    budget=st.one_of(st.none(), st.integers(1, 300)),
    running=st.integers(1, 30),
    lives=st.lists(st.integers(1, 60), max_size=4),
    seed=st.integers(0, 1 << 30),
)
def test_schedule_and_kills_change_no_result(
    lengths: list[int], budget: int | None, running: int, lives: list[int], seed: int
) -> None:
    order = [f"t{number}" for number in range(len(lengths))]
    tokens = dict(zip(order, lengths, strict=True))
    expected = order[: count_within(order, tokens, budget)]
    chance = random.Random(seed)
    journal: dict[str, Response] = {}
    for life in [*lives, None]:
        kept = {task_id: response.completion_tokens for task_id, response in journal.items()}
        meter = Meter(order, Budget(tokens=budget), kept)
        try:
            attempt(Engine(tokens, chance, running, life), meter, journal)
        except KeyboardInterrupt:
            continue
    settled, why = meter.settle(journal)
    assert list(settled) == expected
    assert list(why) == order[len(expected) :]
    assert Meter(order, Budget(tokens=budget), {k: r.completion_tokens for k, r in settled.items()}).left(settled) == []


def test_answers_without_an_end_cost_little_more_than_the_budget() -> None:
    """120 answers of 4,096 tokens with room for 30 each, all at once, cost 3,600 tokens and not half a million."""
    order = [f"t{number}" for number in range(120)]
    engine = Engine(dict.fromkeys(order, 4096), random.Random(1), running_at_once=256)
    meter = Meter(order, Budget(tokens=30 * len(order)))
    journal: dict[str, Response] = {}
    attempt(engine, meter, journal)
    settled, why = meter.settle(journal)
    assert (list(settled), len(why)) == (["t0"], 119)
    assert engine.generated_tokens < 10 * 3600


class Plain:
    """An engine that can neither be looked into nor end single requests."""

    device, packages = "plain", {"plain": "1"}

    def __init__(self) -> None:
        self.asked: list[str] = []

    def generate(self, prompts: Sequence[CompletionRequest], stop_ids: Sequence[int]) -> Iterator[list[Completion]]:
        self.asked = [prompt.key for prompt in prompts]
        for prompt in prompts:
            yield [Completion(prompt.key, [1], 5, "stop")]


def test_an_engine_that_cannot_be_looked_into() -> None:
    engine = Plain()
    assert not isinstance(engine, StoppableEngine)
    meter = Meter(["a", "b", "c", "d"], Budget(tokens=10), {"a": 5})
    found = list(metered(engine, meter, lambda: None).generate(requests(["b", "c", "d"]), []))
    assert engine.asked == ["b", "c", "d"]
    assert [completion.key for step in found for completion in step] == ["b"], "the others cannot count any more"
    assert (metered(engine, meter, lambda: None).device, metered(engine, meter, lambda: None).packages) == (
        "plain",
        {"plain": "1"},
    )


def test_time_ends_the_engines_requests() -> None:
    now = 0.0

    def tick() -> None:
        nonlocal now
        now += 1

    order = [f"t{number}" for number in range(50)]
    engine = Engine(dict.fromkeys(order, 5), random.Random(1), running_at_once=4)
    meter = Meter(order, Budget(seconds=20), clock=lambda: now)
    meter.start()
    found = [c.key for step in metered(engine, meter, tick).generate(requests(order), []) for c in step]
    assert 0 < len(found) < 50
    assert engine.closed
    assert list(metered(engine, meter, tick).generate(requests(order), [])) == []


class Measuring(Plain):
    """An engine that measures losses."""

    def losses(self, passages: Sequence[MeasuredText]) -> Iterator[list[PassageLoss]]:
        for passage in passages:
            yield [PassageLoss(passage.key, 1.0)]


@pytest.mark.parametrize(("seconds", "measured"), [(None, 5), (3, 3), (99, 5)], ids=["no limit", "over", "enough"])
def test_losses_are_measured_until_the_time_is_over(seconds: float | None, measured: int) -> None:
    now = 0.0

    def tick() -> None:
        nonlocal now
        now += 1

    order = ["a", "b", "c", "d", "e"]
    meter = Meter(order, Budget(seconds=seconds), clock=lambda: now)
    meter.start()
    engine = metered(Measuring(), meter, tick)
    assert isinstance(engine, MeteredLossEngine)
    found = [loss.key for step in engine.losses([MeasuredText(key, [1, 2], 1) for key in order]) for loss in step]
    assert found == order[:measured]
    assert not hasattr(metered(Plain(), meter, tick), "losses")
