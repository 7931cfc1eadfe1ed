"""Names of models for titles, columns and links: short, different from each other, and without folders. Pure.

A page may be published, so the folder of a local model, or of its results, is not in it.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path, PurePath

from bitagent_crds.results import ResultsManifest

_FOLDERS = re.compile(r"(?<![\w:/.~-])(?:~|\.{1,2})?/(?:[^\s/'\":,;()]+/)+(?=[^\s/'\":,;()])")
"""The folders of a path with two parts or more, up to its last part."""


def is_local(manifest: ResultsManifest) -> bool:
    """Return whether the results are about a directory, and not about a commit of a hub or a name at an endpoint."""
    return manifest.commit is None and manifest.weights_digest is not None


def model_name(manifest: ResultsManifest, directory: Path) -> str:
    """Return the name of the model whose results are in `directory`: repository and commit, or the last folder."""
    if manifest.commit is not None:
        return f"{manifest.repo}@{manifest.commit[:8]}"
    if not is_local(manifest):
        return manifest.repo
    name = PurePath(manifest.repo).name
    return name if name.strip(".") else directory.resolve().name


def distinct(names: Sequence[str], directories: Sequence[Path]) -> list[str]:
    """Return the names; those that several models have are followed by the name of the results directory.

    Where that does not tell them apart either, by their number.
    """
    counts = Counter(names)
    longer = [
        f"{name} ({directory.resolve().name})" if counts[name] > 1 else name
        for name, directory in zip(names, directories, strict=True)
    ]
    again, seen = Counter(longer), Counter[str]()
    named = []
    for name in longer:
        seen[name] += 1
        named.append(f"{name} #{seen[name]}" if again[name] > 1 else name)
    return named


def without_folders(text: str) -> str:
    """Return a message with the last part alone of each path in it."""
    return _FOLDERS.sub("", text)
