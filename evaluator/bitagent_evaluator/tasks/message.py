"""A task set in one sentence, for the round's condition: how large it is, and what each alteration came to."""

from __future__ import annotations

from bitagent_crds.results import AlterationManifest, TaskSetManifest
from bitagent_evaluator.alterations.alteration import Reason


def describe(manifest: TaskSetManifest) -> str:
    """Such as `1000 tasks from 3 sources; Rewrite changed 812 of 1000 (103 value_lost, 85 too_similar)`.

    Reasons stand in order of their counts. Tasks that `percent` left out are what the spec asked for and no reason.
    """
    sizes = f"{_counted(manifest.count, 'task')} from {_counted(len(manifest.sources), 'source')}"
    return "; ".join([sizes, *(_effect(each, of=manifest.count) for each in manifest.alterations)])


def _effect(alteration: AlterationManifest, *, of: int) -> str:
    reasons = [(count, reason) for reason, count in alteration.skipped.items() if reason != Reason.NOT_CHOSEN]
    told = ", ".join(f"{count} {reason}" for count, reason in sorted(reasons, key=lambda each: (-each[0], each[1])))
    return f"{alteration.name} changed {alteration.applied} of {of}" + (f" ({told})" if told else "")


def _counted(number: int, word: str) -> str:
    return f"{number} {word}" if number == 1 else f"{number} {word}s"
