"""The public leaderboard: sorted, canonical, and of ranked models alone."""

from __future__ import annotations

import json
from typing import Any

import pytest

from bitagent_crds.evalround import EvalRoundSpec, EvalRoundStatus
from bitagent_crds.leaderboard import Leaderboard, SignedLeaderboard, leaderboard_of, signed_text
from bitagent_crds.seeds import SeedFrom, secret_digest
from bitagent_crds.texts import digest_of

HOTKEY = "5CnxbRk7DKntFz5E8za9NxFmP253fShWWBj3xf5C8L5TnaMF"
LABELS = {"bitagent.io/validator": "val", "bitagent.io/competition": "fc", "bitagent.io/epoch": "7"}
TASKS = {"sources": [{"bfcl": {"categories": ["multiple"]}}], "count": 10}
DIGEST = "sha256:" + "7" * 64


def result(model: str, rank: int | None, score: str | None, **more: Any) -> dict[str, Any]:
    state = "Rejected" if rank is None else "Succeeded"
    made = {"model": model, "rank": rank, "score": score, "state": state, "reason": "Evaluated"} | more
    return {name: value for name, value in made.items() if value is not None}


def board(*results: dict[str, Any], labels: dict[str, str] | None = None, **tasks: Any) -> Leaderboard:
    spec = {"models": {"matchLabels": {}}, "tasks": TASKS | (tasks or {"seed": "s"})}
    status = {"results": list(results), "finishedAt": "2026-01-01T00:01:40Z", "startedAt": "2026-01-01T00:00:00Z"}
    status |= {"taskSet": {"digest": DIGEST, "count": 10, "uri": "pvc://x"}, "image": "evaluator:1"}
    return leaderboard_of(
        name="val-fc-7",
        uid="u",
        labels=LABELS if labels is None else labels,
        spec=EvalRoundSpec.model_validate(spec),
        status=EvalRoundStatus.model_validate(status),
    )


def test_rows_are_sorted_and_only_ranked_models_have_one() -> None:
    made = board(
        result("c", 3, "0.100000"), result("b", 1, "0.900000"), result("a", 1, "0.900000"), result("x", None, None)
    )
    assert [(row.rank, row.model) for row in made.rows] == [(1, "a"), (1, "b"), (3, "c")]


def test_what_it_names() -> None:
    (row,) = board(result("a", 1, "0.900000", hotkey=HOTKEY, repo="o/a", commit="c" * 40, resultDigest=DIGEST)).rows
    assert (row.hotkey, row.repo, row.commit, row.score, row.result_digest) == (
        HOTKEY, "o/a", "c" * 40, "0.900000", DIGEST,
    )  # fmt: skip
    made = board()
    assert (made.validator, made.competition, made.epoch, made.seed) == ("val", "fc", 7, "s")
    assert (made.task_set_digest, made.tasks, made.evaluator_image) == (DIGEST, 10, "evaluator:1")
    assert (made.started_at, made.finished_at) == ("2026-01-01T00:00:00Z", "2026-01-01T00:01:40Z")


def test_a_round_of_a_person() -> None:
    made = board(labels={})
    assert (made.validator, made.competition, made.epoch) == (None, None, None)


def test_the_seed_of_a_block() -> None:
    secret = "5" * 64
    written = {"block": 7, "secretDigest": secret_digest(secret)}
    assert board(seedFrom=written).seed is None
    known = written | {"blockHash": "0x" + "b" * 64, "secret": secret}
    assert board(seedFrom=known).seed == SeedFrom.model_validate(known).seed()


def test_equal_rounds_have_equal_digests() -> None:
    a, b = result("a", 1, "0.900000"), result("b", 2, "0.100000")
    assert board(a, b).digest == board(b, a).digest
    assert board(a).digest != board(a, b).digest
    assert board(a).digest == digest_of(board(a).content())


def test_the_file_can_be_read_again() -> None:
    made = SignedLeaderboard(leaderboard=board(result("a", 1, "0.900000")), digest=board().digest)
    again = SignedLeaderboard.model_validate_json(made.content())
    assert again == made
    plain = json.loads(made.content())["leaderboard"]
    assert json.dumps(plain, sort_keys=True, separators=(",", ":")).encode() == made.leaderboard.content()


def test_the_signed_text_has_a_purpose() -> None:
    assert signed_text(DIGEST) == b"bitagent leaderboard 1\n" + DIGEST.encode()


def test_a_round_that_has_not_finished_is_refused() -> None:
    with pytest.raises(ValueError, match="has not finished"):
        leaderboard_of(
            name="r",
            uid="u",
            labels={},
            spec=EvalRoundSpec.model_validate({"models": {"matchLabels": {}}, "tasks": TASKS | {"seed": "s"}}),
            status=EvalRoundStatus(),
        )
