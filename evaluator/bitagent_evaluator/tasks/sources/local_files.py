"""Local files of rows: one, or those of a folder as one source with one digest.

A folder's files are read in the order of their paths. Its digest is the SHA-256 of the lines that `sha256sum` writes
for them in that order, `DIGEST  PATH`: it is another one if a file is renamed, absent or changed. What a folder holds
has to be clear from its names: files of several splits or formats, or a set without one of its shards, are refused.
"""

from __future__ import annotations

import difflib
import logging
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from bitagent_evaluator.support.files import digest_of_pieces, hex_digits, read_pieces
from bitagent_evaluator.tasks.files import TaskSetError
from bitagent_evaluator.tasks.sources.splits import files_of_folder, is_hidden

_log = logging.getLogger(__name__)

_LISTED = 10_000
"""Largest number of files of a folder that are looked at."""


class LocalFile:
    """A local file."""

    def __init__(self, path: Path, name: str = "") -> None:
        """`name` is the file's in a folder that is read as one. Raises TaskSetError if the file cannot be read."""
        self._path = path
        self.what = str(path)
        self.name = name
        try:
            self.digest = digest_of_pieces(read_pieces(path))
        except (FileNotFoundError, IsADirectoryError, NotADirectoryError, PermissionError) as error:
            raise TaskSetError(f"{path}: {error.strerror}{_what_to_name(path)}") from error

    @property
    def size(self) -> int:
        """Its size in bytes."""
        return self._path.stat().st_size

    def stream(self) -> Iterator[bytes]:
        """Yield its content."""
        return read_pieces(self._path)

    def part(self, start: int, end: int) -> bytes:
        """Return the bytes from `start` up to, not including, `end`."""
        with self._path.open("rb") as file:
            file.seek(start)
            return file.read(end - start)


@dataclass(frozen=True)
class LocalFiles:
    """What a path holds."""

    files: tuple[LocalFile, ...]
    digest: str
    """Of the file, or of the folder's files and their names."""


def local_files(path: Path) -> LocalFiles:
    """Return the file, or the data files of the folder. Raises TaskSetError if they cannot be read."""
    if not path.is_dir():
        file = LocalFile(path)
        return LocalFiles((file,), file.digest)
    try:
        chosen = files_of_folder(_names_in(path))
    except TaskSetError as error:
        raise TaskSetError(f"folder {path}: {error}") from error
    if chosen.doubtful:
        _log.warning("folder %s: are files missing? There is no %s", path, ", ".join(chosen.doubtful))
    files = tuple(LocalFile(path / name, name) for name in chosen.paths)
    if empty := [file.name for file in files if not file.size]:
        _log.warning("folder %s: %d of %d files are empty, such as %s", path, len(empty), len(files), empty[0])
    sums = (f"{hex_digits(file.digest)}  {file.name}\n".encode() for file in files)
    return LocalFiles(files, digest_of_pieces(sums))


def _names_in(folder: Path) -> list[str]:
    """Return the paths of all files below a folder, without hidden ones.

    Raises TaskSetError for a folder in it that is a link, or cannot be read: what is in it would be missing.
    """
    found: list[str] = []
    for parent, folders, names in os.walk(folder, onerror=_refuse):
        folders[:] = [name for name in folders if not is_hidden(name)]
        if linked := next((name for name in sorted(folders) if (Path(parent) / name).is_symlink()), None):
            raise TaskSetError(f"{Path(parent) / linked} is a link to a folder: put the files themselves there")
        found += ((Path(parent) / name).relative_to(folder).as_posix() for name in names if not is_hidden(name))
        if len(found) > _LISTED:
            raise TaskSetError(f"it has more than {_LISTED:,} files: name the folder that has the data alone")
    return found


def _refuse(error: OSError) -> NoReturn:
    raise TaskSetError(f"{error.filename} cannot be read: {error.strerror}") from error


def _what_to_name(path: Path) -> str:
    """Return what to do about a path without a file: a pattern, an address, a mistyped name."""
    if "*" in path.name:
        return ": patterns are not resolved, name a file or a folder"
    if path.parts[0].endswith(":"):
        return ": an address is given as `url` with the file's digest (--url and --digest)"
    near = difflib.get_close_matches(
        path.name, [file.name for file in path.parent.glob("*")][:_LISTED], n=1, cutoff=0.75
    )
    if near:
        return f": did you mean {near[0]}?"
    is_repository = len(path.parts) == 2 and not path.suffix and not path.parent.exists()
    return ": a dataset of the hub is a source of its own (--hub)" if is_repository else ""
