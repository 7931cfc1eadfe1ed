"""Sizes of results in etcd: messages that fit together, and a full round of near copies."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.unit.operator.conftest import Make, Plan


@pytest.mark.parametrize(
    ("character", "stored"),
    [("x", 1), ("é", 2), ("😀", 4), ("<", 6), ("\x01", 1.25), ('"', 2)],
    ids=["ascii", "two bytes", "four bytes", "markup", "control", "quote"],
)
@pytest.mark.parametrize("count", [1, 1024])
def test_messages_fit_together(make: Make, plan: Plan, count: int, character: str, stored: float) -> None:
    """`stored`: bytes of a character of the message in the JSON that the API server stores; Go escapes markup.

    A control character is shown as four, the first of which is a backslash.
    """
    names = [f"m{i:04}" for i in range(count)]
    models = [
        make.model(
            n,
            fetched="BadConfig",
            status={"conditions": [make.condition("Fetched", "False", "BadConfig", message=character * 1000)]},
        )
        for n in names
    ]
    found = plan(make.started(*names), models)
    message = found.status.results[0].message
    if count == 1:
        assert len(message) == 512
    else:
        assert 0.8 * 64 < (len(message) - 1) * stored + len("…".encode()) <= 64
        assert all(r.message == message for r in found.status.results)


@pytest.mark.parametrize(
    ("count", "kept"), [pytest.param(10, True, id="a small round"), pytest.param(1024, False, id="a full round")]
)
def test_a_full_round_of_near_copies_still_fits(make: Make, plan: Plan, count: int, *, kept: bool) -> None:
    """One miner can make all models of a round near copies; integration tests write as much to etcd."""
    names = [f"{'m' * 47}-{i:04}" for i in range(count)]
    frozen = {"modelDigest": make.digest("5"), "engine": {"dtype": "BFloat16", "maxModelLength": 131072}}
    done = {"state": "Succeeded", "reason": "Evaluated", "score": "0.500000", "message": "é" * 32, "node": "n" * 45}
    losses = {
        "loss": "12.345678",
        "batchLosses": ["12.345678"] * 32,
        "hotkey": "5" * 48,
        "resultDigest": frozen["modelDigest"],
    }
    times = {"startedAt": "2026-01-01T00:00:00Z", "finishedAt": "2026-01-01T00:00:00Z"}
    seconds = {"seconds": {"load": "12345.678", "generate": "12345.678", "score": "12345.678"}}
    sketch = {"answerSketch": "A" * 128}
    entries = {
        name: make.admitted(name, weights=f"{i}") | frozen | done | losses | times | seconds | sketch
        for i, name in enumerate(names)
    }
    found = plan(make.started(*names, results=entries), [make.model(n, weights=f"{i}") for i, n in enumerate(names)])
    assert found.status.phase == "Complete"
    assert {(r.node is not None, bool(r.message)) for r in found.status.results} == {(kept, kept)}
    assert {r.score for r in found.status.results} == {"0.500000"}
