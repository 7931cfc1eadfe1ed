"""Write a gzipped tar archive of the regular files below some folders to standard output: `sender.py ROOT PATH...`.

It is run in a pod by `python3 -c`, so it imports the standard library alone. Pods that ran miners' files wrote these
folders: no link is followed, and neither links nor devices nor pipes are sent.
"""

from __future__ import annotations

import gzip
import os
import stat
import sys
import tarfile
from typing import BinaryIO


def send(root: str, paths: list[str], out: BinaryIO) -> None:
    """Write the archive; a path that does not exist is left out."""
    with (
        gzip.GzipFile(fileobj=out, mode="wb", compresslevel=1, mtime=0) as compressed,
        tarfile.open(fileobj=compressed, mode="w|", format=tarfile.PAX_FORMAT) as archive,
    ):
        for path in paths:
            top = os.path.join(root, path)
            if not os.path.isdir(top):
                continue
            for folder, folders, names, handle in os.fwalk(top, follow_symlinks=False):
                folders.sort()
                for name in sorted(names):
                    _add(archive, os.path.relpath(os.path.join(folder, name), root), name, handle)


def _add(archive: tarfile.TarFile, target: str, name: str, folder: int) -> None:
    try:
        file = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=folder)
    except OSError as error:
        sys.stderr.write(f"{target}: {error.strerror}\n")
        return
    with os.fdopen(file, "rb") as content:
        found = os.fstat(content.fileno())
        if stat.S_ISREG(found.st_mode):
            entry = tarfile.TarInfo(target)
            entry.size, entry.mtime = found.st_size, int(found.st_mtime)
            archive.addfile(entry, content)


if __name__ == "__main__":
    send(sys.argv[1], sys.argv[2:], sys.stdout.buffer)
