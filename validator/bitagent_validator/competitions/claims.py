"""Claims to a commitment, compared with the chain. Pure.

A MinerModel may claim the block at which its miner committed to it (`miner.commitBlock`). Where the miner has a
commitment on the chain that names a model, at the block of the round's seed, it must name this one, and must not be
younger than claimed. A claim that the chain neither supports nor contradicts is believed or refused as the competition
says (`unsupportedClaims`). Only a commitment to a commit supports one: of a repository alone nothing says which weights
were in it at that block, and its owner can put another miner's there later. What other hotkeys have committed to does
not matter for it: otherwise the commitment of one would take the pay of all others.

The chain holds one commitment for each hotkey, the last one. The forms that are read: `namespace:name:commit[:...]`
(the finetuning subnets), a JSON object with `model` and `revision`, and `owner/name[@commit]`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from bitagent_crds.model_result import ModelResult
from bitagent_crds.policies import UnsupportedClaims
from bitagent_validator.chain.facts import Commitment
from bitagent_validator.state.scores import Submission

_COMMIT = re.compile(r"[0-9a-f]{40}")
_PART = r"[A-Za-z0-9][A-Za-z0-9._-]*"
_REPO = re.compile(rf"({_PART}/{_PART})(?:@(.+))?")
MESSAGE_LENGTH = 128
"""Longest message, in characters."""


@dataclass(frozen=True)
class Named:
    """The model that a commitment names."""

    repo: str
    commit: str | None
    """None if the commitment names no commit, or an abbreviation."""


def named_model(text: str) -> Named | None:
    """Return the model that a commitment's text names; None if it names none in a form that is known."""
    text = text.strip()
    if text.startswith("{"):
        try:
            content = json.loads(text)
        except (ValueError, RecursionError):
            return None
        if not isinstance(content, dict):
            return None
        found = _REPO.fullmatch(str(content.get("model", "")))
        return Named(found[1], _commit(str(content.get("revision", "")))) if found else None
    if found := _REPO.fullmatch(text):
        return Named(found[1], _commit(found[2] or ""))
    parts = text.split(":")
    if len(parts) >= 3 and all(re.fullmatch(_PART, part) for part in parts[:2]):
        return Named(f"{parts[0]}/{parts[1]}", _commit(parts[2]))
    return None


def _commit(text: str) -> str | None:
    return text if _COMMIT.fullmatch(text) else None


@dataclass(frozen=True)
class Claims:
    """What the chain says about the claims of a round's models."""

    contradicted: Mapping[str, str]
    """Why the chain contradicts a claim, by model."""
    unsupported: Mapping[str, str]
    """Why the chain does not support one, by model: its hotkey has no commitment that names the commit at a block."""

    def refused(self, unsupported: UnsupportedClaims) -> dict[str, str]:
        """Return why claims are refused, by model."""
        others = self.unsupported if unsupported is UnsupportedClaims.REFUSE else {}
        return {**self.contradicted, **others}


def compare_claims(
    results: Iterable[ModelResult],
    *,
    submissions: Mapping[str, Submission],
    commitments: Mapping[str, Commitment],
    first_seen: Collection[str] = frozenset(),
) -> Claims:
    """Return what the chain says about claims; `commitments` are by hotkey.

    `first_seen` are models that discovery made: their block is that of the first sight, and the same content committed
    again moves the chain's.
    """
    contradicted: dict[str, str] = {}
    unsupported: dict[str, str] = {}
    for result in results:
        submission = submissions.get(result.model)
        if submission is None or submission.block is None or result.commit is None or result.repo is None:
            continue
        seen, claimed = result.model in first_seen, f"claims block {submission.block}"
        commitment = commitments.get(submission.hotkey)
        named = named_model(commitment.text) if commitment is not None else None
        if commitment is None or named is None or result.repo.startswith("volume/"):
            # A volume's files have no name on the chain.
            if not seen:
                unsupported[result.model] = f"{claimed}; no commitment of its hotkey names it: remove commitBlock"
        elif named.repo.lower() != result.repo.lower() or named.commit not in (None, result.commit):
            commit = f"@{named.commit[:12]}" if named.commit else ""
            since = "" if commitment.block is None else f" at block {commitment.block}"
            contradicted[result.model] = f"the chain has {named.repo[:60]}{commit}{since}"[:MESSAGE_LENGTH]
        elif not seen and commitment.block is None:
            unsupported[result.model] = f"{claimed}; the chain has no block of its commitment: remove commitBlock"
        elif not seen and commitment.block is not None and commitment.block > submission.block:
            contradicted[result.model] = f"{claimed}; its commitment is of block {commitment.block}"
        elif not seen and named.commit is None:
            unsupported[result.model] = f"{claimed}; its commitment names no commit of 40 digits: remove commitBlock"
    return Claims(contradicted, unsupported)
