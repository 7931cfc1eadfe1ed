"""Flux and Argo CD, built from the Go modules `local/flux` and `local/argocd`, and what Argo CD needs besides.

Only the tests with other projects' programs need them (`make test-ecosystem`): on two cores the builds take seven and
nine minutes. The Lua interpreter is the one that Argo CD contains, and takes seconds; unit tests of health scripts
need it.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from bitagent_local.cluster.binaries import ensure_go
from bitagent_local.cluster.go_programs import ensure_programs, module_folder, programs_folder
from bitagent_local.cluster.host import SOURCES, ClusterError, cache_root, exclusive
from bitagent_local.cluster.packages import unpack_packages

FLUX = SOURCES / "flux"
FLUX_TYPES = SOURCES / "flux_types"
ARGOCD = SOURCES / "argocd"
FLUX_CONTROLLERS = ("source-controller", "kustomize-controller")
FLUX_PATHS = tuple(f"github.com/fluxcd/{name}" for name in FLUX_CONTROLLERS)
FLUX_API_PATHS = tuple(
    f"github.com/fluxcd/{name}"
    for name in ("helm-controller/api/v2", "image-automation-controller/api/v1", "image-reflector-controller/api/v1")
)
"""Types of controllers whose programs are not on the module proxy."""
REDIS_PACKAGES = ("redis-server", "redis-tools", "libjemalloc2", "liblzf1", "libatomic1")
LIBRARIES = "x86_64-linux-gnu"


@dataclass(frozen=True)
class Flux:
    """One build of Flux's controllers."""

    folder: Path
    """The programs, by the controllers' names."""
    crds: tuple[Path, ...]
    """Folders with their CustomResourceDefinitions, in Go's module cache."""

    def commands(
        self,
        folder: Path,
        *,
        kubeconfig: Path,
        namespace: str,
        storage: int,
        health: Sequence[int],
        address: str = "127.0.0.1",
    ) -> dict[str, list[str]]:
        """Return the command of each controller, without those of metrics.

        `folder` is for what is fetched, which one hands to the other at the port `storage` of 127.0.0.1; `health` has a
        port of `address` for each.
        """
        served = f"127.0.0.1:{storage}"
        own = {
            "source-controller": [
                f"--storage-path={folder}", f"--storage-addr={served}", f"--storage-adv-addr={served}"
            ],
            "kustomize-controller": ["--requeue-dependency=1s", "--interval-jitter-percentage=0"],
        }  # fmt: skip
        environment = {"KUBECONFIG": kubeconfig, "RUNTIME_NAMESPACE": namespace, "TUF_ROOT": folder}
        common = ["--metrics-addr=0", "--watch-all-namespaces=true", "--enable-leader-election=false"]
        return {
            name: [
                "env", *(f"{key}={value}" for key, value in environment.items()), str(self.folder / name), *common,
                f"--health-addr={address}:{port}", *own[name],
            ]
            for name, port in zip(FLUX_CONTROLLERS, health, strict=True)
        }  # fmt: skip


@dataclass(frozen=True)
class ArgoCd:
    """One build of Argo CD."""

    program: Path
    """All parts in one; $ARGOCD_BINARY_NAME selects one."""
    crds: Path
    """A kustomization of its CustomResourceDefinitions, in Go's module cache."""
    redis: Path
    """A folder with `bin/redis-server` and its libraries."""

    @property
    def redis_server(self) -> list[str]:
        """The command that runs redis-server with its libraries, without arguments."""
        return ["env", f"LD_LIBRARY_PATH={self.redis / 'lib' / LIBRARIES}", str(self.redis / "bin" / "redis-server")]


def ensure_flux() -> Flux:
    """Return the build of this checkout, building it first if the cache has none of its key. Raises ClusterError."""
    folder = ensure_programs(FLUX, *FLUX_PATHS)
    return Flux(folder, tuple(module_folder(FLUX, path) / "config/crd/bases" for path in FLUX_PATHS))


def built_flux() -> Flux | None:
    """Return the build of this checkout if the cache has it, without building it. Raises ClusterError."""
    return ensure_flux() if programs_folder(FLUX, *FLUX_PATHS).exists() else None


def ensure_flux_types() -> Path:
    """Return a folder with the definitions of Flux's HelmRelease and image automation, making it if it is missing.

    They are generated from the published types, as upstream does, since their programs cannot be had as modules.
    Raises ClusterError if that fails.
    """
    go, _ = ensure_go()
    generator = ensure_programs(FLUX_TYPES, "sigs.k8s.io/controller-tools/cmd/controller-gen") / "controller-gen"
    folder = generator.parent / "crds"
    with exclusive(cache_root() / "flux_types" / ".lock"):
        if not folder.exists():
            with tempfile.TemporaryDirectory(dir=folder.parent) as name:
                command = [str(generator), "crd", *(f"paths={path}" for path in FLUX_API_PATHS)]
                command += [f"output:crd:dir={name}/crds"]
                environment = os.environ | {"PATH": f"{go.parent}:{os.environ['PATH']}"}
                done = subprocess.run(
                    command, cwd=FLUX_TYPES, env=environment, capture_output=True, text=True, check=False
                )
                if done.returncode != 0:
                    raise ClusterError(f"`{' '.join(command)}` in {FLUX_TYPES} failed:\n{done.stderr.strip()[-1500:]}")
                os.rename(f"{name}/crds", folder)
    return folder


def ensure_argocd() -> ArgoCd:
    """Return the build of this checkout, building it first if the cache has none of its key. Raises ClusterError."""
    path = "github.com/argoproj/argo-cd/v3"
    program = ensure_programs(ARGOCD, f"{path}/cmd") / "cmd"
    return ArgoCd(program, module_folder(ARGOCD, path) / "manifests/crds", ensure_redis())


def ensure_redis() -> Path:
    """Return the folder with Debian's redis-server, after unpacking it if it is missing. Raises ClusterError."""
    folder = cache_root() / "redis"
    with exclusive(cache_root() / "redis.lock"):
        if not (folder / "bin" / "redis-server").exists():
            with tempfile.TemporaryDirectory(dir=folder.parent) as name:
                unpacked = unpack_packages(REDIS_PACKAGES, work=Path(name))
                shutil.rmtree(folder, ignore_errors=True)
                os.rename(unpacked / "usr", folder)
    return folder


def ensure_lua() -> Path:
    """Return Argo CD's Lua interpreter as a program, building it first if it is missing. Raises ClusterError."""
    return ensure_programs(ARGOCD, "github.com/yuin/gopher-lua/cmd/glua") / "glua"
