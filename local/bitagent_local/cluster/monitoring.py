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
TEMPLATES = Path("/usr/share/prometheus/alertmanager")
"""Where Debian's Alertmanager reads its templates from; no option names another folder."""
_WITH_TEMPLATES = """
mount -t tmpfs none /usr/share
mkdir -p "$0"
cp "$1"/*.tmpl "$0"
shift
exec "$@"
"""


def monitoring_tools() -> Path:
    """Return the folder with prometheus, promtool and prometheus-alertmanager, after unpacking them if it is missing.

    Raises ClusterError if the packages cannot be fetched.
    """
    folder = cache_root() / "monitoring"
    with exclusive(cache_root() / "monitoring.lock"):
        if not all((folder / name).exists() for name in (*PROGRAMS, "templates")):
            _unpack(folder)
    return folder


def alertmanager(*arguments: str) -> list[str]:
    """Return the command that runs Alertmanager in a mount namespace that has its templates."""
    folder = monitoring_tools()
    unshare = ["unshare", "--mount"] if os.geteuid() == 0 else ["unshare", "--mount", "--map-root-user"]
    program = str(folder / "prometheus-alertmanager")
    return [*unshare, "sh", "-ec", _WITH_TEMPLATES, str(TEMPLATES), str(folder / "templates"), program, *arguments]


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
        unpacked = work / "files"
        os.rename(unpacked / TEMPLATES.relative_to("/"), unpacked / "usr" / "bin" / "templates")
        os.rename(unpacked / "usr" / "bin", folder)


def _download(folder: Path) -> subprocess.CompletedProcess[str]:
    command = ["apt-get", "download", "-q", *PACKAGES]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
