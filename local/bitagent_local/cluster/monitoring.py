"""Prometheus, its promtool, and Alertmanager, for tests: Debian's packages, unpacked beside the other tools."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path

from bitagent_local.cluster.host import cache_root, exclusive
from bitagent_local.cluster.packages import unpack_packages

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
        unpacked = unpack_packages(PACKAGES, work=Path(name))
        shutil.rmtree(folder, ignore_errors=True)
        os.rename(unpacked / TEMPLATES.relative_to("/"), unpacked / "usr" / "bin" / "templates")
        os.rename(unpacked / "usr" / "bin", folder)
