"""How a Job ends."""

from __future__ import annotations

from dataclasses import dataclass

from bitagent_crds.jobs import (
    EXIT_INFRASTRUCTURE,
    EXIT_MODEL_FAULT,
    EXIT_OK,
    EvaluateSummary,
    FetchSummary,
    TaskSetSummary,
)

Summary = FetchSummary | TaskSetSummary | EvaluateSummary


@dataclass(frozen=True)
class Outcome:
    """Summary and exit code."""

    summary: Summary
    exit_code: int

    @classmethod
    def done(cls, summary: Summary) -> Outcome:
        """The work is done."""
        return cls(summary, EXIT_OK)

    @classmethod
    def final(cls, summary: Summary) -> Outcome:
        """The model or the document is at fault: another try would end the same."""
        return cls(summary, EXIT_MODEL_FAULT)

    @classmethod
    def infrastructure(cls, summary: Summary) -> Outcome:
        """Nobody's fault that a score should pay for: to be tried again."""
        return cls(summary, EXIT_INFRASTRUCTURE)
