"""`bitagent-eval leaderboard verify`: whatever was changed or signed by another is refused."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from bittensor.sp_core import Keypair

from bitagent_crds.jobs import EXIT_INFRASTRUCTURE, EXIT_OK, EXIT_USAGE
from bitagent_crds.leaderboard import Leaderboard, LeaderboardRow, Signature, SignedLeaderboard, signed_text
from bitagent_evaluator.cli.leaderboard import EXIT_NOT_VERIFIED, main

KEY, OTHER = Keypair.create_from_uri("//Test"), Keypair.create_from_uri("//Other")
BOARD = Leaderboard(
    round="val-fc-7",
    round_uid="u",
    validator="val",
    competition="fc",
    epoch=7,
    seed="s",
    task_set_digest=None,
    tasks=10,
    evaluator_image="evaluator:1",
    scorer="Bfcl",
    started_at=None,
    finished_at="2026-01-01T00:01:40Z",
    rows=[
        LeaderboardRow(rank=1, model="a", hotkey=None, repo=None, commit=None, weights_digest=None, score="0.900000")
    ],
)


def signature(key: Any = KEY, text: bytes = signed_text(BOARD.digest), hotkey: str = "") -> Signature:
    return Signature(hotkey=hotkey or key.ss58_address, signature="0x" + bytes(key.sign(text)).hex())


@pytest.fixture
def verify(tmp_path: Path) -> Callable[..., int]:
    path = tmp_path / "leaderboard.json"

    def run(signed: SignedLeaderboard, *options: str, change: Callable[[Any], None] = lambda plain: None) -> int:
        plain = json.loads(signed.content())
        change(plain)
        path.write_text(json.dumps(plain))
        return main(["verify", str(path), *options])

    return run


GOOD = SignedLeaderboard(leaderboard=BOARD, digest=BOARD.digest, signature=signature())


@pytest.mark.parametrize("options", [(), ("--hotkey", KEY.ss58_address)], ids=["anyone", "named"])
def test_a_signed_leaderboard_is_verified(
    verify: Callable[..., int], options: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    assert verify(GOOD, *options) == EXIT_OK
    out = " ".join(capsys.readouterr().out.split())
    assert "best a 0.900000" in out
    assert KEY.ss58_address in out


def _other_score(plain: Any) -> None:
    plain["leaderboard"]["rows"][0]["score"] = "1.000000"


CHANGES: dict[str, Callable[[Any], None]] = {
    "another score": _other_score,
    "a field that no version has": lambda plain: plain["leaderboard"].update(winner="b"),
    "a field of a row": lambda plain: plain["leaderboard"]["rows"][0].update(final_score="1.000000"),
    "a field less": lambda plain: plain["leaderboard"]["rows"][0].pop("loss"),
    "another digest": lambda plain: plain.update(digest="sha256:" + "0" * 64),
    "no signature": lambda plain: plain.update(signature=None),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_what_was_changed_is_refused(verify: Callable[..., int], change: Callable[[Any], None]) -> None:
    assert verify(GOOD, change=change) == EXIT_NOT_VERIFIED


SIGNATURES = {
    "of another key": signature(OTHER, hotkey=KEY.ss58_address),
    "of another text": signature(text=BOARD.digest.encode()),
    "of another leaderboard": signature(text=signed_text("sha256:" + "0" * 64)),
}


@pytest.mark.parametrize("made", SIGNATURES.values(), ids=SIGNATURES)
def test_a_signature_that_does_not_hold_is_refused(verify: Callable[..., int], made: Signature) -> None:
    signed = SignedLeaderboard(leaderboard=BOARD, digest=BOARD.digest, signature=made)
    assert verify(signed) == EXIT_NOT_VERIFIED


def test_a_signature_of_someone_else_is_refused_where_one_is_named(verify: Callable[..., int]) -> None:
    signed = SignedLeaderboard(leaderboard=BOARD, digest=BOARD.digest, signature=signature(OTHER))
    assert verify(signed, "--hotkey", KEY.ss58_address) == EXIT_NOT_VERIFIED


def test_without_a_library_nothing_is_claimed(verify: Callable[..., int], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "bittensor.sp_core", None)
    assert verify(GOOD) == EXIT_INFRASTRUCTURE


@pytest.mark.parametrize("content", ["", "{}", "[]", '{"leaderboard": 1}'])
def test_other_files_are_no_leaderboard(tmp_path: Path, content: str) -> None:
    path = tmp_path / "x"
    path.write_text(content)
    assert main(["verify", str(path)]) == EXIT_USAGE
    assert main(["verify", str(tmp_path / "missing")]) == EXIT_USAGE
