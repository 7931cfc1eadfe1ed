"""The hotkey file: the SDK's keyfile, unencrypted. The key is read into the signer and stored nowhere else."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from bittensor.sp_core import KeyfileError, deserialize_keypair_from_keyfile_data, keyfile_data_is_encrypted

DEFAULT_FILE = Path("/etc/bitagent/wallet/hotkey")
MAX_BYTES = 64 * 1024


class HotkeyFileError(Exception):
    """The hotkey file cannot be used; the message says what to do, and never quotes the file."""


def read_hotkey_file(path: Path, *, if_missing: str) -> bytes:
    """Return the bytes of a hotkey file. Raises HotkeyFileError; `if_missing` is what to do if there is none."""
    try:
        with path.open("rb") as file:
            return file.read(MAX_BYTES)
    except FileNotFoundError:
        raise HotkeyFileError(f"there is no hotkey at {path}: {if_missing}") from None
    except OSError as error:
        raise HotkeyFileError(f"the hotkey at {path} cannot be read: {error.strerror}") from None


def load_hotkey(path: Path, *, if_missing: str) -> Any:
    """Return the key pair in a hotkey file, which the SDK and the wire accept as a signer.

    Raises HotkeyFileError if the file is missing, unreadable, encrypted, or not a hotkey file. `if_missing` is what to
    do if there is none.
    """
    content = read_hotkey_file(path, if_missing=if_missing)
    if keyfile_data_is_encrypted(content):
        raise HotkeyFileError(
            f"the hotkey at {path} is encrypted, and a pod cannot ask for the password; use the unencrypted hotkey "
            "file, as the wallet tool writes it without a password"
        )
    try:
        key = deserialize_keypair_from_keyfile_data(content)
        # Signing fails for a public key alone, which deserialises as well.
        key.sign(b"bitagent")
    except (KeyfileError, ValueError, TypeError):
        # Not chained: such messages may quote the file.
        raise HotkeyFileError(
            f"{path} is not a hotkey file: it should be the JSON that the wallet tool writes to hotkeys/NAME, not "
            "hotkeys/NAMEpub.txt and not a coldkey"
        ) from None
    return key
