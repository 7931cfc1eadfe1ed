"""All documents as files, in a folder that any web server, bucket or Space can publish below any path.

The new folder is complete before it takes the place of the old one, in one step: a reader of the folder never sees half
of an export, and an export that is stopped leaves the old one.
"""

from __future__ import annotations

import ctypes
import errno
import os
import secrets
import shutil
from collections.abc import Iterable
from pathlib import Path

from bitagent_leaderboard.site.several import Documents

MARK = ".bitagent-leaderboard"
"""File by which a folder is known as an export."""
_EXCHANGE = 2
_AT_FDCWD = -100


class ExportError(Exception):
    """Raised if the folder cannot be written."""


def export(site: Documents, folder: Path) -> int:
    """Write all documents; return their number. Raises ExportError.

    A folder that is there is replaced if it is an export or empty.
    """
    folder = folder.absolute()
    if folder.is_symlink() or (folder.exists() and not _replaceable(folder)):
        raise ExportError(f"{folder} is there, and is not an export of this program: name another folder, or remove it")
    if folder.exists() and os.path.ismount(folder):
        raise ExportError(f"{folder} is a mount point, which cannot be replaced in one step: name a folder inside it")
    fresh = folder.with_name(f".{folder.name}.{secrets.token_hex(4)}")
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        count = _write(site, fresh)
        _put_in_place(fresh, folder)
    except OSError as error:
        raise ExportError(f"{error.filename or folder}: {error.strerror or error}") from error
    finally:
        shutil.rmtree(fresh, ignore_errors=True)
    return count


def _replaceable(folder: Path) -> bool:
    return folder.is_dir() and ((folder / MARK).is_file() or not any(folder.iterdir()))


def _write(site: Documents, folder: Path) -> int:
    documents = {path: source.render() for path in site.paths() if (source := site.find(path)) is not None}
    folder.mkdir()
    _write_files(folder, documents.items())
    (folder / "404.html").write_text(site.missing("404.html"), encoding="utf-8")
    (folder / ".nojekyll").touch()  # GitHub Pages leaves nothing out then
    (folder / MARK).write_text("written by bitagent-leaderboard export\n")
    return len(documents)


def _write_files(folder: Path, documents: Iterable[tuple[str, str | bytes]]) -> None:
    for path, content in documents:
        file = folder / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content.encode() if isinstance(content, str) else content)


def _put_in_place(fresh: Path, folder: Path) -> None:
    """Give `fresh` the name of `folder`; afterwards the old one, if there was any, has the name of `fresh`."""
    if not folder.exists():
        fresh.rename(folder)
        return
    libc = ctypes.CDLL(None, use_errno=True)
    done = libc.renameat2(_AT_FDCWD, os.fsencode(fresh), _AT_FDCWD, os.fsencode(folder), _EXCHANGE)
    if done == 0:
        return
    code = ctypes.get_errno()
    if code not in (errno.EINVAL, errno.ENOSYS, errno.ENOTSUP):
        raise OSError(code, os.strerror(code), str(folder))
    old = folder.with_name(f"{fresh.name}.old")  # a file system without an exchange: the folder is gone for a moment
    folder.rename(old)
    fresh.rename(folder)
    shutil.rmtree(old, ignore_errors=True)
