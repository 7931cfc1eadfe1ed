"""The parts of the SCALE encoding that are written by hand; typed values are encoded by the runtime."""

from __future__ import annotations

import hashlib


def compact(value: int) -> bytes:
    """Return the compact encoding of an unsigned integer below 2**30. Raises ValueError outside that range."""
    if value < 0 or value >= 1 << 30:
        raise ValueError(f"compact integer out of range: {value}")
    if value < 1 << 6:
        return bytes([value << 2])
    if value < 1 << 14:
        return (value << 2 | 1).to_bytes(2, "little")
    return (value << 2 | 2).to_bytes(4, "little")


def read_compact(data: bytes, offset: int = 0) -> tuple[int, int]:
    """Return a compact integer and the offset after it. Raises ValueError if the data end inside the integer."""
    if offset >= len(data):
        raise ValueError("data end before a compact integer")
    mode = data[offset] & 3
    if mode == 3:
        start, size, shift = offset + 1, (data[offset] >> 2) + 4, 0
    else:
        start, size, shift = offset, 1 << mode, 2
    if start + size > len(data):
        raise ValueError("data end inside a compact integer")
    return int.from_bytes(data[start : start + size], "little") >> shift, start + size


def sized(data: bytes) -> bytes:
    """Prefix bytes with their length, as SCALE writes vectors, strings and opaque values."""
    return compact(len(data)) + data


def text(value: str) -> bytes:
    """Encode a string."""
    return sized(value.encode())


def blake2_256(data: bytes) -> bytes:
    """Return the chain's hash of blocks and extrinsics."""
    return hashlib.blake2b(data, digest_size=32).digest()


def to_hex(data: bytes) -> str:
    """Encode bytes for JSON-RPC."""
    return "0x" + data.hex()


def plain_bytes(value: str | bytes | bytearray) -> bytes:
    """Return bytes of a decoded value, which is hexadecimal, or text where the bytes are UTF-8."""
    if not isinstance(value, str):
        return bytes(value)
    return from_hex(value) if value.startswith("0x") else value.encode()


def from_hex(value: str) -> bytes:
    """Decode bytes from JSON-RPC. Raises ValueError if the value is not hexadecimal."""
    return bytes.fromhex(value.removeprefix("0x"))
