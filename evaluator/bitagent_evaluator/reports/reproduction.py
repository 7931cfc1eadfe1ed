"""A result and its repetition, verdict by verdict. Pure."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from bitagent_crds.results import ResultsManifest, Verdict
from bitagent_evaluator.reports.reading import Results

_SURROUNDINGS = ("device", "dtype", "prompt_format", "max_tokens", "scorer", "commit", "weights_digest")
"""Members of a manifest that, where they differ, explain differing verdicts."""
LOSS_TOLERANCE = 1e-3
"""Losses no further apart than this are the same: float32 on other hardware moves them by less."""


@dataclass(frozen=True)
class Differing:
    """One task whose verdict is another one now."""

    id: str
    category: str
    before: str
    """The verdict in words: `passed`, or the error."""
    after: str
    same_answer: bool
    """Whether the model's answer is the same, so that judging differs, not answering."""


@dataclass(frozen=True)
class Reproduction:
    """Outcome of a repetition."""

    total: int
    same_verdicts: int
    same_answers: int
    before_score: str
    after_score: str
    differing: list[Differing]
    """In the order of the tasks."""
    surroundings: dict[str, tuple[str, str]]
    """What was different about the repetition: name, then and now."""

    @property
    def reproduced(self) -> bool:
        """Whether every verdict is the same."""
        return self.same_verdicts == self.total


def reproduction(before: Results, after: Results) -> Reproduction:
    """Compare. Both are about the same tasks: the caller ran the second on the first one's task set."""
    verdicts = {verdict.id: verdict for verdict in after.verdicts}
    differing: list[Differing] = []
    same_answers = 0
    for old in before.verdicts:
        same_answer = _answer(before, old.id) == _answer(after, old.id)
        same_answers += same_answer
        new = verdicts.get(old.id)
        if new is None or not _same(old, new):
            differing.append(
                Differing(old.id, old.category, _words(old), _words(new) if new else "not judged", same_answer)
            )
    return Reproduction(
        total=len(before.verdicts),
        same_verdicts=len(before.verdicts) - len(differing),
        same_answers=same_answers,
        before_score=before.manifest.score,
        after_score=after.manifest.score,
        differing=differing,
        surroundings=surroundings(before.manifest, after.manifest),
    )


def surroundings(before: ResultsManifest, after: ResultsManifest) -> dict[str, tuple[str, str]]:
    """Where the repetition ran under other circumstances: hardware, number format, packages, engine arguments."""
    then, now = before.model_dump(mode="json"), after.model_dump(mode="json")
    found = {name: (then[name], now[name]) for name in _SURROUNDINGS if then.get(name) != now.get(name)}
    found |= _members("package", then["packages"], now["packages"])
    found |= _members("engine argument", then["engine"], now["engine"])
    return {name: (str(old), str(new)) for name, (old, new) in found.items()}


def _members(what: str, then: Mapping[str, Any], now: Mapping[str, Any]) -> dict[str, tuple[Any, Any]]:
    names = sorted({*then, *now})
    return {
        f"{what} {name}": (then.get(name, "absent"), now.get(name, "absent"))
        for name in names
        if then.get(name, "absent") != now.get(name, "absent")
    }


def _answer(results: Results, task_id: str) -> object:
    response = results.responses.get(task_id)
    return None if response is None else (response.text, response.turns)


def _same(old: Verdict, new: Verdict) -> bool:
    if (old.passed, old.error) != (new.passed, new.error):
        return False
    if old.loss is None or new.loss is None:
        return old.loss is new.loss and old.score == new.score
    return math.isclose(old.loss, new.loss, rel_tol=0.0, abs_tol=LOSS_TOLERANCE)


def _words(verdict: Verdict) -> str:
    partial = "" if verdict.score in (0.0, 1.0) else f" with {verdict.score:.6f}"
    return ("passed" if verdict.passed else verdict.error or "failed") + partial
