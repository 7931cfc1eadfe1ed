"""An engine with limits of thoughts: equal completions whether it ends requests early or not, and no work in vain."""

from __future__ import annotations

import random
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bitagent_evaluator.engines.base import Completion, CompletionRequest, StoppableEngine, WatchableEngine
from bitagent_evaluator.evaluation.budget import Budget, Meter
from bitagent_evaluator.evaluation.metered import metered
from bitagent_evaluator.evaluation.thinking_engine import ThinkingEngine, with_thought_limits
from bitagent_evaluator.evaluation.thoughts import ThoughtFinder, ThoughtLimits

STOP = 0


def letters(sequences: Sequence[Sequence[int]]) -> list[str]:
    return ["".join(map(chr, ids)) for ids in sequences]


def ids(text: str) -> list[int]:
    return [ord(letter) for letter in text]


@dataclass
class Scripted:
    """Writes the same answers in any schedule, a letter a token; `endless` ones repeat their last letter."""

    answers: Mapping[str, str]
    chance: random.Random = field(default_factory=lambda: random.Random(1))
    endless: bool = False
    device: str = "scripted"
    packages: dict[str, str] = field(default_factory=dict)
    total: int = 0
    closed: bool = False
    _open: dict[str, list[int]] = field(default_factory=dict)

    def _next(self, key: str, place: int) -> int:
        text = self.answers[key]
        return ord(text[place]) if place < len(text) else ord(text[-1]) if self.endless else STOP

    def generate(self, requests: Sequence[CompletionRequest], stop_ids: Sequence[int]) -> Iterator[list[Completion]]:
        limits = {request.key: request.max_tokens for request in requests}
        self._open = {request.key: [] for request in requests}
        try:
            while self._open:
                finished = []
                for key in list(self._open):
                    if self.chance.random() < 0.3:
                        continue
                    ids = self._open[key]
                    self.total += 1
                    token = self._next(key, len(ids))
                    if token == STOP:
                        del self._open[key]
                        finished.append(Completion(key, ids, len(ids) + 1, "stop"))
                        continue
                    ids.append(token)
                    if len(ids) == limits[key]:
                        del self._open[key]
                        finished.append(Completion(key, ids, len(ids), "length"))
                yield finished
        finally:
            self.closed = True


class Watched(Scripted):
    """One that shows its tokens, and ends requests."""

    def generated(self) -> dict[str, int]:
        return {key: len(ids) for key, ids in self._open.items()}

    def tokens(self, keys: Collection[str]) -> dict[str, list[int]]:
        return {key: list(self._open[key]) for key in keys if key in self._open}

    def end(self, keys: Collection[str]) -> None:
        for key in keys:
            self._open.pop(key, None)


def requests(prompts: Mapping[str, str], limits: ThoughtLimits) -> list[CompletionRequest]:
    return [CompletionRequest(key, ids(text), limits.thought + limits.answer) for key, text in prompts.items()]


def ask(engine: ThinkingEngine, prompts: Mapping[str, str], limits: ThoughtLimits) -> dict[str, Completion]:
    return {c.key: c for step in engine.generate(requests(prompts, limits), [STOP]) for c in step}


def expected(prompt: str, answer: str, limits: ThoughtLimits) -> tuple[str, int, str]:
    """Text, counted tokens and finish reason, by the text alone."""
    if prompt.endswith("<think>") or answer[:16].lstrip().startswith("<think>"):
        end = answer.find("</think>") + len("</think>")
        cut = end + limits.answer if len("</think>") <= end <= limits.thought else limits.thought
    else:
        cut = limits.answer
    return (answer[:cut], cut, "length") if len(answer) + 1 > cut else (answer, len(answer) + 1, "stop")


PIECES = st.lists(st.sampled_from(["<think>", "</think>", "xyz", " ", "x" * 30]), max_size=6).map("".join)


