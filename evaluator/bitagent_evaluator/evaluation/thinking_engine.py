"""An engine that cuts thoughts and answers at their limits, and ends what can only be cut.

Strategies use it like the engine itself, and get the same completions whether the engine can end requests or not: a
completion has the tokens that count, and their number. Only the time differs that is spent on the others.
"""

from __future__ import annotations

from collections.abc import Collection, Generator, Iterator, Sequence
from dataclasses import dataclass

from bitagent_evaluator.engines.base import Completion, CompletionRequest, Engine, WatchableEngine
from bitagent_evaluator.evaluation.thoughts import OPENING_TOKENS, Extent, ThoughtFinder, ThoughtLimits, Tokens, extent

_LOOK_EVERY = 16
"""Steps of the engine between two looks at what unfinished requests have generated."""


@dataclass
class _Watch:
    """What is known of one request."""

    thinks: bool | None
    extent: Extent
    searched: int = 0
    """Number of tokens without a closing mark."""


class ThinkingEngine:
    """An engine whose requests have room for a thought and an answer."""

    def __init__(self, engine: Engine, limits: ThoughtLimits, finder: ThoughtFinder) -> None:
        self.device, self.packages = engine.device, engine.packages
        self._engine, self._limits, self._finder = engine, limits, finder
        self._watches: dict[str, _Watch] = {}

    def generate(self, requests: Sequence[CompletionRequest], stop_ids: Sequence[int]) -> Iterator[list[Completion]]:
        """Yield all completions, each cut where it reaches a limit. Raises ModelFault for an unusable tokenizer."""
        opened = self._finder.opened_by([request.token_ids for request in requests])
        for request, by_prompt in zip(requests, opened, strict=True):
            thinks = True if by_prompt else None
            self._watches[request.key] = _Watch(thinks, extent(self._limits, thinks=thinks, generated=0, end=None))
        completions = self._engine.generate(requests, stop_ids)
        try:
            for steps, finished in enumerate(completions):
                cut = self._cut(finished)
                if steps % _LOOK_EVERY == 0:
                    cut += self._end_decided()
                yield cut
        finally:
            self._watches.clear()
            if isinstance(completions, Generator):
                completions.close()

    def _end_decided(self) -> list[Completion]:
        """End requests that can only be cut any more, and return their completions."""
        return []

    def _cut(self, finished: Sequence[Completion]) -> list[Completion]:
        watches = [self._watches.pop(completion.key) for completion in finished]
        self._look(watches, [completion.token_ids for completion in finished], final=True)
        return [_cut(completion, watch.extent.cut) for completion, watch in zip(finished, watches, strict=True)]

    def _look(self, watches: Sequence[_Watch], answers: Sequence[Tokens], *, final: bool) -> None:
        """Learn from the tokens of some answers so far; `final`: there will be no more."""
        self._look_for_openings(watches, answers, final=final)
        looked = [(watch, ids) for watch, ids in zip(watches, answers, strict=True) if watch.extent.cut is None]
        thinking = [(watch, ids[: self._limits.thought]) for watch, ids in looked if watch.thinks]
        ends = self._finder.ends([ids for _, ids in thinking], [watch.searched for watch, _ in thinking])
        for (watch, ids), end in zip(thinking, ends, strict=True):
            watch.searched = len(ids)
            watch.extent = extent(self._limits, thinks=True, generated=len(ids), end=end)
        for watch, ids in looked:
            if not watch.thinks:
                watch.extent = extent(self._limits, thinks=watch.thinks, generated=len(ids), end=None)

    def _look_for_openings(self, watches: Sequence[_Watch], answers: Sequence[Tokens], *, final: bool) -> None:
        open_ = [(watch, ids) for watch, ids in zip(watches, answers, strict=True) if watch.thinks is None]
        opened = self._finder.opened_in([ids for _, ids in open_]) if open_ else []
        for (watch, ids), is_open in zip(open_, opened, strict=True):
            watch.thinks = True if is_open else False if final or len(ids) >= OPENING_TOKENS else None


def _cut(completion: Completion, at: int | None) -> Completion:
    if at is None or completion.completion_tokens <= at:
        return completion
    return Completion(completion.key, list(completion.token_ids[:at]), at, "length")


class EndingThinkingEngine(ThinkingEngine):
    """The same for an engine whose requests can be ended."""

    def __init__(self, engine: Engine, limits: ThoughtLimits, finder: ThoughtFinder, watched: WatchableEngine) -> None:
        super().__init__(engine, limits, finder)
        self._watched = watched

    def generated(self) -> dict[str, int]:
        """Return for each unfinished request the number of tokens so far that are known to count, by key."""
        return {key: self._counted(key, tokens) for key, tokens in self._watched.generated().items()}

    def _counted(self, key: str, tokens: int) -> int:
        watch = self._watches.get(key)
        return tokens if watch is None else min(tokens, watch.extent.at_least)

    def end(self, keys: Collection[str]) -> None:
        """End these requests; they get no completion."""
        self._watched.end(keys)
        for key in keys:
            self._watches.pop(key, None)

    def _end_decided(self) -> list[Completion]:
        counts = self._watched.generated()
        due = [key for key, watch in self._watches.items() if counts.get(key, 0) >= watch.extent.look_at]
        if not due:
            return []
        answers = self._watched.tokens(due)
        due = [key for key in due if key in answers]
        self._look([self._watches[key] for key in due], [answers[key] for key in due], final=False)
        ended = []
        for key in due:
            cut = self._watches[key].extent.cut
            if cut is not None and len(answers[key]) >= cut:
                ended.append(Completion(key, list(answers[key][:cut]), cut, "length"))
        if ended:
            self.end([completion.key for completion in ended])
        return ended


def with_thought_limits(engine: Engine, limits: ThoughtLimits, finder: ThoughtFinder) -> ThinkingEngine:
    """Return the engine with limits of thoughts and answers, whose requests have room for both."""
    if isinstance(engine, WatchableEngine):
        return EndingThinkingEngine(engine, limits, finder, engine)
    return ThinkingEngine(engine, limits, finder)
