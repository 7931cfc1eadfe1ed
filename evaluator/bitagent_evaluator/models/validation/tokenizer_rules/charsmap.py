"""SentencePiece's table of characters (`precompiled_charsmap`): each row has to be a Unicode normalisation.

The table maps strings to strings. It is a length, a double-array trie of so many bytes, and the replacements with a
zero byte after each (https://github.com/google/sentencepiece, `builder.cc` and `normalizer.cc`; the trie is
https://github.com/s-yata/darts-clone). All rows are read, so that none remains unseen.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import string
import struct
import unicodedata
from collections.abc import Iterator
from enum import Enum, auto

MAX_BYTES = 2 << 20
"""Maximum size. SentencePiece's own tables, of which `nmt_nfkc_cf` is the largest, have 250 to 320 kB."""
MAX_KEY_BYTES = 48
"""Maximum length of a key. The longest of SentencePiece's are a letter and its marks."""

MAX_NODES = 1 << 19
"""Maximum number of nodes on the ways to all keys. SentencePiece's own tables have 270,000."""

_LONGEST_FORM = 18
"""Characters of the longest compatibility form, that of U+FDFA."""

_LENGTH = struct.Struct("<I")
_LEAF = 1 << 31
_HAS_LEAF = 1 << 8


class CharsmapError(Exception):
    """The table is malformed, or more than a normalisation; the message says why."""


_CAPITALS = frozenset(string.ascii_uppercase)
KNOWN_TABLES = frozenset(
    {
        "ce10d747170c5e102c99b841d1cdea976d54405ebc44791f9c3636741a894d8f",
        "22342cc048ea558ae308e80926aa93616b88653ddf6f2bb26e3cf24eae8972b8",
        "de92dc72e0a889f99b2625eb6fab03e9f87c436402cb4be61f1b05003bec705e",
        "f0d7aebc9f5b7ef32a4ed371eab715724996ed886a20b24d48e5a76c47c5e652",
        "916ce70b049ab7ff559a1853fdac0a02f9077e76e9aa2a99fb7beff163cfc5ad",
    }
)
"""SHA-256 of SentencePiece's own tables in Base64. They pass the rules below, in two seconds each.

In order: nmt_nfkc as of T5; nmt_nfkc, nfkc, nmt_nfkc_cf and nfkc_cf of SentencePiece 0.2.3.
"""


def check_charsmap(encoded: str) -> None:
    """Raise CharsmapError for a table in Base64 that does more than normalise characters and lower their case."""
    if hashlib.sha256(encoded.encode(errors="replace")).hexdigest() in KNOWN_TABLES:
        return
    lowered: set[str] = set()
    lowers_others = False
    for key, value in read_rows(encoded):
        row = _judge(key, value)
        if row is _Row.OTHER:
            raise CharsmapError(f"it replaces {key!r} by {value!r}, which is not a Unicode normalisation")
        if row is _Row.CASE:
            lowered |= {key} & _CAPITALS
            lowers_others = True
    if lowers_others and lowered != _CAPITALS:
        raise CharsmapError(f"it lowers the case of {len(lowered)} of {len(_CAPITALS)} letters")


_UNKNOWN_OR_MARK = frozenset({"Cn", "Mn", "Mc", "Me"})
_BLANK = frozenset({"Zs", "Zl", "Zp", "Cc", "Cf"})
_WHITE = frozenset(" \t\n\r\u2581")
"""White space that a text of words has; one of these may replace any of `_is_blank`."""


class _Row(Enum):
    """Kinds of rows."""

    FORM = auto()
    """A Unicode normalisation."""
    CASE = auto()
    """The same in lower case."""
    OTHER = auto()


def _judge(key: str, value: str) -> _Row:
    normal = unicodedata.normalize("NFKC", key)
    if len(normal) == 1 and value == normal:
        return _Row.FORM
    if unicodedata.category(key[:1] or " ") == "Cn":
        # A character that this version of Unicode does not know is in no task, but a template may write it.
        alone = all(unicodedata.category(character) in _UNKNOWN_OR_MARK for character in key)
        return _Row.FORM if alone and len(value) <= _LONGEST_FORM and not _blanks(value) else _Row.OTHER
    if all(_is_blank(character) for character in key):
        # Anything else would be fillers, or words without white space between them.
        kept = value in _WHITE or (not value and not _WHITE.intersection(key))
        return _Row.FORM if kept else _Row.OTHER
    if len(key) > 1 and not _is_one_character(normal):
        return _Row.OTHER
    if _blanks(value) > _blanks(unicodedata.normalize("NFKD", key)):
        return _Row.OTHER
    before, after = _form(key), _form(value)
    if before == after:
        return _Row.FORM
    return _Row.CASE if _form(before.casefold()) == _form(after.casefold()) else _Row.OTHER


