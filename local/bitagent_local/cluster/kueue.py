"""Kueue's manager, built from the Go module `local/kueue` and kept in the cache, and its Helm chart.

Only the tests with other projects' programs need it (`make test-ecosystem`): the build takes four minutes on two cores.
"""

from __future__ import annotations

import os
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

from bitagent_local.cluster.binaries import OPTIONS, content_key, ensure_go
from bitagent_local.cluster.host import SOURCES, ClusterError, cache_root, exclusive

MODULE = SOURCES / "kueue"
PACKAGE = "sigs.k8s.io/kueue/cmd/kueue"
FLAGS = "-ldflags=-s -w"


@dataclass(frozen=True)
class Kueue:
    """One build."""

    manager: Path
    """The program."""
    chart: Path
    """Its Helm chart, in Go's module cache: definitions, webhooks, roles."""
    crds: Path
    """Its CustomResourceDefinitions alone, one in each file."""


def kueue_module() -> Path:
    """Return the folder of Kueue's sources, which Go downloads if they are missing. Raises ClusterError."""
    go, _ = ensure_go()
    # `download` alone takes what the build list needs of one module; `-m` prints where it lies.
    for command in (["mod", "download", "sigs.k8s.io/kueue"], ["list", "-m", "-f", "{{.Dir}}", "sigs.k8s.io/kueue"]):
        done = subprocess.run([str(go), *command], cwd=MODULE, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise ClusterError(f"`go {' '.join(command)}` in {MODULE} failed:\n{done.stderr.strip()}")
    return Path(done.stdout.strip())


def ensure_kueue() -> Kueue:
    """Return the build of this checkout, building it first if the cache has none of its key. Raises ClusterError."""
    go, version = ensure_go()
    store = cache_root() / "kueue"
    folder = store / content_key(MODULE, tools=" ".join([version, FLAGS, *OPTIONS, PACKAGE]))
    manager, module = folder / "kueue", kueue_module()
    if not manager.exists():
        store.mkdir(parents=True, exist_ok=True)
        with exclusive(store / ".lock"):
            if not manager.exists():
                _build(go, folder)
    return Kueue(manager, module / "charts/kueue", module / "config/components/crd/bases")


def _build(go: Path, folder: Path) -> None:
    print(f"building Kueue from {MODULE} (once; some minutes)", flush=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".build-") as scratch:
        out = Path(scratch) / "out"
        command = [str(go), "build", *OPTIONS, FLAGS, "-o", f"{out}/", PACKAGE]
        done = subprocess.run(command, cwd=MODULE, env={**os.environ, "CGO_ENABLED": "0"}, check=False)
        if done.returncode != 0:
            raise ClusterError(f"`go build` in {MODULE} failed with status {done.returncode}; its output is above")
        out.rename(folder)
