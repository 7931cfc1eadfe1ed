"""The miner's hotkey file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from bitagent_wire import hotkey_file


def load_hotkey(path: Path) -> Any:
    """Return the key pair in a hotkey file. Raises HotkeyFileError."""
    return hotkey_file.load_hotkey(path, if_missing="give --hotkey-file, or mount the Secret there")
