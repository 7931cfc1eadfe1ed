"""The environment of the old wire's reference: made once, in the cache folder, from pinned versions.

It takes 4 s of a processor, and 10 s with an empty cache of packages (250 MB).
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import subprocess
from pathlib import Path

ROOT = Path(__file__).parents[3]
PINNED = Path(__file__).with_suffix(".txt")
PEER = Path(__file__).with_name("reference_peer.py")


def ensure_reference() -> Path:
    """Return the interpreter of the environment, and make it first if the cache has none of these versions."""
    digest = hashlib.sha256(PINNED.read_bytes()).hexdigest()[:12]
    cache = Path(os.environ.get("BITAGENT_CACHE", Path.home() / ".cache/bitagent"))
    folder, ready = cache / f"reference-wire-{digest}", cache / f"reference-wire-{digest}/ready"
    interpreter = folder / "bin/python"
    cache.mkdir(parents=True, exist_ok=True)
    # Runs of several checkouts share the cache.
    with folder.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not ready.exists():
            _make(folder, interpreter)
            ready.touch()
    return interpreter


def _make(folder: Path, interpreter: Path) -> None:
    uv = subprocess.run([ROOT / "scripts/uv.sh"], check=True, capture_output=True, text=True).stdout.strip()
    subprocess.run([uv, "venv", "--clear", "--quiet", "--python", "3.11", folder], check=True)
    # Two of its requirements have no wheels.
    options = ["--quiet", "--no-deps", "--only-binary=:all:", "--no-binary=retry,py"]
    subprocess.run([uv, "pip", "install", *options, "--python", interpreter, "-r", PINNED], check=True)
