"""The hotkey file: the SDK's keyfile, unencrypted. The key is read into the signer and stored nowhere else."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from bittensor.sp_core import KeyfileError, deserialize_keypair_from_keyfile_data, keyfile_data_is_encrypted

DEFAULT_FILE = Path("/etc/bitagent/wallet/hotkey")
MAX_BYTES = 64 * 1024


class WalletError(Exception):
    """The hotkey file cannot be used; the message says what to do, and never quotes the file."""


def load_hotkey(path: Path) -> Any:
    """Return the key pair in a hotkey file, which the SDK and the wire accept as a signer.

    Raises WalletError if the file is missing, unreadable, encrypted, or not a hotkey file.
    """
    try:
        with path.open("rb") as file:
            content = file.read(MAX_BYTES)
    except FileNotFoundError:
        raise WalletError(f"there is no hotkey at {path}: give --hotkey-file, or mount the Secret there") from None
    except OSError as error:
        raise WalletError(f"the hotkey at {path} cannot be read: {error.strerror}") from None
    if keyfile_data_is_encrypted(content):
        raise WalletError(
            f"the hotkey at {path} is encrypted, and a pod cannot ask for the password; use the unencrypted hotkey "
            "file, as the wallet tool writes it without a password"
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
