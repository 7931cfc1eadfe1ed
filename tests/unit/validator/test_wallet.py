"""The hotkey file: what works, and what a person reads when it does not."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from bittensor.sp_core import Keypair, encrypt_keyfile_data, serialized_keypair_to_keyfile_data

from bitagent_validator.wallet import load_hotkey, load_seed_key
from bitagent_wire.hotkey_file import HotkeyFileError

KEY = Keypair.create_from_uri("//Test")
KEYFILE = bytes(serialized_keypair_to_keyfile_data(KEY))
SECRET = json.loads(KEYFILE).get("secretSeed") or json.loads(KEYFILE)["privateKey"]


def test_a_hotkey_file_signs(tmp_path: Path) -> None:
    path = tmp_path / "hotkey"
    path.write_bytes(KEYFILE)
    key = load_hotkey(path)
    assert key.ss58_address == KEY.ss58_address
    assert KEY.verify(b"hello", key.sign(b"hello"))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        pytest.param(b"", "not a hotkey file", id="empty"),
        pytest.param(b"{", "not a hotkey file", id="broken JSON"),
        pytest.param(json.dumps({"ss58Address": KEY.ss58_address}).encode(), "hotkeys/NAMEpub.txt", id="public half"),
        pytest.param(None, "is encrypted", id="encrypted"),
        pytest.param(KEYFILE[:-20], "not a hotkey file", id="cut short"),
    ],
)
def test_other_files_are_refused_without_quoting_them(tmp_path: Path, content: bytes | None, message: str) -> None:
    path = tmp_path / "hotkey"
    # Encrypting takes seconds: not while the tests are collected.
    path.write_bytes(bytes(encrypt_keyfile_data(KEYFILE, "secret")) if content is None else content)
    with pytest.raises(HotkeyFileError, match=message) as raised:
        load_hotkey(path)
    assert SECRET not in str(raised.value)
    assert raised.value.__cause__ is None


def test_a_missing_file_points_to_the_secret(tmp_path: Path) -> None:
    with pytest.raises(HotkeyFileError, match=r"does the Secret of spec\.wallet have this key"):
        load_hotkey(tmp_path / "hotkey")


def test_a_folder_is_no_hotkey(tmp_path: Path) -> None:
    with pytest.raises(HotkeyFileError, match="cannot be read"):
        load_hotkey(tmp_path)


def test_the_key_of_seeds_follows_from_the_private_key(tmp_path: Path) -> None:
    """However the file is written: a pod that replaces this one must find the same."""
    first, second, other = (tmp_path / name for name in ("first", "second", "other"))
    first.write_bytes(KEYFILE)
    second.write_text(json.dumps(json.loads(KEYFILE), indent=2))
    other.write_bytes(bytes(serialized_keypair_to_keyfile_data(Keypair.create_from_uri("//Other"))))
    key = load_seed_key(first)
    assert (len(key), load_seed_key(second)) == (32, key)
    assert load_seed_key(other) != key
    assert key.hex() not in KEYFILE.decode()


def test_the_key_of_seeds_needs_the_file(tmp_path: Path) -> None:
    with pytest.raises(HotkeyFileError, match=r"spec\.wallet"):
        load_seed_key(tmp_path / "hotkey")
