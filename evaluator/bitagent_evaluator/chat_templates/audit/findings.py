"""Findings of the audit: rules, severities, and how findings are shown."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any

from bitagent_evaluator.support.text import escape_unprintable, mask_unprintable, shorten

LINE_CHARACTERS = 160
MAX_FINDINGS = 40


class Severity(StrEnum):
    """Consequence of a finding for the model."""

    REFUSE = "refuse"
    """Prompt formats that use the template cannot be evaluated."""
    NOTE = "note"
    """Worth knowing; without consequence."""


class Rule(StrEnum):
    """What a template must not do, or what is worth a note."""

    BENCHMARK = "benchmark"
    """Names or values of a known benchmark."""
    TEXT_DECISION = "text-decision"
    """A decision, lookup or computation on a message's text, or a filter on it that is not known to be harmless."""
    TOOL_DECISION = "tool-decision"
    """A decision or lookup by a tool's name or description, instead of by its schema's types."""
    TABLE = "table"
    """A long dict or list, or encoded data."""
    NONDETERMINISM = "nondeterminism"
    """Something that would make two validators' prompts differ."""
    OTHER_TEMPLATE = "other-template"
    """Loads another template, which cannot exist."""
    BROKEN = "broken"
    """Cannot be parsed or rendered, or takes more time or memory than allowed."""
    LENGTH = "length"
    """Writes far more than a conversation and a format around it."""
    DIFFERENCE = "difference"
    """Writes a prompt that differs from the one of another text by more than the text."""


@dataclass(frozen=True)
class Finding:
    """One finding."""

    rule: Rule
    severity: Severity
    explanation: str
    """What the line does, and what it should do instead."""
    line: int | None = None
    """Line of the template, from 1; None if the finding is about a rendered prompt or the whole template."""
    text: str = ""
    """The offending line, cut to LINE_CHARACTERS."""

    def __post_init__(self) -> None:
        for name in ("explanation", "text"):  # They quote the template, and what it raises and writes.
            object.__setattr__(self, name, escape_unprintable(getattr(self, name)))

    def to_plain(self) -> dict[str, Any]:
        """Return the finding as JSON types."""
        return asdict(self)

    @classmethod
    def from_plain(cls, plain: dict[str, Any]) -> Finding:
        """Return the finding that `to_plain` was called on."""
        return cls(**{**plain, "rule": Rule(plain["rule"]), "severity": Severity(plain["severity"])})

    def __str__(self) -> str:
        where = f"line {self.line}: " if self.line else ""
        quoted = f" (`{self.text}`)" if self.text else ""
        return f"{where}{self.explanation}{quoted}"


def refusals(findings: Iterable[Finding]) -> list[Finding]:
    """Return the findings for which the model is refused."""
    return [finding for finding in findings if finding.severity is Severity.REFUSE]


def summary(findings: Sequence[Finding]) -> str:
    """Return why a template is refused, with the first finding and the number of others; empty if it is not refused."""
    bad = refusals(findings)
    more = f"; and {len(bad) - 1} more" if len(bad) > 1 else ""
    return f"the chat template: {bad[0]}{more}" if bad else ""


def quote_line(line: str) -> str:
    """Return a line of untrusted text, printable and of at most LINE_CHARACTERS."""
    return shorten(mask_unprintable(line.strip()), LINE_CHARACTERS)
