"""Real Flux beside an API server: source-controller and kustomize-controller as processes, without image or Service."""

from __future__ import annotations

import os
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from tests.ecosystem.programs import install, listens, running, until

from bitagent_local.cluster.control_plane import ControlPlane
from bitagent_local.cluster.gitops import Flux
from bitagent_local.cluster.ports import free_ports

NAMESPACE = "flux-system"


@contextmanager
def flux(plane: ControlPlane, built: Flux) -> Iterator[None]:
    """Install Flux's definitions and run both controllers as an administrator until left."""
    install(plane, *(f"--filename={folder}" for folder in built.crds))
    subprocess.run(plane.kubectl("create", "namespace", NAMESPACE), check=True, capture_output=True)
    storage, *health = free_ports(3)
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="flux-")))
        commands = built.commands(
            folder, kubeconfig=plane.kubeconfig, namespace=NAMESPACE, storage=storage, health=health
        )
        for name, command in commands.items():
            stack.enter_context(running(command, log=plane.logs / f"{name}.log", environment=os.environ))
        for name, port in zip(commands, health, strict=True):
            until(lambda port=port: listens(port, path="/readyz"), name, log=plane.logs / f"{name}.log")  # type: ignore[misc]
        yield
