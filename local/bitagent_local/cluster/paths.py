"""Where things lie: the cache outlives a cluster, the state does not."""

from __future__ import annotations

import os
from pathlib import Path

SOURCES = Path(__file__).resolve().parents[2]
"""The folder `local/` of this checkout."""


def cache_root() -> Path:
    """Return the folder for what is costly to make again and the same every time: binaries, image layers, builds.

    It is `$BITAGENT_CACHE`, or `~/.cache/bitagent`.
    """
    return Path(os.environ.get("BITAGENT_CACHE") or Path.home() / ".cache" / "bitagent").absolute()


def state_root() -> Path:
    """Return the folder of the running node (keys, data, logs, volumes); tearing the node down removes it.

    It is `$BITAGENT_STATE`, or `/var/lib/bitagent-local`.
    """
    return Path(os.environ.get("BITAGENT_STATE") or "/var/lib/bitagent-local").absolute()
