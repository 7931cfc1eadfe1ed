"""Jobs that the API server does not accept: what that means, and when each of them is tried again.

A refusal is remembered in memory only: after a restart the Job is tried again at once, and refused again.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from http import HTTPStatus

from bitagent_crds.conditions import Reason
from bitagent_kube.errors import ApiError
from bitagent_operator.observed.cache import Key
from bitagent_operator.plan.inputs import Refusal

LONGEST_DELAY = timedelta(seconds=60)
"""Longest wait between two tries of one Job; the first wait is two seconds, each further one twice as long."""
POLICY_PATIENCE = timedelta(minutes=15)
"""How long a Job that a policy denies is tried again: somebody may be about to correct the policy."""

REJECTIONS = frozenset({HTTPStatus.BAD_REQUEST, HTTPStatus.FORBIDDEN, HTTPStatus.UNPROCESSABLE_ENTITY})
"""Codes with which rights, quotas, admission webhooks and validation reject an object."""
_POLICY = ("denied the request", "denied request", "denied by")
"""Words of admission webhooks and of ValidatingAdmissionPolicy."""
_NOT_VALID = frozenset({HTTPStatus.BAD_REQUEST, HTTPStatus.REQUEST_ENTITY_TOO_LARGE, HTTPStatus.UNPROCESSABLE_ENTITY})


@dataclass(frozen=True)
class _Entry:
    refusal: Refusal
    owner: str
    """uid of the object that owns the Job: another one of its name starts afresh."""
    times: int
    denied_since: datetime | None
    """Since when a policy has denied it, each time; None if it was refused for another reason last."""


class Refusals:
    """The Jobs that were refused last time, by object and name."""

    def __init__(self) -> None:
        self._entries: dict[Key, dict[str, _Entry]] = defaultdict(dict)

    def of(self, key: Key, *, owner: str) -> Mapping[str, Refusal]:
        """Return the refusals of the Jobs of an object with the uid `owner`, by the Job's name."""
        return {name: e.refusal for name, e in self._entries.get(key, {}).items() if e.owner == owner}

    def record(self, key: Key, job: str, error: ApiError, *, owner: str, now: datetime) -> bool:
        """Remember a refusal; return whether it is news: the first one, or of another kind."""
        old = self._entries[key].get(job)
        if old is not None and old.owner != owner:
            old = None
        times = old.times + 1 if old is not None else 1
        since = ((old.denied_since if old is not None else None) or now) if _denied(error) else None
        delay = min(LONGEST_DELAY, timedelta(seconds=2 ** min(times, 10)))
        refusal = refusal_of(error, refused_for=now - (since or now), retry_at=now + delay, at=now)
        self._entries[key][job] = _Entry(refusal, owner, times, since)
        return old is None or (old.refusal.reason, old.refusal.final) != (refusal.reason, refusal.final)

    def accepted(self, key: Key, job: str) -> None:
        """Forget a Job's refusals: it exists."""
        self._entries.get(key, {}).pop(job, None)

    def forget(self, key: Key) -> None:
        """Forget those of an object that is gone."""
        self._entries.pop(key, None)


def refusal_of(error: ApiError, *, refused_for: timedelta, retry_at: datetime, at: datetime) -> Refusal:
    """Return what a refusal at the time `at` means; `refused_for` is how long a policy has denied the Job.

    A Job that is not valid stays invalid. A policy may be corrected within POLICY_PATIENCE. A quota, a right, a webhook
    that does not answer and a server that is busy may pass at any time.
    """
    denied = _denied(error)
    if error.code in _NOT_VALID and not denied:
        return Refusal(Reason.JOB_INVALID, f"the API server refuses its Job: {error.message}", final=True, at=at)
    text = f"the API server does not accept its Job: {error.message or error.reason}"
    if denied and refused_for >= POLICY_PATIENCE:
        return Refusal(Reason.JOB_REFUSED, f"{text}; so it did for {refused_for}", final=True, at=at)
    return Refusal(Reason.JOB_REFUSED, text, retry_at=retry_at, at=at)


def _denied(error: ApiError) -> bool:
    """Whether a policy refuses the object."""
    return any(words in error.message for words in _POLICY)
