"""What runs before any environment exists needs nothing but the standard library."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from bitagent_local.cluster.host import SOURCES


@pytest.mark.parametrize("package", ["cluster", "demo", "images"])
def test_the_command_line_starts_without_site_packages(package: str) -> None:
    command = [sys.executable, "-S", "-m", f"bitagent_local.{package}", "--help"]
    done = subprocess.run(
        command, env={**os.environ, "PYTHONPATH": str(SOURCES)}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert f"bitagent_local.{package}" in done.stdout


def test_a_control_plane_starts_without_site_packages() -> None:
    code = "import bitagent_local.cluster.control_plane, bitagent_local.cluster.netpol.enforcer"
    subprocess.run([sys.executable, "-S", "-c", code], env={**os.environ, "PYTHONPATH": str(SOURCES)}, check=True)
