"""Programs of other projects for tests, each built from a Go module in `local/` and kept in the cache.

A module only names releases: no source of such a project is in this repository. The key of a build is a hash of the
module's files, the compiler's version and the packages.
"""

from __future__ import annotations

import os
import subprocess
import tempfile
from pathlib import Path

from bitagent_local.cluster.binaries import COMPILING, OPTIONS, content_key, ensure_go
from bitagent_local.cluster.host import ClusterError, cache_root, exclusive

FLAGS = "-ldflags=-s -w"


def ensure_programs(module: Path, *packages: str) -> Path:
    """Return the folder with the programs of these packages, building them first if the cache has none of the key.

    A program has the name of its package's folder. Raises ClusterError if the build fails.
    """
    go, _ = ensure_go()
    folder = programs_folder(module, *packages)
    store = folder.parent
    if not folder.exists():
        store.mkdir(parents=True, exist_ok=True)
        with exclusive(store / ".lock"):
            if not folder.exists():
                _build(go, module, packages, folder)
    return folder


def programs_folder(module: Path, *packages: str) -> Path:
    """Return the folder that has, or will have, these programs. Raises ClusterError if there is no compiler."""
    _, version = ensure_go()
    return cache_root() / module.name / content_key(module, tools=" ".join([version, FLAGS, *OPTIONS, *packages]))


def module_folder(module: Path, path: str) -> Path:
    """Return the folder of the sources of the Go module `path`, which Go downloads if they are missing.

    Raises ClusterError if it cannot be downloaded.
    """
    go, _ = ensure_go()
    # `download` alone takes what the build list needs of one module; `-m` prints where it lies.
    for command in (["mod", "download", path], ["list", "-m", "-f", "{{.Dir}}", path]):
        done = subprocess.run([str(go), *command], cwd=module, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise ClusterError(f"`go {' '.join(command)}` in {module} failed:\n{done.stderr.strip()}")
    return Path(done.stdout.strip())


def _build(go: Path, module: Path, packages: tuple[str, ...], folder: Path) -> None:
    print(f"building {', '.join(packages)} from {module} (once)", flush=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".build-") as scratch:
        out = Path(scratch) / "out"
        command = [str(go), "build", *OPTIONS, FLAGS, "-o", f"{out}/", *packages]
        done = subprocess.run(command, cwd=module, env={**os.environ, **COMPILING}, check=False)
        if done.returncode != 0:
            raise ClusterError(f"`go build` in {module} failed with status {done.returncode}; its output is above")
        out.rename(folder)
