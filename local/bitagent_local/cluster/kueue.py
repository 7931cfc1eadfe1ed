"""Kueue's manager, built from the Go module `local/kueue` and kept in the cache, and its Helm chart.

Only the tests with other projects' programs need it (`make test-ecosystem`): the build takes four minutes on two cores.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from bitagent_local.cluster.go_programs import ensure_programs, module_folder
from bitagent_local.cluster.host import SOURCES

MODULE = SOURCES / "kueue"
PACKAGE = "sigs.k8s.io/kueue/cmd/kueue"


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
    return module_folder(MODULE, "sigs.k8s.io/kueue")


def ensure_kueue() -> Kueue:
    """Return the build of this checkout, building it first if the cache has none of its key. Raises ClusterError."""
    module = kueue_module()
    manager = ensure_programs(MODULE, PACKAGE) / "kueue"
    return Kueue(manager, module / "charts/kueue", module / "config/components/crd/bases")
