"""Headers that cannot be read."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest

from bitagent_local.models import safetensors_header

HEADERS: dict[str, tuple[bytes, str]] = {
    "too short": (b"abc", "too short"),
    "absurd length": (struct.pack("<Q", 2**62), "claims a header of 4611686018427387904 bytes"),
    "no object": (struct.pack("<Q", 2) + b"[]", "not a JSON object"),
    "no JSON": (struct.pack("<Q", 2) + b"{,", "Expecting property name"),
}


@pytest.mark.parametrize(("content", "message"), HEADERS.values(), ids=HEADERS.keys())
def test_unreadable_headers(content: bytes, message: str, tmp_path: Path) -> None:
    file = tmp_path / "x.safetensors"
    file.write_bytes(content)
    with pytest.raises(ValueError, match=message):
        safetensors_header.read(file)
