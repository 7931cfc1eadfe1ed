"""Real Argo CD beside an API server: its controllers, repository server and Redis as processes.

Without its own API server and page, as in its installation `core`: Applications are objects.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from tests.ecosystem.kueue import apply
from tests.ecosystem.programs import install, listens, running, until

from bitagent_local.cluster.control_plane import ControlPlane
from bitagent_local.cluster.gitops import ArgoCd
from bitagent_local.cluster.ports import free_ports

NAMESPACE = "argocd"
_KUSTOMIZE = """#!/bin/sh
case "$1" in
  version) echo v5.7.1 ;;
  build) shift; exec {kubectl} kustomize "$@" ;;
  *) exit 64 ;;
esac
"""


@contextmanager
def argocd(plane: ControlPlane, built: ArgoCd, *, settings: Mapping[str, str]) -> Iterator[None]:
    """Install Argo CD's definitions and run its parts as an administrator until left; argocd-cm has the `settings`."""
    install(plane, "--kustomize", str(built.crds))
    apply(plane, _objects(settings))
    redis, repository, repository_metrics, metrics, sets, sets_metrics, sets_webhook = free_ports(7)
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="argocd-")))
        environment = _environment(plane, folder)
        cache, repo_server = f"--redis=127.0.0.1:{redis}", f"127.0.0.1:{repository}"
        commands = {
            "redis": [*built.redis_server, "--port", str(redis), "--bind", "127.0.0.1", "--save", ""],
            "argocd-repo-server": [
                str(built.program), cache, "--disable-tls", "--address=127.0.0.1", f"--port={repository}",
                "--metrics-address=127.0.0.1", f"--metrics-port={repository_metrics}",
                # Where a branch is, is looked up each second instead of each three minutes.
                "--revision-cache-expiration=1s",
            ],
            "argocd-application-controller": [
                str(built.program), f"--namespace={NAMESPACE}", cache, f"--repo-server={repo_server}",
                "--repo-server-plaintext", "--app-resync=2", "--app-resync-jitter=0", f"--metrics-port={metrics}",
                "--self-heal-timeout-seconds=1",
                "--persist-resource-health",
            ],
            "argocd-applicationset-controller": [
                str(built.program), f"--namespace={NAMESPACE}", f"--argocd-repo-server={repo_server}",
                "--repo-server-plaintext", f"--metrics-addr=127.0.0.1:{sets_metrics}", f"--probe-addr=127.0.0.1:{sets}",
                f"--webhook-addr=127.0.0.1:{sets_webhook}",
            ],
        }  # fmt: skip
        for name, command in commands.items():
            own = environment | {"ARGOCD_BINARY_NAME": name}
            stack.enter_context(running(command, log=plane.logs / f"{name}.log", environment=own))
        ports = {
            "argocd-repo-server": repository,
            "argocd-application-controller": metrics,
            "argocd-applicationset-controller": sets,
        }
        for name, port in ports.items():
            until(lambda port=port: listens(port), name, log=plane.logs / f"{name}.log")  # type: ignore[misc]
        yield


def _objects(settings: Mapping[str, str]) -> list[dict[str, Any]]:
    meta = {"namespace": NAMESPACE, "labels": {"app.kubernetes.io/part-of": "argocd"}}
    secret = {"server.secretkey": "of tests only"}
    return [
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}},
        {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "argocd-cm", **meta}, "data": dict(settings)},
        {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "argocd-secret", **meta}, "stringData": secret},
    ]


def _environment(plane: ControlPlane, folder: Path) -> dict[str, str]:
    paths = {
        "ARGOCD_TLS_DATA_PATH": "tls", "ARGOCD_SSH_DATA_PATH": "ssh", "ARGOCD_GPG_DATA_PATH": "gpg",
        "ARGOCD_GNUPGHOME": "gpg", "ARGOCD_PLUGINSOCKFILEPATH": "plugin", "TMPDIR": "tmp", "HOME": "home",
    }  # fmt: skip
    for each in set(paths.values()):
        (folder / each).mkdir()
    (folder / "ssh" / "ssh_known_hosts").touch()
    found = {name: str(folder / path) for name, path in paths.items()}
    found |= {"KUBECONFIG": str(plane.kubeconfig), "ARGOCD_FAKE_IN_CLUSTER": "true", "ARGOCD_GPG_ENABLED": "false"}
    found |= {"ARGOCD_K8S_CLIENT_QPS": "500", "ARGOCD_K8S_CLIENT_BURST": "1000"}
    # It runs the `helm` and the `kustomize` that it finds; the latter is a part of kubectl.
    kustomize = folder / "bin" / "kustomize"
    kustomize.parent.mkdir()
    kustomize.write_text(_KUSTOMIZE.format(kubectl=plane.binaries.kubectl))
    kustomize.chmod(0o755)
    return os.environ | found | {"PATH": f"{kustomize.parent}:{plane.binaries.folder}:{os.environ['PATH']}"}
