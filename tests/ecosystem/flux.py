"""Real Flux beside an API server: source-controller and kustomize-controller as processes, without image or Service."""

from __future__ import annotations

import os
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from tests.ecosystem.programs import free_ports, install, listens, running, until

from bitagent_local.cluster.control_plane import ControlPlane
from bitagent_local.cluster.gitops import Flux

NAMESPACE = "flux-system"


@contextmanager
def flux(plane: ControlPlane, built: Flux) -> Iterator[None]:
    """Install Flux's definitions and run both controllers as an administrator until left."""
    install(plane, *(f"--filename={folder}" for folder in built.crds))
    subprocess.run(plane.kubectl("create", "namespace", NAMESPACE), check=True, capture_output=True)
    storage, *health = free_ports(3)
    with ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="flux-"))
        common = ["--metrics-addr=0", "--watch-all-namespaces=true", "--enable-leader-election=false"]
        own = {
            # It hands what it has fetched to the other one over HTTP.
            "source-controller": [
                f"--storage-path={folder}", f"--storage-addr=127.0.0.1:{storage}",
                f"--storage-adv-addr=127.0.0.1:{storage}",
            ],
            "kustomize-controller": ["--requeue-dependency=1s", "--interval-jitter-percentage=0"],
        }  # fmt: skip
        environment = os.environ | {"KUBECONFIG": str(plane.kubeconfig), "RUNTIME_NAMESPACE": NAMESPACE}
        environment["TUF_ROOT"] = folder
        for (name, arguments), port in zip(own.items(), health, strict=True):
            command = [str(built.folder / name), *common, f"--health-addr=127.0.0.1:{port}", *arguments]
            stack.enter_context(running(command, log=plane.logs / f"{name}.log", environment=environment))
        for name, port in zip(own, health, strict=True):
            until(lambda port=port: listens(port, path="/readyz"), name, log=plane.logs / f"{name}.log")  # type: ignore[misc]
        yield
