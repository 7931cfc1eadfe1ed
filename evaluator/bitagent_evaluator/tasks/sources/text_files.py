"""Texts of data files: their encoding, and what a file is that has no text of rows at all."""

from __future__ import annotations

import codecs
import itertools
import re
from collections.abc import Iterable, Iterator
from typing import Protocol


class Streamed(Protocol):
    """A file that can be read from its beginning."""

    def stream(self) -> Iterator[bytes]:
        """Yield all of it."""
        ...


_KINDS = (
    (b"version https://git-lfs", "a Git LFS pointer, not the file it stands for: fetch that with `git lfs pull`"),
    (b"\x1f\x8b", "a compressed file: its name must end in .gz"),
    (b"(\xb5/\xfd", "a file compressed with zstd: decompress it"),
    (b"BZh", "a file compressed with bzip2: decompress it"),
    (b"\xfd7zXZ", "a file compressed with xz: decompress it"),
    (b"PK\x03\x04", "a ZIP archive or a spreadsheet: unpack it, or export it as CSV"),
    (b"\xd0\xcf\x11\xe0", "a spreadsheet of Excel's older format: export it as CSV"),
    (b"PAR1", "a Parquet file: its name must end in .parquet"),
    (b"ARROW1", "an Arrow file: write it as Parquet"),
    (b"\xff\xff\xff\xff", "an Arrow file of `datasets`: write it as Parquet (Dataset.to_parquet)"),
    (b"\x80\x02", "a pickle of Python, which can run code: write it as JSON Lines or Parquet"),
    (b"\x80\x03", "a pickle of Python, which can run code: write it as JSON Lines or Parquet"),
    (b"\x80\x04", "a pickle of Python, which can run code: write it as JSON Lines or Parquet"),
    (b"\x80\x05", "a pickle of Python, which can run code: write it as JSON Lines or Parquet"),
    (b"\x93NUMPY", "an array of NumPy: write it as JSON Lines or Parquet"),
    (b"SQLite format 3", "a database: export the table as CSV"),
)
"""What a file is by its first bytes."""
_WEB_PAGE = re.compile(rb"\s{0,64}<(?:!doctype|html)", re.IGNORECASE)


def check_is_text(beginning: bytes) -> None:
    """Raise ValueError, with what to do, if a file that should be a text begins as one of another kind does."""
    for mark, kind in _KINDS:
        if beginning.startswith(mark):
            raise ValueError(f"this is {kind}")
    if _WEB_PAGE.match(beginning):
        raise ValueError("this is a web page: take the address of the file itself")


def in_utf8(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """Yield a text in UTF-8, whatever encoding it announces. Raises ValueError if it is not in that, or no text."""
    iterator = iter(pieces)
    first = next(iterator, b"")
    check_is_text(first)
    encoding = encoding_of(first)
    if encoding == _UTF_8:
        yield first
        yield from iterator
        return
    decoder = codecs.getincrementaldecoder(encoding)()
    try:
        for piece in itertools.chain([first], iterator):
            yield decoder.decode(piece).encode()
        decoder.decode(b"", final=True)
    except UnicodeDecodeError as error:
        raise ValueError(not_unicode(error)) from None


def text_of(file: Streamed) -> Iterator[str]:
    """Yield the text in pieces. Raises ValueError if it is not in the encoding that it announces, or no text."""
    decoder: codecs.IncrementalDecoder | None = None
    line = 1
    try:
        for piece in file.stream():
            if decoder is None:
                check_is_text(piece)
                decoder = codecs.getincrementaldecoder(encoding_of(piece))()
            text = decoder.decode(piece)
            line += text.count("\n")
            yield text
        if decoder is not None:
            yield decoder.decode(b"", final=True)
    except UnicodeDecodeError as error:
        line += error.object[: error.start].count(b"\n")
        raise ValueError(f"line {line}: {not_unicode(error)}") from None


_UTF_8 = "utf-8-sig"
"""UTF-8, with or without a byte-order mark."""


def encoding_of(beginning: bytes) -> str:
    """Return the encoding that a byte-order mark announces; UTF-8 without one."""
    if beginning.startswith((codecs.BOM_UTF32_LE, codecs.BOM_UTF32_BE)):  # before UTF-16, whose mark it begins with
        return "utf-32"
    return "utf-16" if beginning.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)) else _UTF_8


def not_unicode(error: UnicodeDecodeError) -> str:
    """Return what is wrong with a text that cannot be decoded, and what to do."""
    byte = error.object[error.start : error.start + 1].hex()
    return f"not UTF-8 (byte 0x{byte}); is it from a spreadsheet? Save it as UTF-8"
