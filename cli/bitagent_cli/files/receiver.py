"""An archive of others, unpacked: regular files alone, below one folder, with bounds.

What is in it was written by pods that ran miners' files: nothing of it is believed.
"""

from __future__ import annotations

import os
import re
import tarfile
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

MAX_FILES = 50_000
MAX_DEPTH = 8
_PART = re.compile(r"[A-Za-z0-9._-]{1,128}")
_BLOCK = 2**20


class ArchiveRefused(Exception):
    """Raised for an archive that is damaged, too large, or has something else than files of plain names."""


@dataclass(frozen=True)
class Unpacked:
    """What was written."""

    files: int
    bytes: int


def unpack(archive: Path, folder: Path, *, max_bytes: int, max_files: int = MAX_FILES) -> Unpacked:
    """Write the files of a gzipped tar archive below a folder. Raises ArchiveRefused, and OSError.

    No file that exists is overwritten, and no link is followed: the folder was empty before.
    """
    count = total = 0
    try:
        with tarfile.open(archive, mode="r|gz") as content:
            for entry in content:
                target = folder / safe_name(entry)
                count, total = count + 1, total + entry.size
                if count > max_files:
                    raise ArchiveRefused(f"the round has more than {max_files} files")
                if total > max_bytes:
                    raise ArchiveRefused(f"the files have more than {max_bytes} bytes: raise --max-bytes")
                source = content.extractfile(entry)
                if source is None:
                    raise ArchiveRefused(f"{entry.name!r} is not a file")
                target.parent.mkdir(parents=True, exist_ok=True)
                with os.fdopen(
                    os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o644), "wb"
                ) as out:
                    while block := source.read(_BLOCK):
                        out.write(block)
    except (tarfile.TarError, EOFError, OSError) as error:
        if isinstance(error, FileExistsError):
            raise ArchiveRefused(f"a file is in the archive twice, or exists: {error.filename}") from error
        if isinstance(error, OSError) and not isinstance(error, tarfile.ReadError) and error.filename:
            raise
        raise ArchiveRefused(f"the archive is damaged: {error}") from error
    return Unpacked(count, total)


def safe_name(entry: tarfile.TarInfo) -> str:
    """Return the path of an entry below the folder. Raises ArchiveRefused for anything but a file of a plain name."""
    path = PurePosixPath(entry.name)
    plain = all(_PART.fullmatch(part) and part not in (".", "..") for part in path.parts)
    if not entry.isreg() or path.is_absolute() or not path.parts or len(path.parts) > MAX_DEPTH or not plain:
        raise ArchiveRefused(f"the archive has {entry.name!r}, which is not a regular file of a plain name")
    return str(path)
