"""Makes the package `recordings` importable, and runs the tests of this folder without what the shell has set."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

SETTINGS = ("HF_ENDPOINT", "HF_TOKEN", "HF_HOME", "BITAGENT_CONFIG", "BITAGENT_HOTKEY_FILE")


@pytest.fixture(autouse=True)
def _no_settings_of_the_shell(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in SETTINGS:
        monkeypatch.delenv(name, raising=False)
