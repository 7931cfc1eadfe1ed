"""Manifests of results from the artifact volume, or a copy of it, mounted read-only.

The volume also holds tasks, answers and verdicts, and evaluation pods wrote all of it. So nothing is read but
`rounds/<uid>/results/<key>/manifest.json`, by names of a fixed form, without following a link, and up to a size; the
content counts only if its digest is that of the round's status.
"""

from __future__ import annotations

import logging
import os
import re
import stat
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from bitagent_leaderboard.model.board import Board
from bitagent_leaderboard.model.measured import LONGEST, ManifestError, Measured, measured
from bitagent_leaderboard.model.objects import Round

ROUNDS = 10
"""Newest complete rounds of each competition whose manifests are read."""
_UID = re.compile(r"[0-9a-f]{8}-([0-9a-f]{4}-){3}[0-9a-f]{12}")
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC

log = logging.getLogger(__name__)


def due(board: Board, known: Mapping[str, int]) -> list[Round]:
    """Return the rounds whose manifests are to be read, the newest of each competition first.

    `known` has the version of each round, by uid, at which that was done.
    """
    newest = [each for competition in board.competitions for each in _complete(competition.rounds)[:ROUNDS]]
    return sorted((each for each in newest if known.get(each.uid) != each.version), key=lambda each: each.at)[::-1]


def _complete(rounds: tuple[Round, ...]) -> list[Round]:
    return [each for each in rounds if each.complete]


def read_round(folder: Path, round_: Round) -> tuple[dict[str, Measured], dict[str, int]]:
    """Return the manifests of a round by key, and the number of results by outcome: read, missing, refused."""
    found: dict[str, Measured] = {}
    counts = {"read": 0, "missing": 0, "refused": 0}
    for result in round_.results:
        if result.key is None or result.digest is None or result.key in found:
            continue
        try:
            content = _content(folder, round_.uid, result.key)
            found[result.key] = measured(content, digest=result.digest)
            counts["read"] += 1
        except FileNotFoundError:
            counts["missing"] += 1
        except (OSError, ManifestError) as error:
            counts["refused"] += 1
            log.warning("manifest %s of round %s is not used: %s", result.key, round_.name, error)
    return found, counts


def _content(folder: Path, uid: str, key: str) -> bytes:
    """Return the content of a manifest. Raises OSError, and ManifestError for what is not a plain file in bounds."""
    if not _UID.fullmatch(uid):
        raise ManifestError("the round's uid is not one")
    with _opened(folder, "rounds", uid, "results", key) as parent:
        descriptor = os.open("manifest.json", _FILE, dir_fd=parent)
    with open(descriptor, "rb") as file:
        kind = os.fstat(descriptor)
        if not stat.S_ISREG(kind.st_mode) or kind.st_size > LONGEST:
            raise ManifestError(f"it is not a plain file of at most {LONGEST} bytes")
        return file.read(LONGEST + 1)


@contextmanager
def _opened(folder: Path, *names: str) -> Iterator[int]:
    """Open a folder below another one, without following a link on the way."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        for name in names:
            below = os.open(name, _FOLDER, dir_fd=descriptor)
            os.close(descriptor)
            descriptor = below
        yield descriptor
    finally:
        os.close(descriptor)