def _is_one_character(text: str) -> bool:
    """Return whether a text is one character with its marks, or one syllable of Hangul."""
    return all(
        unicodedata.category(character).startswith("M") or 0x1160 <= ord(character) <= 0x11FF for character in text[1:]
    )


def _is_blank(character: str) -> bool:
    """Return whether a character is white space, invisible, or SentencePiece's sign for a blank."""
    return character in "\u2581\ufffd" or unicodedata.category(character) in _BLANK


def _blanks(text: str) -> int:
    return sum(map(_is_blank, text))


def _form(text: str) -> str:
    """Return the text in compatibility form, without what is invisible."""
    return "".join(character for character in unicodedata.normalize("NFKD", text) if not _is_blank(character))


def lowers_case(encoded: str) -> bool:
    """Return whether a table lowers the case of ASCII, by one of its rows. Raises CharsmapError for a malformed one."""
    units, replacements = _parts(encoded)
    start = 0 ^ _offset(units[0])
    place = start ^ ord("A")
    if place >= len(units) or units[place] & (_LEAF | 0xFF) != ord("A") or not units[place] & _HAS_LEAF:
        return False
    leaf = place ^ _offset(units[place])
    return leaf < len(units) and replacements[units[leaf] & (_LEAF - 1) :].startswith(b"a\0")


def read_rows(encoded: str) -> Iterator[tuple[str, str]]:
    """Yield every key of a table with its replacement. Raises CharsmapError for a malformed table."""
    units, replacements = _parts(encoded)
    for key, offset in _keys(units):
        stop = replacements.find(b"\0", offset)
        if offset >= len(replacements) or stop < 0:
            raise CharsmapError("a replacement outside the table")
        try:
            yield key.decode(), replacements[offset:stop].decode()
        except UnicodeDecodeError:
            raise CharsmapError("a row that is not UTF-8") from None


def _parts(encoded: str) -> tuple[tuple[int, ...], bytes]:
    """Return the units of a table's trie, and its replacements."""
    try:
        table = base64.b64decode(encoded, validate=True)
        (length,) = _LENGTH.unpack_from(table)
    except (binascii.Error, ValueError, struct.error):
        raise CharsmapError("it is not a table in Base64") from None
    start, end = _LENGTH.size, _LENGTH.size + length
    if len(table) > MAX_BYTES or length % 4 or length < 4 or end > len(table):
        raise CharsmapError(f"a trie of {length} bytes in a table of {len(table)}")
    return struct.unpack_from(f"<{length // 4}I", table, start), table[end:]


def _keys(units: tuple[int, ...]) -> Iterator[tuple[bytes, int]]:
    """Yield the keys of a double-array trie with their values.

    The places of a trie may be shared, so the number of keys is bounded, not that of places.
    """
    labels: dict[int, list[int]] = {}
    for place, unit in enumerate(units):
        label = unit & (_LEAF | 0xFF)
        if 0 < label < 256:
            labels.setdefault(place ^ label, []).append(label)
    left = MAX_NODES
    stack = [(0, b"")]
    while stack:
        node, key = stack.pop()
        left -= 1
        if not left:
            raise CharsmapError(f"a trie of more than {MAX_NODES} nodes")
        base = node ^ _offset(units[node])
        if units[node] & _HAS_LEAF:
            if base >= len(units) or not units[base] & _LEAF:
                raise CharsmapError("a key without a replacement")
            yield key, units[base] & (_LEAF - 1)
        if len(key) > MAX_KEY_BYTES:
            raise CharsmapError(f"a key of more than {MAX_KEY_BYTES} bytes")
        stack.extend((base ^ label, key + bytes((label,))) for label in labels.get(base, ()))


def _offset(unit: int) -> int:
    """Return the distance to a unit's children, as darts-clone packs it."""
    return (unit >> 10) << ((unit & (1 << 9)) >> 6)
