"""The hotkey file: the SDK's keyfile, unencrypted. The key is read into the signer and stored nowhere else.

The secrets of seeds need a key that outlives the pod and is known to no one else. Signatures would not do: those of
sr25519 are random. So one is derived from the private key, one way.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bitagent_wire import hotkey_file

_IF_MISSING = "does the Secret of spec.wallet have this key?"


@dataclass(frozen=True)
class Account:
    """The hotkey that sets weights, and its key file."""

    hotkey: str
    hotkey_file: Path

    def on(self, netuid: int) -> str:
        """Return the name of the account on one subnet, as rows record it."""
        return f"{netuid}/{self.hotkey}"


def load_hotkey(path: Path) -> Any:
    """Return the key pair in a hotkey file, which the SDK accepts as a signer. Raises HotkeyFileError."""
    return hotkey_file.load_hotkey(path, if_missing=_IF_MISSING)


def signed_by(path: Path, text: bytes) -> tuple[str, bytes]:
    """Return the hotkey's SS58 address and its signature of a text. Raises HotkeyFileError."""
    key = load_hotkey(path)
    return str(key.ss58_address), bytes(key.sign(text))


def load_seed_key(path: Path) -> bytes:
    """Return the key of this hotkey's secrets of seeds, 32 bytes, from which the hotkey cannot be computed.

    It is the same for every file of the same private key. Raises HotkeyFileError if the file cannot be read.
    """
    content = hotkey_file.read_hotkey_file(path, if_missing=_IF_MISSING)
    try:
        private = str(json.loads(content)["privateKey"]).lower().encode()
    except (ValueError, KeyError, TypeError):
        private = content.strip()
    return hmac.new(private, b"bitagent key of seeds 1", hashlib.sha256).digest()
