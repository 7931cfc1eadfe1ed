"""Debian packages that are unpacked beside the other tools instead of installed.

On a machine with an init system some packages would start services, and installing needs root.
"""

from __future__ import annotations

import subprocess
from pathlib import Path

from bitagent_local.cluster.host import ClusterError


def unpack_packages(packages: tuple[str, ...], *, work: Path) -> Path:
    """Download packages into the empty folder `work` and return a folder with their files as below `/`.

    Raises ClusterError if they cannot be fetched.
    """
    if _download(packages, work).returncode != 0:  # On a new machine the package lists are missing or old.
        subprocess.run(["apt-get", "update", "-q"], capture_output=True, check=False)
        if (done := _download(packages, work)).returncode != 0:
            raise ClusterError(f"`apt-get download {' '.join(packages)}` failed:\n{done.stderr[-1500:]}")
    files = work / "files"
    for package in work.glob("*.deb"):
        subprocess.run(["dpkg-deb", "-x", str(package), str(files)], check=True)
    return files


def _download(packages: tuple[str, ...], folder: Path) -> subprocess.CompletedProcess[str]:
    command = ["apt-get", "download", "-q", *packages]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
