"""What an audit says."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any

LINE_CHARACTERS = 160
MAX_FINDINGS = 40


class Severity(StrEnum):
    """What a finding means for the model."""

    REFUSE = "refuse"
    """No prompt format that uses the template can be evaluated."""
    NOTE = "note"
    """Worth knowing; nothing follows from it."""


class Rule(StrEnum):
    """What a template may not do, or what is worth a note."""

    BENCHMARK = "benchmark"
    """Names or values of a known benchmark."""
    TEXT_DECISION = "text-decision"
    """A decision, a lookup or a computation on the text of a message, or a filter on it that is not known to be harmless."""
    TOOL_DECISION = "tool-decision"
    """A decision or lookup by what a tool is called or says, instead of by its schema's types."""
    TABLE = "table"
    """A long dict or list, or encoded data."""
    NONDETERMINISM = "nondeterminism"
    """Something that would make two validators' prompts differ."""
    OTHER_TEMPLATE = "other-template"
    """Another template is loaded; there is none."""
    BROKEN = "broken"
    """The template cannot be read or rendered, or takes more time or memory than allowed."""
    LENGTH = "length"
    """Far more is written than a conversation and a format around it."""
    DIFFERENCE = "difference"
    """Rendered for another text, the prompt differs by more than the text."""


@dataclass(frozen=True)
class Finding:
    """One thing that an audit found."""

    rule: Rule
    severity: Severity
    explanation: str
    """For people: what the line does and what it should do instead."""
    line: int | None = None
    """Line of the template, from 1; None when the finding is about a rendered prompt or the whole."""
    text: str = ""
    """The offending line, cut to LINE_CHARACTERS."""

    def to_plain(self) -> dict[str, Any]:
        """The finding as JSON types."""
        return asdict(self)

    @classmethod
    def from_plain(cls, plain: dict[str, Any]) -> Finding:
        """The finding that `to_plain` wrote."""
        return cls(**{**plain, "rule": Rule(plain["rule"]), "severity": Severity(plain["severity"])})

    def __str__(self) -> str:
        where = f"line {self.line}: " if self.line else ""
        quoted = f" (`{self.text}`)" if self.text else ""
        return f"{where}{self.explanation}{quoted}"


def refusals(findings: Iterable[Finding]) -> list[Finding]:
    """Those that count against the model."""
    return [finding for finding in findings if finding.severity is Severity.REFUSE]


def summary(findings: Sequence[Finding]) -> str:
    """One sentence about why a template is refused: the first reason, and how many more there are."""
    bad = refusals(findings)
    more = f"; and {len(bad) - 1} more" if len(bad) > 1 else ""
    return f"the chat template: {bad[0]}{more}" if bad else ""


def cut(line: str) -> str:
    """A line of a stranger's text, short and printable."""
    plain = "".join(character if character.isprintable() else "?" for character in line.strip())
    return plain if len(plain) <= LINE_CHARACTERS else plain[: LINE_CHARACTERS - 1] + "…"
