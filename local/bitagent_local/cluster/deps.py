"""What the node and the image builds need from Debian."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

from .errors import ClusterError
from .node import Node

PROGRAMS = {
    "containerd": "containerd",
    "ctr": "containerd",
    "runc": "runc",
    "/usr/lib/cni/bridge": "containernetworking-plugins",
    "iptables": "iptables",
    "nft": "nftables",
    "ip": "iproute2",
    "docker-registry": "docker-registry",
    "openssl": "openssl",
    "nsenter": "util-linux",
    "sysctl": "procps",
    "buildah": "buildah",
    "mmdebstrap": "mmdebstrap",
}
"""Each program, by name or path, and the package that has it. The last two are for building images only."""

LIBRARIES = {"/usr/lib/x86_64-linux-gnu/libnuma.so.1": "libnuma1"}
"""Each library, and the package that has it: vLLM's CPU engine, which tests run on this machine itself."""


def missing_packages() -> list[str]:
    """Return the packages to install, sorted; empty if every program and library is there."""
    programs = {package for program, package in PROGRAMS.items() if shutil.which(program, path=_path()) is None}
    return sorted(programs | {package for library, package in LIBRARIES.items() if not Path(library).exists()})


def require_packages() -> None:
    """Check that all is installed.

    Raises:
        ClusterError: Something is missing; the message has the command that installs it.
    """
    if missing := missing_packages():
        raise ClusterError(
            f"the local node needs {', '.join(missing)}: run `python3 -m bitagent_local.cluster deps`, "
            f"or apt-get install -y --no-install-recommends {' '.join(missing)}"
        )


def install_packages() -> list[str]:
    """Install what is missing, by apt-get, and return it. Needs root.

    Raises:
        ClusterError: apt-get is not there, or failed.
    """
    missing = missing_packages()
    if not missing:
        return []
    if shutil.which("apt-get") is None:
        raise ClusterError(f"there is no apt-get; install by hand what Debian calls {', '.join(missing)}")
    quiet = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    install = ["apt-get", "install", "-y", "-q", "--no-install-recommends", *missing]
    done = subprocess.run(install, env=quiet, capture_output=True, text=True, check=False)
    if done.returncode != 0:  # On a new machine the lists of packages are missing or old.
        subprocess.run(["apt-get", "update", "-q"], env=quiet, check=False)
        done = subprocess.run(install, env=quiet, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise ClusterError(f"`{' '.join(install)}` failed:\n{done.stdout[-1500:]}{done.stderr[-1500:]}")
    return missing


def require_places(node: Node) -> None:
    """Check that the node's folders can do what they must; they exist.

    Raises:
        ClusterError: One cannot; the message names the variable that moves it.
    """
    if len(str(node.containerd_socket)) > 100:  # The kernel's limit for a socket's path is 107.
        raise ClusterError(
            f"the path {node.state} is too long for sockets below it: set BITAGENT_STATE to a shorter one"
        )
    kind = subprocess.run(
        ["stat", "-fc", "%T", str(node.cache)], capture_output=True, text=True, check=True
    ).stdout.strip()
    if kind in ("overlayfs", "tmpfs", "nfs"):
        raise ClusterError(
            f"{node.cache} is on {kind}, on which containers cannot have their files: set BITAGENT_CACHE to a folder on a disk"
        )


def _path() -> str:
    return os.environ.get("PATH", "") + ":/usr/local/sbin:/usr/sbin:/sbin"
