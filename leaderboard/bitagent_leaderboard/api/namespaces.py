"""The list of namespaces as JSON, on a page of several."""

from __future__ import annotations

from collections.abc import Mapping

from bitagent_leaderboard.api import schemas
from bitagent_leaderboard.model.board import Board
from bitagent_leaderboard.pages.links import namespace_path


def namespaces_document(boards: Mapping[str, Board | None]) -> str:
    """Return the list."""
    return schemas.NamespaceList(
        namespaces=[
            schemas.NamespaceSummary(
                name=name,
                folder=namespace_path(name),
                read=board is not None,
                competitions=len(board.competitions) if board is not None else 0,
                rounds=len(board.rounds) if board is not None else 0,
                models=len(board.models) if board is not None else 0,
            )
            for name, board in boards.items()
        ]
    ).model_dump_json()
