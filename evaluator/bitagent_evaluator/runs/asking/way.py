"""The interface of ways of asking, their registry, and which task goes which way."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from bitagent_crds.conditions import Reason
from bitagent_crds.evaluation import LossParameters, Scorer
from bitagent_crds.results import Expects, Response, Task
from bitagent_evaluator.engine.interface import Engine
from bitagent_evaluator.faults import ModelFault
from bitagent_evaluator.registry import Registry
from bitagent_evaluator.runs.asking.wording import Wording

WAYS = Registry(
    what="way of asking",
    group="bitagent.ways",
    builtin={
        "conversations": "bitagent_evaluator.runs.asking.conversations:Conversations",
        "losses": "bitagent_evaluator.runs.asking.losses:Losses",
        "single_turn": "bitagent_evaluator.runs.asking.single_turn:SingleTurn",
    },
)


TEMPLATE_REFUSED = "template_refused"
"""Finish reason of a conversation that the model's template raised on when it was to go on."""


@dataclass(frozen=True)
class Asked:
    """What a run asks for besides the tasks."""

    scorer: Scorer
    loss: LossParameters = field(default_factory=LossParameters)


class Way(Protocol):
    """Tasks prepared for one model. Made as `Way(tasks, wording, asked)`, which may raise ModelFault."""

    ids: Sequence[str]
    """Tasks that can be asked, in order."""
    too_long: Sequence[str]
    """Tasks that do not fit the model; they stay without a response."""
    refused: Mapping[str, str]
    """Tasks that the model's template raises on, with what it said; they stay without a response, too."""
    sequences: Sequence[int]
    """Tokens that each sequence may come to, prompt and answer together: what the engine must have room for."""

    def fingerprint(self) -> Iterator[Sequence[int]]:
        """Token ids that the answers depend on, in order."""
        ...

    def ask(self, engine: Engine, answered: frozenset[str], keep: Callable[[list[Response]], None]) -> None:
        """Put the tasks that are not `answered` to the engine; hand over responses as they come. Raises InfrastructureFault, ModelFault."""
        ...


def way_of(task: Task, asked: Asked) -> str:
    """The registry name of the way that suits a task."""
    if asked.scorer is Scorer.LOSS:
        return "losses"
    return "conversations" if task.expects is Expects.STATE else "single_turn"


def prepare_ways(tasks: Sequence[Task], wording: Wording, asked: Asked) -> list[Way]:
    """All tasks, each in its way; ways in the order of their names. Raises ModelFault, also when the template refuses every task."""
    grouped: dict[str, list[Task]] = {}
    for task in tasks:
        grouped.setdefault(way_of(task, asked), []).append(task)
    ways: list[Way] = [WAYS.load(name)(grouped[name], wording, asked) for name in sorted(grouped)]
    refusal = next((message for way in ways for message in way.refused.values()), None)
    if refusal is not None and not any(way.ids or way.too_long for way in ways):
        raise ModelFault(Reason.TEMPLATE_REFUSED, refusal)
    return ways
