"""Tools that a machine needs first: Debian packages, the locked Python environment, the local Kubernetes' binaries.

Each is skipped if it exists. On a new machine they are made side by side, since the Go build alone takes minutes.
"""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

from bitagent_local.cluster.binaries import Binaries, ensure_binaries
from bitagent_local.cluster.deps import install_packages
from bitagent_local.cluster.host import SOURCES, ClusterError, cache_root
from bitagent_local.cluster.node import Node
from bitagent_local.demo.phases import Phases

ROOT = SOURCES.parent
PYTHON = ROOT / ".venv" / "bin" / "python"


def packages(phases: Phases) -> None:
    """Install the Debian packages that are missing."""
    with phases.phase("Debian packages"):
        if os.geteuid() != 0:
            raise ClusterError("root is needed: packages, namespaces and mounts; run this with sudo")
        install_packages()


def environment(phases: Phases) -> None:
    """Make the locked Python environment in `.venv`."""
    with phases.phase("Python environment") as phase:
        phase.run([ROOT / "scripts" / "env.sh"], cwd=ROOT)


def binaries(phases: Phases) -> None:
    """Build Kubernetes, kubectl, Helm and CoreDNS from Go modules."""
    with phases.phase("Kubernetes binaries") as phase:
        phase.run(
            [sys.executable, "-m", "bitagent_local.cluster", "build"], env={**os.environ, "PYTHONPATH": str(SOURCES)}
        )


def prepare(phases: Phases) -> None:
    """Prepare everything that tests and demo need, except images."""
    packages(phases)
    phases.together(lambda: environment(phases), lambda: binaries(phases))


def tools() -> Binaries:
    """Return the binaries, building them if they are missing."""
    return ensure_binaries()


def log_folder() -> Path:
    """Return the folder of the steps' logs."""
    return cache_root() / "logs"


def foreign_kubeconfig() -> Path | None:
    """Return the KUBECONFIG that the user has set, or None for the local node: also if it is the node's own."""
    chosen = os.environ.get("KUBECONFIG", "")
    own = Node().kubeconfig
    return Path(chosen) if chosen and Path(chosen).resolve() != own.resolve() else None


def user_tool(name: str, fallback: Path) -> Path:
    """Return the user's own kubectl or helm for a foreign cluster, otherwise `fallback`."""
    found = shutil.which(name)
    return Path(found) if found else fallback
