"""What a refusal of a Job means, and when it is tried again."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from bitagent_crds.conditions import Reason
from bitagent_kube.errors import ApiError
from bitagent_operator.observed.cache import Key, Kind
from bitagent_operator.reconcilers.refusals import POLICY_PATIENCE, Refusals, refusal_of

T0 = datetime(2026, 1, 1, tzinfo=UTC)
KEY = Key(Kind.ROUND, "r")
POLICY = "ValidatingAdmissionPolicy 'p' with binding 'b' denied request: no label"
SHORT, LONG = timedelta(), POLICY_PATIENCE


@pytest.mark.parametrize(
    ("code", "reason", "message", "refused_for", "expected", "final"),
    [
        (422, "Invalid", 'Job.batch "x" is invalid: spec', SHORT, Reason.JOB_INVALID, True),
        (400, "BadRequest", "strict decoding error: unknown field", SHORT, Reason.JOB_INVALID, True),
        (403, "Forbidden", "exceeded quota: gpus", LONG, Reason.JOB_REFUSED, False),
        (403, "Forbidden", 'User "x" cannot create resource "jobs"', LONG, Reason.JOB_REFUSED, False),
        (422, "Invalid", POLICY, SHORT, Reason.JOB_REFUSED, False),
        (422, "Invalid", POLICY, LONG, Reason.JOB_REFUSED, True),
        (400, "", 'admission webhook "kyverno" denied the request: no', SHORT, Reason.JOB_REFUSED, False),
        (403, "Forbidden", 'admission webhook "gatekeeper" denied the request: no', LONG, Reason.JOB_REFUSED, True),
        (500, "InternalError", "failed calling webhook", LONG, Reason.JOB_REFUSED, False),
        (413, "RequestEntityTooLarge", "Request is too large", SHORT, Reason.JOB_INVALID, True),
        (429, "TooManyRequests", "later", LONG, Reason.JOB_REFUSED, False),
        (0, "NoAnswer", "reset", LONG, Reason.JOB_REFUSED, False),
        (403, "Forbidden", "unable to create new content in namespace x: it ends", LONG, Reason.JOB_REFUSED, False),
        (404, "NotFound", 'namespaces "x" not found', LONG, Reason.JOB_REFUSED, False),
    ],
    ids=[
        "not valid",
        "not understood",
        "quota",
        "right",
        "policy",
        "policy that stays",
        "webhook denies",
        "webhook keeps denying",
        "webhook is down",
        "too large",
        "busy",
        "no answer",
        "its namespace ends",
        "its namespace is gone",
    ],
)
def test_what_a_refusal_means(
    code: int, reason: str, message: str, refused_for: timedelta, expected: Reason, final: bool
) -> None:
    error = ApiError(code=code, reason=reason, message=message)
    found = refusal_of(error, refused_for=refused_for, retry_at=T0, at=T0)
    assert (found.reason, found.final, found.retry_at) == (expected, final, None if final else T0)
    assert message in found.message


def test_each_job_backs_off_by_itself() -> None:
    refusals, error, waits = Refusals(), ApiError(code=403, reason="Forbidden", message="exceeded quota"), []
    for times in range(8):
        assert refusals.record(KEY, "a", error, owner="1", now=T0) is (times == 0), "reported once"
        retry_at = refusals.of(KEY, owner="1")["a"].retry_at
        assert retry_at is not None
        waits.append((retry_at - T0).total_seconds())
    assert waits == [2, 4, 8, 16, 32, 60, 60, 60]
    assert refusals.record(KEY, "b", error, owner="1", now=T0)
    refusals.accepted(KEY, "a")
    assert list(refusals.of(KEY, owner="1")) == ["b"]
    refusals.forget(KEY)
    assert refusals.of(KEY, owner="1") == {}


def test_an_object_of_the_same_name_starts_afresh() -> None:
    refusals, error = Refusals(), ApiError(code=422, reason="Invalid", message="no")
    assert refusals.record(KEY, "a", error, owner="1", now=T0)
    assert refusals.of(KEY, owner="2") == {}
    assert refusals.record(KEY, "a", error, owner="2", now=T0)
    assert list(refusals.of(KEY, owner="2")) == ["a"]
    assert refusals.of(KEY, owner="1") == {}


def test_the_patience_with_a_policy_begins_when_it_denies() -> None:
    refusals, down = Refusals(), ApiError(code=500, reason="InternalError", message="failed calling webhook")
    denied, now = ApiError(code=403, reason="Forbidden", message=POLICY), T0

    def final(error: ApiError) -> bool:
        refusals.record(KEY, "a", error, owner="1", now=now)
        return refusals.of(KEY, owner="1")["a"].final

    assert not final(down)
    now += 2 * POLICY_PATIENCE
    assert not final(denied), "denied for the first time"
    now += POLICY_PATIENCE / 2
    assert not final(down)
    now += POLICY_PATIENCE
    assert not final(denied), "not without a break"
    now += POLICY_PATIENCE
    assert final(denied)
