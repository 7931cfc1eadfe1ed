"""Calls that set weights, as a block has them. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from bitagent_validator.chain.decoding import commit_digest

_UNREADABLE = (LookupError, TypeError, ValueError, AttributeError)


@dataclass(frozen=True)
class SentRow:
    """A row of weights as it was signed."""

    mechanism: int
    by_uid: Mapping[int, int] = field(default_factory=dict)
    """u16 by slot, zeros left out; empty if it is sealed."""
    commit: str = ""
    """BlakeTwo256 of the sealed row; empty if it is open."""


def sent_row(call: Any) -> SentRow | None:
    """Return the row in a call of a block; None if the call sets none, or is of an unknown form."""
    try:
        given = {str(each["name"]): each["value"] for each in call["call_args"]}
        mechanism = int(given.get("mecid", 0))
        if "commit" in given:
            return SentRow(mechanism, commit=commit_digest(given["commit"]))
        row = zip(given["dests"], given["weights"], strict=True)
        return SentRow(mechanism, {int(uid): int(value) for uid, value in row if int(value)})
    except _UNREADABLE:
        return None
