"""Programs and definitions of other projects that the charts are tested with, from the Go modules in `local/`.

Only `make test-ecosystem` needs them: Helm 4 takes two minutes to build on two cores, SOPS one.
"""

from __future__ import annotations

from pathlib import Path

from bitagent_local.cluster.go_programs import ensure_programs, module_folder
from bitagent_local.cluster.host import SOURCES

HELM4 = SOURCES / "helm4"
SOPS = SOURCES / "sops"
DEFINITIONS = SOURCES / "definitions"


def ensure_helm4() -> Path:
    """Return Helm 4, building it first if the cache has none of this checkout's key. Raises ClusterError."""
    return ensure_programs(HELM4, "helm.sh/helm/v4/cmd/helm") / "helm"


def ensure_sops() -> Path:
    """Return a folder with `sops` and `age-keygen`, building them first if they are missing. Raises ClusterError."""
    return ensure_programs(SOPS, "github.com/getsops/sops/v3/cmd/sops", "filippo.io/age/cmd/age-keygen")


def monitoring_definitions() -> list[Path]:
    """Return the files of the Prometheus operator's definitions that the charts use. Raises ClusterError."""
    folder = module_folder(DEFINITIONS, "github.com/prometheus-operator/prometheus-operator")
    names = ("podmonitors", "prometheusrules", "servicemonitors")
    return [folder / f"example/prometheus-operator-crd/monitoring.coreos.com_{name}.yaml" for name in names]


def external_secrets_definition() -> Path:
    """Return the file of the External Secrets operator's ExternalSecret. Raises ClusterError."""
    folder = module_folder(DEFINITIONS, "github.com/external-secrets/external-secrets")
    return folder / "config/crds/bases/external-secrets.io_externalsecrets.yaml"
