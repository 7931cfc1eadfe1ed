"""Property tests try the same examples in every run, so that a red run is about the change; `make fuzz` tries new ones.

Examples have no deadline: the time that one takes on a busy machine means nothing, and a test that hangs has its own
time limit.
"""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from hypothesis import settings

settings.register_profile("same", derandomize=True, deadline=None)
settings.register_profile("fuzz", derandomize=False, deadline=None, print_blob=True)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "same"))

EXAMPLE_PLUGIN = Path(__file__).parent / "plugins/bitagent_example_plugin"


@pytest.fixture(scope="session")
def example_plugin_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the example package that adds names by entry points; return a folder for a process's PYTHONPATH."""
    wheels, folder = tmp_path_factory.mktemp("wheels"), tmp_path_factory.mktemp("site-packages")
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(wheels)]
    subprocess.run(command, cwd=EXAMPLE_PLUGIN, check=True, capture_output=True)
    (wheel,) = wheels.glob("*.whl")
    zipfile.ZipFile(wheel).extractall(folder)
    return folder


@pytest.fixture
def example_plugin(example_plugin_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Install the example package for one test."""
    monkeypatch.syspath_prepend(str(example_plugin_folder))
