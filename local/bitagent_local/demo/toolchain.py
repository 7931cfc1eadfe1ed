"""What a machine needs before anything runs: Debian packages, the locked Python environment, the local Kubernetes' binaries, a base image.

Each is skipped when it is there. On a new machine they are made side by side, since the Go build alone takes minutes.
"""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

from bitagent_local.cluster.binaries import Binaries, ensure_binaries
from bitagent_local.cluster.deps import install_packages
from bitagent_local.cluster.errors import ClusterError
from bitagent_local.cluster.paths import SOURCES, cache_root
from bitagent_local.demo.phases import Phases

ROOT = SOURCES.parent
PYTHON = ROOT / ".venv" / "bin" / "python"


def packages(phases: Phases) -> None:
    """Debian packages, where missing."""
    with phases.phase("Debian packages"):
        if os.geteuid() != 0:
            raise ClusterError("root is needed: packages, namespaces and mounts; run this with sudo")
        install_packages()


def environment(phases: Phases) -> None:
    """The locked Python environment in `.venv`."""
    with phases.phase("Python environment") as phase:
        phase.run([ROOT / "scripts" / "env.sh"], cwd=ROOT)


def binaries(phases: Phases) -> None:
    """Kubernetes, kubectl, Helm and CoreDNS, built from Go modules."""
    with phases.phase("Kubernetes binaries") as phase:
        phase.run(
            [sys.executable, "-m", "bitagent_local.cluster", "build"], env={**os.environ, "PYTHONPATH": str(SOURCES)}
        )


def prepare(phases: Phases) -> None:
    """Everything that tests and demo need, short of images."""
    packages(phases)
    phases.together(lambda: environment(phases), lambda: binaries(phases))


def tools() -> Binaries:
    """The binaries, which `prepare` has made."""
    return ensure_binaries()


def log_folder() -> Path:
    """Where the steps' logs go."""
    return cache_root() / "logs"


def foreign_kubeconfig() -> Path | None:
    """The cluster that the user chose with KUBECONFIG; None: the local node."""
    chosen = os.environ.get("KUBECONFIG", "")
    return Path(chosen) if chosen else None


def user_tool(name: str, fallback: Path) -> Path:
    """The user's own kubectl or helm for a foreign cluster, else ours."""
    found = shutil.which(name)
    return Path(found) if found else fallback
