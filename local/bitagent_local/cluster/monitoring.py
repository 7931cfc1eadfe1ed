"""Prometheus, its promtool, and Alertmanager, for tests: Debian's packages, unpacked beside the other tools.

They are not installed: on a machine with an init system the packages would start services.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

from bitagent_local.cluster.host import ClusterError, cache_root, exclusive

PACKAGES = ("prometheus", "prometheus-alertmanager")
PROGRAMS = ("prometheus", "promtool", "prometheus-alertmanager")


def monitoring_tools() -> Path:
    """Return the folder with prometheus, promtool and prometheus-alertmanager, after unpacking them if it is missing.

    Raises ClusterError if the packages cannot be fetched.
    """
    folder = cache_root() / "monitoring"
    with exclusive(cache_root() / "monitoring.lock"):
        if not all((folder / name).exists() for name in PROGRAMS):
            _unpack(folder)
    return folder


def _unpack(folder: Path) -> None:
    with tempfile.TemporaryDirectory(dir=folder.parent) as name:
        work = Path(name)
        if _download(work).returncode != 0:  # On a new machine the package lists are missing or old.
            subprocess.run(["apt-get", "update", "-q"], capture_output=True, check=False)
            if (done := _download(work)).returncode != 0:
                raise ClusterError(f"`apt-get download {' '.join(PACKAGES)}` failed:\n{done.stderr[-1500:]}")
        for package in work.glob("*.deb"):
            subprocess.run(["dpkg-deb", "-x", str(package), str(work / "files")], check=True)
        shutil.rmtree(folder, ignore_errors=True)
        os.rename(work / "files" / "usr" / "bin", folder)


def _download(folder: Path) -> subprocess.CompletedProcess[str]:
    command = ["apt-get", "download", "-q", *PACKAGES]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