@settings(max_examples=40)
@given(
    answers=st.lists(st.tuples(st.sampled_from(["p", "p<think>"]), PIECES), min_size=1, max_size=5),
    thought=st.integers(16, 60),  # room for the opening mark, which is seven tokens here
    answer=st.integers(1, 40),
    seed=st.integers(0, 1 << 20),
)
def test_completions_are_a_function_of_prompt_and_answer(
    answers: list[tuple[str, str]], thought: int, answer: int, seed: int
) -> None:
    limits = ThoughtLimits(thought, answer)
    prompts = {f"t{place}": prompt for place, (prompt, _) in enumerate(answers)}
    texts = {f"t{place}": text for place, (_, text) in enumerate(answers)}
    for kind in (Scripted, Watched):
        engine = kind(texts, random.Random(seed))
        found = ask(with_thought_limits(engine, limits, ThoughtFinder(letters, None)), prompts, limits)
        assert {key: (letters([c.token_ids])[0], c.completion_tokens, c.finish_reason) for key, c in found.items()} == {
            key: expected(prompts[key], texts[key], limits) for key in texts
        }


CASES = {
    "thinks for ever": ("<think>hm", 200, "length"),
    "answers for ever after a thought": ("<think>hm</think>x", 17 + 50, "length"),
    "answers for ever at once": ("x", 50, "length"),
}


@pytest.mark.parametrize(("text", "counted", "reason"), CASES.values(), ids=CASES)
def test_no_more_is_generated_than_a_look_later(text: str, counted: int, reason: str) -> None:
    limits = ThoughtLimits(thought=200, answer=50)
    answers = {f"t{number}": text for number in range(8)}
    engine = Watched(answers, endless=True)
    found = ask(with_thought_limits(engine, limits, ThoughtFinder(letters, None)), dict.fromkeys(answers, "p"), limits)
    assert {(c.completion_tokens, len(c.token_ids), c.finish_reason) for c in found.values()} == {
        (counted, counted, reason)
    }
    assert engine.total <= 8 * (counted + 16)
    assert engine.closed


@pytest.mark.parametrize("budget", [100, 173, 400, 900])
def test_a_budget_counts_the_tokens_that_count(budget: int) -> None:
    """What an engine generates beyond a cut, before the next look, must end no request that may count."""
    limits = ThoughtLimits(thought=30, answer=5)
    answers = {f"t{n}": ("<think>hm</think>xyz" if n % 3 else "xxxxxxxxx") for n in range(40)}
    settled = set()
    for kind, seed in ((Scripted, 1), (Watched, 2), (Watched, 3)):
        meter = Meter(list(answers), Budget(tokens=budget))
        inner = with_thought_limits(
            kind(answers, random.Random(seed), endless=True), limits, ThoughtFinder(letters, None)
        )
        engine = metered(inner, meter, lambda: None)
        made = requests(dict.fromkeys(answers, "p"), limits)
        counted = {c.key: c.completion_tokens for step in engine.generate(made, [STOP]) for c in step}
        spent, kept = 0, []
        for key in answers:
            if spent >= budget:
                break
            spent += counted[key]
            kept.append(key)
        settled.add((spent, tuple(kept)))
    assert len(settled) == 1


def test_an_engine_is_as_stoppable_as_the_one_within() -> None:
    limits, finder = ThoughtLimits(5, 5), ThoughtFinder(letters, None)
    plain, watched = (with_thought_limits(kind({}), limits, finder) for kind in (Scripted, Watched))
    assert (isinstance(plain, StoppableEngine), isinstance(watched, StoppableEngine)) == (False, True)
    assert isinstance(Watched({}), WatchableEngine)
    assert (watched.device, watched.packages) == ("scripted", {})


def test_requests_that_are_ended_from_outside_have_no_completion() -> None:
    limits = ThoughtLimits(40, 10)
    engine = Watched({"a": "x", "b": "xy"}, endless=True)
    thinking = with_thought_limits(engine, limits, ThoughtFinder(letters, None))
    assert isinstance(thinking, StoppableEngine)
    steps = thinking.generate(requests({"a": "p", "b": "p"}, limits), [STOP])
    for _ in range(3):
        assert next(steps) == []
    assert set(thinking.generated()) == {"a", "b"}
    thinking.end(["a"])
    assert [c.key for step in steps for c in step] == ["b"]
