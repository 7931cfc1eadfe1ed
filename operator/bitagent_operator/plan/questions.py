"""What a planner must know from the API server itself, because a cache cannot prove that something is not there."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Questions:
    """Asked by a plan."""

    pods_of: frozenset[str] = frozenset()
    """uids of ended Jobs without a result in sight: list their pods."""
    models: frozenset[str] = frozenset()
    """Names of MinerModels that are not in sight: read them."""
    selection: bool = False
    """The round is about to start: list the MinerModels."""

    def __bool__(self) -> bool:
        return bool(self.pods_of or self.models or self.selection)


NO_QUESTIONS = Questions()


@dataclass(frozen=True)
class Answers:
    """What was found; what exists went into the store, and so into the next plan's arguments."""

    sure_jobs: frozenset[str] = frozenset()
    """uids of Jobs whose pods were listed after the Job had ended."""
    gone_models: frozenset[str] = frozenset()
    """Names of MinerModels that do not exist."""
    selected: bool = False
    """The MinerModels given are a list read just now."""


NO_ANSWERS = Answers()


@dataclass
class Gather:
    """Collects questions while a plan is made."""

    pods_of: set[str] = field(default_factory=set)
    models: set[str] = field(default_factory=set)

    def questions(self) -> Questions:
        """All of them."""
        return Questions(frozenset(self.pods_of), frozenset(self.models))
