"""Comparison of a result with its repetition, verdict by verdict. Pure."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from bitagent_crds.results import ResultsManifest, Unanswered, Verdict
from bitagent_evaluator.reports.results import Results

_SURROUNDINGS = (
    *("device", "dtype", "prompt_format", "max_tokens", "max_prompt_tokens", "mean_answer_tokens"),
    *("thinking", "max_thought_tokens"),
    *("generate_seconds", "scorer", "commit", "weights_digest"),
)
"""Fields of a manifest that explain differing verdicts if they differ."""
LOSS_TOLERANCE = 1e-3
"""Largest difference of two losses that count as the same: float32 on other hardware moves them by less."""


@dataclass(frozen=True)
class ChangedVerdict:
    """A task with another verdict in the repetition."""

    id: str
    category: str
    before: str
    """The verdict in words: `passed`, or the error."""
    after: str
    same_answer: bool
    """Whether the model's answer is the same, so that scoring differs, not answering."""


@dataclass(frozen=True)
class Reproduction:
    """Outcome of a repetition."""

    total: int
    same_verdicts: int
    same_answers: int
    before_score: str
    after_score: str
    differing: list[ChangedVerdict]
    """In the order of the tasks."""
    surroundings: dict[str, tuple[str, str]]
    """Circumstances that differ, by name: before and after."""
    timed_out: int = 0
    """Number of differing verdicts on tasks that were left, before or after, when the time for generating was over:
    which tasks that are depends on the machine, so they cannot be repeated."""

    @property
    def reproduced(self) -> bool:
        """Whether every verdict is the same."""
        return self.same_verdicts == self.total


def compare_repetition(before: Results, after: Results) -> Reproduction:
    """Compare a result with its repetition, which was run on the same task set."""
    verdicts = {verdict.id: verdict for verdict in after.verdicts}
    differing: list[ChangedVerdict] = []
    same_answers = timed_out = 0
    for old in before.verdicts:
        same_answer = _answer(before, old.id) == _answer(after, old.id)
        same_answers += same_answer
        new = verdicts.get(old.id)
        if new is None or not _is_same(old, new):
            timed_out += Unanswered.TIME_EXCEEDED in (old.error, new and new.error)
            new_words = "not judged" if new is None else _in_words(new)
            differing.append(ChangedVerdict(old.id, old.category, _in_words(old), new_words, same_answer))
    return Reproduction(
        total=len(before.verdicts),
        same_verdicts=len(before.verdicts) - len(differing),
        same_answers=same_answers,
        before_score=before.manifest.score,
        after_score=after.manifest.score,
        differing=differing,
        surroundings=_compare_surroundings(before.manifest, after.manifest),
        timed_out=timed_out,
    )


def _compare_surroundings(before: ResultsManifest, after: ResultsManifest) -> dict[str, tuple[str, str]]:
    """Return what differs in hardware, number format, model, packages and engine arguments."""
    old, new = before.model_dump(mode="json"), after.model_dump(mode="json")
    found = {name: (old[name], new[name]) for name in _SURROUNDINGS if old.get(name) != new.get(name)}
    found |= _compare_fields("package", old["packages"], new["packages"])
    found |= _compare_fields("engine argument", old["engine"], new["engine"])
    return {name: (str(then), str(now)) for name, (then, now) in found.items()}


def _compare_fields(what: str, before: Mapping[str, Any], after: Mapping[str, Any]) -> dict[str, tuple[Any, Any]]:
    names = sorted({*before, *after})
    pairs = {f"{what} {name}": (before.get(name, "absent"), after.get(name, "absent")) for name in names}
    return {name: (old, new) for name, (old, new) in pairs.items() if old != new}


def _answer(results: Results, task_id: str) -> object:
    response = results.responses.get(task_id)
    return None if response is None else (response.text, response.turns)


def _is_same(old: Verdict, new: Verdict) -> bool:
    if (old.passed, old.error) != (new.passed, new.error):
        return False
    if old.loss is None or new.loss is None:
        return old.loss is new.loss and old.score == new.score
    return math.isclose(old.loss, new.loss, rel_tol=0.0, abs_tol=LOSS_TOLERANCE)


def _in_words(verdict: Verdict) -> str:
    partial = "" if verdict.score in (0.0, 1.0) else f" with {verdict.score:.6f}"
    return ("passed" if verdict.passed else verdict.error or "failed") + partial
