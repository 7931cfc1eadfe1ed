"""SHA256SUMS of everything in a folder."""

from __future__ import annotations

import hashlib
from pathlib import Path

NAME = "SHA256SUMS"


def write_sums(folder: Path) -> Path:
    """Write the digests of all files below a folder, in the order of their paths, as `sha256sum -c` reads them."""
    files = sorted(path for path in folder.rglob("*") if path.is_file() and path.name != NAME)
    lines = []
    for path in files:
        with path.open("rb") as content:
            lines.append(
                f"{hashlib.file_digest(content, 'sha256').hexdigest()}  {path.relative_to(folder).as_posix()}\n"
            )
    target = folder / NAME
    target.write_text("".join(lines))
    return target
