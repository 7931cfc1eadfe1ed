"""A board with three complete rounds, a failed one and one that runs."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bitagent_leaderboard.model.board import Board
from bitagent_leaderboard.pages.render import Settings
from bitagent_leaderboard.site.documents import Site
from bitagent_leaderboard.source.documents import board_of, with_manifests
from tests import leaderboard_objects as objects


@pytest.fixture(scope="session")
def artifacts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("artifacts")


@pytest.fixture(scope="session")
def demo(artifacts: Path) -> Board:
    return with_manifests(board_of(objects.demo(artifacts)), artifacts)


@pytest.fixture(scope="session")
def text_of() -> Callable[..., str]:
    """The text of one document of a board."""

    def read(board: Board, path: str, **settings: Any) -> str:
        source = Site(board, Settings(**settings)).find(path)
        assert source is not None, path
        content = source.render()
        return content if isinstance(content, str) else content.decode()

    return read
