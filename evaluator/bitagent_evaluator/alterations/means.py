"""What alterations that work with something outside the task set are given for it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from bitagent_evaluator.alterations.rewriting.kept import KeptAnswers
from bitagent_evaluator.progress import LogProgress, Progress


@dataclass(frozen=True)
class Means:
    """The surroundings of one build."""

    keys: Mapping[int, str] = field(default_factory=dict, repr=False)
    """API keys by the alteration's place in the spec."""
    answers: KeptAnswers = field(default_factory=KeptAnswers)
    """Answers of language models: those of an earlier build are taken over, new ones are kept."""
    progress: Progress = field(default_factory=LogProgress)
    """Told how far slow work is."""
