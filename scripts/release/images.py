"""Images as OCI archives, by the builder of the local node, which needs root and no container engine."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import yaml
from scripts.release.versions import ROOT
from scripts.release.wheel import ReleaseError

FOR_GPUS = "evaluator"
"""Image with 10 GB of packages for GPUs, which another builder has to make."""
NOT_RELEASED = frozenset({FOR_GPUS, "world", "evaluator-thin"})
"""Images that a release does not have: that one, and those of demo and tests."""


def released(root: Path = ROOT) -> list[str]:
    """Return the names of the images of a release."""
    listed = yaml.safe_load((root / "images" / "images.yaml").read_text())
    return sorted(set(listed) - NOT_RELEASED)


def possible() -> str:
    """Return why images cannot be built here; empty if they can."""
    if os.geteuid() != 0:
        return "the local builder needs root"
    if not sys.platform.startswith("linux"):
        return "the local builder needs Linux"
    return ""


def archive_images(names: Sequence[str], out: Path, *, version: str, epoch: int, root: Path = ROOT) -> list[Path]:
    """Build images and write each as an OCI archive that any container engine loads; files have the time `epoch`.

    Raises ReleaseError if one cannot be built, or if its programs do not run.
    """
    made = []
    for name in names:
        target = out / f"{name}-{version}.oci.tar"
        command = [
            sys.executable,
            "-m",
            "bitagent_local.images",
            "archive",
            name,
            str(target),
            f"bitagent/{name}:{version}",
            str(epoch),
        ]
        environment = {**os.environ, "PYTHONPATH": str(root / "local")}
        done = subprocess.run(command, cwd=root, env=environment, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise ReleaseError(f"image {name} cannot be built: {done.stderr.strip()[-2000:]}")
        made.append(target)
    return made
