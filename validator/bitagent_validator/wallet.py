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

from bittensor.sp_core import (
    KeyfileError,
    deserialize_keypair_from_keyfile_data,
    keyfile_data_is_encrypted,
)

DEFAULT_FILE = Path("/etc/bitagent/wallet/hotkey")
MAX_BYTES = 64 * 1024


@dataclass(frozen=True)
class Account:
    """The hotkey that sets weights, and its key file."""

    hotkey: str
    hotkey_file: Path

    def on(self, netuid: int) -> str:
        """Return the name of the account on one subnet, as rows record it."""
        return f"{netuid}/{self.hotkey}"


class WalletError(Exception):
    """The hotkey file cannot be used; the message says what to do, and never quotes the file."""


def load_hotkey(path: Path) -> Any:
    """Return the key pair in a hotkey file, which the SDK accepts as a signer.

    Raises WalletError if the file is missing, unreadable, encrypted, or not a hotkey file.
    """
    content = _read(path)
    if keyfile_data_is_encrypted(content):
        raise WalletError(
            f"the hotkey at {path} is encrypted, and a pod cannot ask for the password; put the unencrypted hotkey "
            "file, as the wallet tool writes it without a password, into the Secret"
        )
    try:
        key = deserialize_keypair_from_keyfile_data(content)
        # Signing fails for a public key alone, which deserialises as well.
        key.sign(b"bitagent")
    except (KeyfileError, ValueError, TypeError):
        # Not chained: such messages may quote the file.
        raise WalletError(
            f"{path} is not a hotkey file: it should be the JSON that the wallet tool writes to hotkeys/NAME, not "
            "hotkeys/NAMEpub.txt and not a coldkey"
        ) from None
    return key


def signed_by(path: Path, text: bytes) -> tuple[str, bytes]:
    """Return the hotkey's SS58 address and its signature of a text. Raises WalletError if the file cannot be used."""
    key = load_hotkey(path)
    return str(key.ss58_address), bytes(key.sign(text))


def load_seed_key(path: Path) -> bytes:
    """Return the key of this hotkey's secrets of seeds, 32 bytes, from which the hotkey cannot be computed.

    It is the same for every file of the same private key. Raises WalletError if the file cannot be read.
    """
    content = _read(path)
    try:
        private = str(json.loads(content)["privateKey"]).lower().encode()
    except (ValueError, KeyError, TypeError):
        private = content.strip()
    return hmac.new(private, b"bitagent key of seeds 1", hashlib.sha256).digest()


def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(MAX_BYTES)
    except FileNotFoundError:
        raise WalletError(f"there is no hotkey at {path}: does the Secret of spec.wallet have this key?") from None
    except OSError as error:
        raise WalletError(f"the hotkey at {path} cannot be read: {error.strerror}") from None
