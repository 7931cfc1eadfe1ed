"""What a run needs of an engine."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from bitagent_evaluator.engine.plan import EnginePlan, Hardware


@dataclass(frozen=True)
class Prompt:
    """One question to the engine."""

    key: str
    """Chosen by the caller; comes back with the answer."""
    token_ids: list[int]
    max_tokens: int
    """Limit of the answer."""


@dataclass(frozen=True)
class Answer:
    """One finished answer."""

    key: str
    token_ids: list[int]
    """The answer without the stop token that ended it."""
    completion_tokens: int
    """Tokens generated, the stop token included."""
    finish_reason: str
    """`stop` or `length`."""


class Engine(Protocol):
    """A loaded model."""

    device: str
    """Hardware, for people and provenance."""
    packages: dict[str, str]
    """Versions of what computes."""

    def generate(self, prompts: Sequence[Prompt], stop_ids: Sequence[int]) -> Iterator[list[Answer]]:
        """All answers, greedily decoded, those of each step as soon as they are finished. Raises InfrastructureFault."""
        ...


class Backend(Protocol):
    """Where engines come from."""

    identity: str
    """Name and version of what generates; answers of another one are not taken over."""

    def prepare(self, model_dir: Path) -> None:
        """Begin whatever takes long and needs no model; returns at once."""
        ...

    def hardware(self) -> Hardware:
        """What engines run on; waits for `prepare`."""
        ...

    def start(self, model_dir: Path, plan: EnginePlan) -> AbstractContextManager[Engine]:
        """Load a model, into the running engine where that can take it over. Raises ModelFault or InfrastructureFault.

        The engine of an earlier call must not be used any more.
        """
        ...
