"""Debian packages and kinds of folders that the node and the image builds need."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

from bitagent_local.cluster.host import ClusterError
from bitagent_local.cluster.node import Node

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
"""Programs, by name or path, with the package that has each. The last two are for building images only."""

LIBRARIES = {"/usr/lib/x86_64-linux-gnu/libnuma.so.1": "libnuma1"}
"""Libraries with the package that has each: needed by vLLM's CPU engine, which tests run on this machine itself."""


def missing_packages() -> list[str]:
    """Return the packages to install, sorted; empty if every program and library exists."""
    programs = {package for program, package in PROGRAMS.items() if shutil.which(program, path=_path()) is None}
    return sorted(programs | {package for library, package in LIBRARIES.items() if not Path(library).exists()})


def require_packages() -> None:
    """Check that all packages are installed. Raises ClusterError, with the command that installs them, otherwise."""
    if missing := missing_packages():
        raise ClusterError(
            f"the local node needs {', '.join(missing)}: run `python3 -m bitagent_local.cluster deps`, "
            f"or apt-get install -y --no-install-recommends {' '.join(missing)}"
        )


def install_packages() -> list[str]:
    """Install the missing packages with apt-get and return them.

    Needs root. Raises ClusterError if apt-get is missing or fails.
    """
    missing = missing_packages()
    if not missing:
        return []
    if shutil.which("apt-get") is None:
        raise ClusterError(f"there is no apt-get; install these Debian packages by hand: {', '.join(missing)}")
    quiet = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    install = ["apt-get", "install", "-y", "-q", "--no-install-recommends", *missing]
    done = subprocess.run(install, env=quiet, capture_output=True, text=True, check=False)
    if done.returncode != 0:  # On a new machine the package lists are missing or old.
        subprocess.run(["apt-get", "update", "-q"], env=quiet, check=False)
        done = subprocess.run(install, env=quiet, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise ClusterError(f"`{' '.join(install)}` failed:\n{done.stdout[-1500:]}{done.stderr[-1500:]}")
    return missing


def require_folders(node: Node) -> None:
    """Check the file systems and paths of the node's folders, which exist.

    Raises ClusterError if one is unsuitable; the message names the variable that moves it.
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
            f"{node.cache} is on {kind}, on which containers cannot have their files: "
            "set BITAGENT_CACHE to a folder on a disk"
        )


def _path() -> str:
    return os.environ.get("PATH", "") + ":/usr/local/sbin:/usr/sbin:/sbin"
