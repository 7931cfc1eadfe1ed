"""Leaderboards: signed, created once for each complete round, and never in the way of anything else."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from bittensor.sp_core import Keypair, serialized_keypair_to_keyfile_data

from bitagent_crds.leaderboard import SignedLeaderboard, signed_text
from bitagent_kube.errors import ApiError
from bitagent_validator.competitions.leaderboards import LeaderboardPublisher
from bitagent_validator.objects import Round, parse_round

KEY = Keypair.create_from_uri("//Test")
RESULTS = [
    {"model": "b", "state": "Succeeded", "reason": "Evaluated", "score": "0.500000", "rank": 2},
    {"model": "a", "state": "Succeeded", "reason": "Evaluated", "score": "0.900000", "rank": 1},
]


class Server:
    """ConfigMaps by name."""

    namespace = "ns"

    def __init__(self) -> None:
        self.objects: dict[str, dict[str, Any]] = {}
        self.calls = 0
        self.refusal: ApiError | None = None

    async def create(self, body: dict[str, Any]) -> dict[str, Any]:
        self.calls += 1
        if self.refusal is not None:
            raise self.refusal
        name = body["metadata"]["name"]
        if name in self.objects:
            raise ApiError(code=409, reason="AlreadyExists", message="exists")
        self.objects[name] = body
        return body


@pytest.fixture
def hotkey(tmp_path: Path) -> Path:
    path = tmp_path / "hotkey"
    path.write_bytes(bytes(serialized_keypair_to_keyfile_data(KEY)))
    return path


def publisher(server: Server, hotkey: Path) -> LeaderboardPublisher:
    return LeaderboardPublisher(server, hotkey_file=hotkey, validator="val")  # type: ignore[arg-type]


@pytest.fixture
def complete(eval_round: Callable[..., Any]) -> Round:
    raw = eval_round(RESULTS, Complete="True")
    raw["status"]["finishedAt"] = "2026-01-01T00:01:40Z"
    return parse_round(raw)


async def test_a_complete_round_has_a_signed_leaderboard(hotkey: Path, complete: Round) -> None:
    server = Server()
    await publisher(server, hotkey).publish([complete])
    made = server.objects["val-fc-7-leaderboard"]
    signed = SignedLeaderboard.model_validate_json(made["data"]["leaderboard.json"])
    assert [row.model for row in signed.leaderboard.rows] == ["a", "b"]
    assert signed.digest == signed.leaderboard.digest
    assert signed.signature is not None
    assert signed.signature.hotkey == KEY.ss58_address
    assert KEY.verify(signed_text(signed.digest), bytes.fromhex(signed.signature.signature[2:]))
    assert made["immutable"] is True
    assert [owner["uid"] for owner in made["metadata"]["ownerReferences"]] == ["u"]
    assert made["metadata"]["labels"]["bitagent.io/round"] == "val-fc-7"


async def test_it_is_created_once_also_after_a_restart(hotkey: Path, complete: Round) -> None:
    server = Server()
    first = publisher(server, hotkey)
    await first.publish([complete])
    await first.publish([complete])
    assert server.calls == 1
    made = dict(server.objects)
    second = publisher(server, hotkey)
    await second.publish([complete])
    await second.publish([complete])
    assert (server.calls, server.objects) == (2, made)


@pytest.mark.parametrize("conditions", [{}, {"Failed": "True"}, {"Failed": "True", "Complete": "True"}], ids=str)
async def test_other_rounds_have_none(hotkey: Path, eval_round: Callable[..., Any], conditions: dict[str, str]) -> None:
    server = Server()
    await publisher(server, hotkey).publish([parse_round(eval_round(RESULTS, **conditions))])
    assert server.calls == 0


async def test_a_refusal_is_tried_again(hotkey: Path, complete: Round) -> None:
    server = Server()
    server.refusal = ApiError(code=403, reason="Forbidden", message="no")
    made = publisher(server, hotkey)
    await made.publish([complete])
    server.refusal = None
    await made.publish([complete])
    assert list(server.objects) == ["val-fc-7-leaderboard"]


async def test_a_hotkey_that_cannot_be_read_is_no_obstacle(tmp_path: Path, complete: Round) -> None:
    server = Server()
    await publisher(server, tmp_path / "missing").publish([complete])
    assert server.calls == 0
