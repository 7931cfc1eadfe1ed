"""Development keys: a URI such as ``//Validator`` always gives the same key pair.

Such keys are public knowledge; they are for this chain only.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import bittensor_core


def address(key: str) -> str:
    """Return the ss58 address of a development URI; an address is returned unchanged.

    Raises ValueError if `key` is neither a URI that starts with ``//`` nor a valid address.
    """
    if key.startswith("//"):
        return str(bittensor_core.Keypair.create_from_uri(key).ss58_address)
    try:
        bittensor_core.ss58_decode(key)
    except ValueError as error:
        raise ValueError(
            f"{key!r} is neither an ss58 address nor a development URI such as //Alice: {error}"
        ) from error
    return key


def default_coldkey(hotkey: str) -> str:
    """Return the coldkey of a neuron without one: ``//Alice-cold`` for ``//Alice``, otherwise the hotkey itself."""
    return f"{hotkey}-cold" if hotkey.startswith("//") else hotkey


def keyfile(uri: str) -> bytes:
    """Return an unencrypted key file for the SDK's wallet; the same bytes for the same URI.

    Raises ValueError if `uri` is not a development URI.
    """
    if not uri.startswith("//"):
        raise ValueError(f"{uri!r} is not a development URI such as //Validator")
    return _file(bittensor_core.Keypair.create_from_uri(uri))


def public_keyfile(uri: str) -> bytes:
    """Return the file of a key's public half for the SDK's wallet."""
    return _file(bittensor_core.Keypair(ss58_address=address(uri)))


def write_wallet(folder: Path, *, name: str, hotkey: str, coldkey: str) -> None:
    """Write a wallet of development keys, as the SDK lays one out: ``folder/name/hotkeys/default`` and so on."""
    wallet = folder / name
    (wallet / "hotkeys").mkdir(parents=True, exist_ok=True)
    write_private(wallet / "coldkey", keyfile(coldkey))
    write_private(wallet / "coldkeypub.txt", public_keyfile(coldkey))
    write_private(wallet / "hotkeys" / "default", keyfile(hotkey))
    write_private(wallet / "hotkeys" / "defaultpub.txt", public_keyfile(hotkey))


def write_private(file: Path, content: bytes) -> None:
    """Write a file that only its owner may read."""
    with open(file, "wb", opener=lambda path, flags: os.open(path, flags, 0o600)) as out:
        out.write(content)


def _file(pair: Any) -> bytes:
    content = json.loads(bytes(bittensor_core.serialized_keypair_to_keyfile_data(pair)))
    return json.dumps(content, sort_keys=True).encode()
