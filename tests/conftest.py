"""Property tests try the same examples in every run, so that a red run is about the change; `make fuzz` tries new ones.

Examples have no deadline: the time that one takes on a busy machine means nothing, and a test that hangs has its own
time limit.

Files that take long come first, so that the two processes of `make test-unit` end together. `seconds.json` has the
seconds of the files that take more than five; `--record-seconds`, on a quiet machine, writes it again.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import zipfile
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import settings

settings.register_profile("same", derandomize=True, deadline=None)
settings.register_profile("fuzz", derandomize=False, deadline=None, print_blob=True)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "same"))

ROOT = Path(__file__).parents[1]
SECONDS = Path(__file__).parent / "seconds.json"
LONG = 5.0
EXAMPLE_PLUGIN = Path(__file__).parent / "plugins/bitagent_example_plugin"


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--record-seconds", action="store_true", help=f"write the files' seconds to {SECONDS.name}")


def pytest_configure(config: pytest.Config) -> None:
    if config.getoption("--record-seconds") and not hasattr(config, "workerinput"):
        config.pluginmanager.register(SecondsOfFiles())


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put files that take long first; the order is the same in every process."""
    seconds: dict[str, float] = json.loads(SECONDS.read_text())
    items.sort(key=lambda item: -seconds.get(item.nodeid.partition("::")[0], 0.0))


class SecondsOfFiles:
    """Adds up what the tests of each file take, and writes it at the end."""

    def __init__(self) -> None:
        self.seconds: Counter[str] = Counter()

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        self.seconds[report.nodeid.partition("::")[0]] += report.duration

    def pytest_sessionfinish(self) -> None:
        """Keep the files that did not run, unless they are gone."""
        known: dict[str, float] = json.loads(SECONDS.read_text())
        kept = {name: of for name, of in known.items() if name not in self.seconds and (ROOT / name).exists()}
        found = {name: round(of, 1) for name, of in self.seconds.items() if of >= LONG}
        by_seconds = sorted((kept | found).items(), key=lambda entry: -entry[1])
        SECONDS.write_text(json.dumps(dict(by_seconds), indent=1) + "\n")


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
