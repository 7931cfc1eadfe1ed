"""Leaderboards of complete rounds: signed with the hotkey, and published as ConfigMaps that anyone may read.

A ConfigMap is created once and never changed: `<round>-leaderboard`, deleted with its round.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable
from http import HTTPStatus
from pathlib import Path

from bitagent_crds.leaderboard import LEADERBOARD_NAME, Leaderboard, Signature, SignedLeaderboard, signed_text
from bitagent_crds.names import (
    COMPETITION_LABEL,
    MANAGED_BY_LABEL,
    ROUND_LABEL,
    VALIDATOR_LABEL,
    leaderboard_config_map,
)
from bitagent_crds.schema import API_VERSION
from bitagent_kube.client import Client
from bitagent_kube.errors import ApiError
from bitagent_kube.objects import Obj
from bitagent_validator.competitions.rounds import MANAGER
from bitagent_validator.objects import Round
from bitagent_validator.wallet import signed_by
from bitagent_wire.hotkey_file import HotkeyFileError

log = logging.getLogger(__name__)


class LeaderboardPublisher:
    """Publisher of one Validator's leaderboards."""

    def __init__(self, client: Client, *, hotkey_file: Path, validator: str) -> None:
        self._client = client
        self._hotkey_file = hotkey_file
        self._validator = validator
        self._published: set[str] = set()
        """uids of the rounds whose leaderboard exists."""

    async def publish(self, rounds: Iterable[Round]) -> None:
        """Publish the leaderboards of complete rounds that have none yet. A failure is logged and tried again later."""
        for round_ in rounds:
            board = round_.leaderboard
            if board is None or round_.uid in self._published:
                continue
            try:
                await self._client.create(self._config_map(round_, board))
            except ApiError as error:
                if error.code != HTTPStatus.CONFLICT:
                    log.warning("the leaderboard of %s is not published: %s", round_.name, error)
                    continue
            except HotkeyFileError as error:
                log.warning("the leaderboard of %s is not signed: %s", round_.name, error)
                continue
            self._published.add(round_.uid)

    def _config_map(self, round_: Round, board: Leaderboard) -> Obj:
        hotkey, signature = signed_by(self._hotkey_file, signed_text(board.digest))
        made = Signature(hotkey=hotkey, signature=f"0x{signature.hex()}")
        content = SignedLeaderboard(leaderboard=board, digest=board.digest, signature=made).content()
        owner = {"apiVersion": API_VERSION, "kind": "EvalRound", "name": round_.name, "uid": round_.uid}
        return {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {
                "name": leaderboard_config_map(round_.name),
                "namespace": self._client.namespace,
                "labels": {
                    MANAGED_BY_LABEL: MANAGER,
                    VALIDATOR_LABEL: self._validator,
                    COMPETITION_LABEL: round_.competition,
                    ROUND_LABEL: round_.name,
                },
                "ownerReferences": [owner],
            },
            "immutable": True,
            "data": {LEADERBOARD_NAME: content.decode()},
        }
