"""The files of a round on the artifact volume.

Evaluation pods wrote them while they ran submitted models. A link among them could point at the archive pod's own
files, its credentials included, so that no link is followed, in any part of a path.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

FOLDERS = ("tasks", "results")
"""Folders of a round; others would collide with what the archive adds."""
_NAME = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]*")
"""Names that need no escape in an object's key; those with a dot in front are files that were not finished."""


@dataclass(frozen=True)
class Listing:
    """What a round's folder holds, as relative paths, sorted."""

    files: tuple[str, ...]
    left_out: tuple[str, ...]
    """Links, devices, and what has a name that could mean something else in a key."""

    def lacks(self, expected: Iterable[str]) -> list[str]:
        """Return those of these paths that are not there, as a file or a folder with any content."""
        known = {parent for path in (*self.files, *self.left_out) for parent in _with_parents(path)}
        return [path for path in expected if path not in known]

    def evaluations(self) -> list[str]:
        """Return the keys of the evaluations that are plain files throughout."""
        keys = {path.split("/")[1] for path in self.files if path.startswith("results/") and path.count("/") > 1}
        return sorted(key for key in keys if not any(path.startswith(f"results/{key}/") for path in self.left_out))


def _with_parents(path: str) -> Iterator[str]:
    parts = path.split("/")
    return ("/".join(parts[:end]) for end in range(1, len(parts) + 1))


def list_files(root: Path) -> Listing:
    """List a round's folder. Raises OSError if a part of it cannot be read."""
    files, left_out = [], []

    def fail(error: OSError) -> None:
        raise error

    for folder, folders, names, descriptor in os.fwalk(root, follow_symlinks=False, onerror=fail):
        relative = Path(folder).relative_to(root)
        for name in [*folders, *names]:
            path = (relative / name).as_posix()
            mode = os.stat(name, dir_fd=descriptor, follow_symlinks=False).st_mode
            known = _NAME.fullmatch(name) is not None and path.split("/")[0] in FOLDERS
            if known and stat.S_ISREG(mode):
                files.append(path)
            elif not known or not stat.S_ISDIR(mode):
                left_out.append(path)
        folders[:] = [name for name in folders if (relative / name).as_posix() not in left_out]
    return Listing(tuple(sorted(files)), tuple(sorted(left_out)))


def open_file(root: Path, path: str) -> BinaryIO:
    """Open a file of the folder to read it. Raises OSError if any part of its path is a link by now."""
    folder = os.open(root, os.O_RDONLY | os.O_DIRECTORY)
    *parents, name = path.split("/")
    try:
        for parent in parents:
            inner = os.open(parent, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=folder)
            os.close(folder)
            folder = inner
        return os.fdopen(os.open(name, os.O_RDONLY | os.O_NOFOLLOW, dir_fd=folder), "rb")
    finally:
        os.close(folder)
