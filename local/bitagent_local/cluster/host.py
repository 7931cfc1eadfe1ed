"""The machine that the local cluster runs on: its folders, locks between processes, and the error for what fails."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

SOURCES = Path(__file__).resolve().parents[2]
"""The folder `local/` of this checkout."""


class ClusterError(Exception):
    """Something of the local world could not be done; the message says what, why, and what to do about it."""


def cache_root() -> Path:
    """Return the folder for what is expensive to make and the same every time: binaries, image layers, builds.

    It is `$BITAGENT_CACHE`, or `~/.cache/bitagent`, and outlives a cluster.
    """
    return Path(os.environ.get("BITAGENT_CACHE") or Path.home() / ".cache" / "bitagent").absolute()


DEFAULT_NODE = "bitagent"


def node_name() -> str:
    """Return the name of this process's node: `$BITAGENT_NODE`, or `bitagent`, which is the demo's."""
    return os.environ.get("BITAGENT_NODE") or DEFAULT_NODE


def state_root() -> Path:
    """Return the folder of the running node (keys, data, logs, volumes); tearing the node down removes it.

    It is `$BITAGENT_STATE`, or `/var/lib/NAME-local`.
    """
    return Path(os.environ.get("BITAGENT_STATE") or f"/var/lib/{node_name()}-local").absolute()


@contextmanager
def exclusive(path: Path) -> Iterator[None]:
    """Hold the lock of this file, waiting if another process has it. The kernel drops it when the holder dies."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
