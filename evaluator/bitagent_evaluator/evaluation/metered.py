"""An engine that spends a model's budget: it ends requests that cannot count any more, and stops when time is over.

Strategies use it like the engine itself. A request that is ended has no completion; the caller's generator ends as if
all were done.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Sequence

from bitagent_evaluator.engines.base import Completion, CompletionRequest, Engine, StoppableEngine
from bitagent_evaluator.engines.losses import LossEngine, MeasuredText, PassageLoss
from bitagent_evaluator.evaluation.budget import Meter

_LOOK_EVERY = 16
"""Steps of the engine between two looks at what unfinished requests have generated."""


class MeteredEngine:
    """An engine and the meter of one run. The key of a request is the id of its task."""

    def __init__(self, engine: Engine, meter: Meter, on_step: Callable[[], None]) -> None:
        """`on_step` is called after every step of the engine."""
        self.device, self.packages = engine.device, engine.packages
        self._engine, self._meter, self._on_step = engine, meter, on_step

    def generate(self, requests: Sequence[CompletionRequest], stop_ids: Sequence[int]) -> Iterator[list[Completion]]:
        """Yield the completions of requests that may count, each as soon as it is finished."""
        if self._meter.out_of_time:
            return
        keys = {request.key for request in requests}
        open_keys = keys - self._meter.hopeless(keys)
        completions = self._engine.generate([r for r in requests if r.key in open_keys], stop_ids)
        try:
            for steps, finished in enumerate(completions):
                for completion in finished:
                    self._meter.add(completion.key, completion.completion_tokens)
                kept = [completion for completion in finished if completion.key in open_keys]
                open_keys -= {completion.key for completion in finished}
                if kept:
                    yield kept
                if steps % _LOOK_EVERY == 0 or finished:
                    open_keys -= self._end_hopeless(open_keys)
                self._on_step()
                if self._meter.out_of_time:
                    break
        finally:
            if isinstance(completions, Generator):
                completions.close()

    def _end_hopeless(self, open_keys: set[str]) -> set[str]:
        """End the requests that cannot count, if the engine can; return their keys."""
        engine = self._engine
        if not isinstance(engine, StoppableEngine):
            return self._meter.hopeless(open_keys)
        hopeless = self._meter.hopeless(open_keys, engine.generated())
        if hopeless:
            engine.end(hopeless)
        return hopeless


class MeteredLossEngine(MeteredEngine):
    """The same for an engine that measures losses."""

    def __init__(self, engine: Engine, meter: Meter, on_step: Callable[[], None], losses: LossEngine) -> None:
        super().__init__(engine, meter, on_step)
        self._losses = losses

    def losses(self, passages: Sequence[MeasuredText]) -> Iterator[list[PassageLoss]]:
        """Yield losses until the time is over."""
        if self._meter.out_of_time:
            return
        measured = self._losses.losses(passages)
        try:
            for losses in measured:
                for loss in losses:
                    self._meter.add(loss.key, 0)
                yield losses
                self._on_step()
                if self._meter.out_of_time:
                    break
        finally:
            if isinstance(measured, Generator):
                measured.close()


def metered(engine: Engine, meter: Meter, on_step: Callable[[], None]) -> MeteredEngine:
    """Return the engine with a meter; it measures losses if the engine does."""
    if isinstance(engine, LossEngine):
        return MeteredLossEngine(engine, meter, on_step, engine)
    return MeteredEngine(engine, meter, on_step)
