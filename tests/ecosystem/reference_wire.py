"""The environment of the old wire's reference: made once, in the cache folder, from pinned versions."""

from __future__ import annotations

import hashlib
import os
import subprocess
from pathlib import Path

ROOT = Path(__file__).parents[2]
PINNED = Path(__file__).with_suffix(".txt")
PEER = Path(__file__).with_name("reference_wire_peer.py")


def ensure_reference() -> Path:
    """Return the interpreter of the environment, and make it first if the cache has none of these versions."""
    digest = hashlib.sha256(PINNED.read_bytes()).hexdigest()[:12]
    cache = Path(os.environ.get("BITAGENT_CACHE", Path.home() / ".cache/bitagent"))
    folder, ready = cache / f"reference-wire-{digest}", cache / f"reference-wire-{digest}/ready"
    interpreter = folder / "bin/python"
    if not ready.exists():
        uv = subprocess.run([ROOT / "scripts/uv.sh"], check=True, capture_output=True, text=True).stdout.strip()
        subprocess.run([uv, "venv", "--clear", "--quiet", "--python", "3.11", folder], check=True)
        subprocess.run(
            [
                uv,
                "pip",
                "install",
                "--quiet",
                "--no-deps",
                "--only-binary=:all:",
                "--no-binary=retry,py",
                "--python",
                interpreter,
                "-r",
                PINNED,
            ],
            check=True,
        )
        ready.touch()
    return interpreter
