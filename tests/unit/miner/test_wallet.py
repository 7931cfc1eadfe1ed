from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from bitagent_local.chain import keys
from bitagent_miner.wallet import load_hotkey
from bitagent_wire.hotkey_file import HotkeyFileError


def test_a_hotkey_file_signs(hotkey_file: Any) -> None:
    key = load_hotkey(hotkey_file("//Miner"))
    assert key.ss58_address == keys.address("//Miner")
    assert key.sign(b"x")


@pytest.mark.parametrize("content", [None, b"", b"{}", b"$NACL0000", b"secret words of a coldkey", "public"])
def test_files_that_are_no_hotkey(tmp_path: Path, content: Any) -> None:
    path = tmp_path / "hotkey"
    if content is not None:
        path.write_bytes(keys.public_keyfile("//Miner") if content == "public" else content)
    with pytest.raises(HotkeyFileError) as caught:
        load_hotkey(path)
    assert "secret" not in str(caught.value)
