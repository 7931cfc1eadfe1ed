from __future__ import annotations

from typing import Any

import pytest

from bitagent_wire.keys import CryptoType, from_hex, to_hex, verified


@pytest.mark.parametrize("crypto", list(CryptoType))
def test_signatures(keys: Any, crypto: CryptoType) -> None:
    signer = keys("//Someone", int(crypto))
    signature = signer.sign(b"text")
    assert from_hex(to_hex(signature)) == signature
    assert verified(b"text", signature, hotkey=signer.ss58_address, crypto=crypto)
    assert not verified(b"other", signature, hotkey=signer.ss58_address, crypto=crypto)
    assert not verified(b"text", signature, hotkey=signer.ss58_address, crypto=CryptoType(1 - crypto))
    assert not verified(b"text", signature[:63], hotkey=signer.ss58_address, crypto=crypto)


@pytest.mark.parametrize("hotkey", ["", "x", "5" * 48, "\udcff" * 48])
def test_hotkeys_of_no_valid_form(keys: Any, hotkey: str) -> None:
    signature = keys("//Someone").sign(b"text")
    assert not verified(b"text", signature, hotkey=hotkey, crypto=CryptoType.SR25519)
