"""Who owns the score of equal weights."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.unit.operator.conftest import Make, Plan


def test_the_earliest_commit_owns(make: Make, plan: Plan) -> None:
    models = [
        make.model("a", fetched=True, commit_block=20),
        make.model("b", fetched=True, commit_block=10),
        make.model("c", fetched=True),
    ]
    found = plan(make.started("a", "b", "c"), models)
    assert [e.model.meta.name for e in found.evaluate] == ["b"]
    assert {r.model: r.duplicate_of for r in found.status.results} == {"a": "b", "b": None, "c": "b"}
    assert found.states["a"] == ("Duplicate", "DuplicateWeights")


@pytest.mark.parametrize(
    ("created", "owner"), [pytest.param((5, 1), "b", id="older object"), pytest.param((1, 1), "a", id="name")]
)
def test_ties(make: Make, plan: Plan, created: tuple[int, int], owner: str) -> None:
    models = [make.model(n, fetched=True, created=c) for n, c in zip("ab", created, strict=True)]
    found = plan(make.started("a", "b"), models)
    assert [e.model.meta.name for e in found.evaluate] == [owner]


def test_a_late_first_takes_over_the_score(make: Make, plan: Plan) -> None:
    digest = make.digest("1")
    done = {
        "state": "Succeeded",
        "reason": "Evaluated",
        "score": "0.500000",
        "weightsDigest": digest,
        "attempts": 1,
    }
    observed = make.started("copy", "first", "z", results={"copy": done | {"commit": "b" * 40}})
    models = [make.model("copy", fetched=True, commit_block=9), make.model("first", fetched=True, commit_block=1)]
    found = plan(observed, [*models, make.model("z")])
    assert found.states["copy"] == ("Duplicate", "DuplicateWeights")
    assert (found.results["first"].score, found.results["first"].attempts) == ("0.500000", 1)
    assert found.results["copy"].score is None
    assert found.evaluate == ()


def test_a_duplicate_inherits_when_the_owner_is_deleted(make: Make, plan: Plan) -> None:
    digest = make.digest("1")
    entries = {
        "a": {"state": "Running", "weightsDigest": digest, "commit": "a" * 40},
        "b": {"state": "Duplicate", "weightsDigest": digest, "commit": "a" * 40, "duplicateOf": "a"},
    }
    job = make.evaluation(make.key("1"), active=1)
    found = plan(make.started("a", "b", results=entries), [make.model("b", fetched=True)], jobs=[job], gone=["a"])
    assert found.states == {"a": ("Rejected", "ModelDeleted"), "b": ("Running", "Evaluating")}
    assert found.results["b"].duplicate_of is None
    assert found.delete == ()


def test_an_owner_that_is_deleted_after_its_evaluation_keeps_the_score(make: Make, plan: Plan) -> None:
    """Even against a copy that claims the first block of all, which then was not there when it counted."""
    digest = make.digest("1")
    entries = {
        "first": {"state": "Succeeded", "score": "0.500000", "weightsDigest": digest, "commit": "a" * 40},
        "copy": {"state": "Duplicate", "weightsDigest": digest, "commit": "a" * 40, "duplicateOf": "first"},
    }
    models = [make.model("copy", fetched=True, commit_block=0)]
    found = plan(make.started("copy", "first", results=entries), models, gone=["first"])
    assert (found.results["first"].score, found.results["copy"].score) == ("0.500000", None)


def test_a_duplicate_is_dated_once(make: Make, plan: Plan) -> None:
    """Or each pass would write the status anew."""
    models = [make.model(n, fetched=True) for n in ("a", "b")]
    digest = make.digest("1")
    known = {
        "state": "Duplicate",
        "weightsDigest": digest,
        "duplicateOf": "a",
        "finishedAt": "2026-01-01T00:00:07Z",
    }
    assert plan(make.started("a", "b"), models).results["b"].finished_at == make.at(100)
    assert plan(make.started("a", "b", results={"b": known}), models).results["b"].finished_at == make.at(7)


def test_a_duplicate_that_is_deleted_stays_one(make: Make, plan: Plan) -> None:
    """Though a deleted owner keeps its result, deleting a copy must not make it the owner."""
    digest = make.digest("1")
    entries = {
        "copy": {"state": "Duplicate", "weightsDigest": digest, "commit": "a" * 40, "duplicateOf": "first"},
        "first": {"state": "Succeeded", "score": "0.500000", "weightsDigest": digest, "commit": "a" * 40},
    }
    observed, models = make.started("copy", "first", results=entries), [make.model("first", fetched=True)]
    assert plan(observed, models).questions.models == {"copy"}
    found = plan(observed, models, gone=["copy"])
    assert (found.results["copy"].state, found.results["copy"].score) == ("Duplicate", None)
    assert (found.results["first"].state, found.results["first"].score) == ("Succeeded", "0.500000")
