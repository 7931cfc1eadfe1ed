"""SentencePiece's table of characters: normalisations are allowed, other rows are not."""

from __future__ import annotations

import base64
import struct
from typing import TYPE_CHECKING

import pytest

from bitagent_evaluator.models.validation.tokenizer_rules import charsmap
from bitagent_evaluator.models.validation.tokenizer_rules.charsmap import (
    CharsmapError,
    check_charsmap,
    lowers_case,
    read_rows,
)

if TYPE_CHECKING:
    from tests.unit.evaluator.models.validation.tokenizer_rules.conftest import Kit

CAPITALS = {chr(code): chr(code + 32) for code in range(ord("A"), ord("Z") + 1)}
FORMS = {
    "compatibility": {"\u00bd": "1\u20442", "\ufb01": "fi", "\u32ff": "\u4ee4\u548c"},
    "composition": {"e\u0301": "\u00e9", "\u1112\u1161\u11ab": "\ud55c", "\uff76\uff9e": "\u30ac"},
    "white space": {"\t": " ", "\u3000": " ", "\u2028": " ", "\u0007": "", "\u200b": " ", "\ufeff": ""},
    "lower case": {**CAPITALS, "\u00c9": "\u00e9", "\u00df": "ss"},
    "a character of later versions of Unicode": {"\U0001e043": "\u0445"},
}


@pytest.mark.parametrize("rows", FORMS.values(), ids=FORMS)
def test_a_normalisation_is_allowed(kit: type[Kit], rows: dict[str, str]) -> None:
    table = kit.charsmap(rows)
    assert dict(read_rows(table)) == rows
    check_charsmap(table)
    assert lowers_case(table) is ("A" in rows)


OTHERS = {
    "a word": {"area": "x"},
    "a letter": {"a": "b"},
    "a letter for white space": {" ": "a"},
    "white space for a letter": {"a": " "},
    "a look-alike": {"a": "\u0430"},
    "several characters": {"\ufb01\ufb01": "fifi"},
    "some capitals": dict(list(CAPITALS.items())[:13]),
    "small letters become capitals": {"a": "A"},
    "lower case without the alphabet": {"\u00c9": "\u00e9"},
    "a private character": {"\ue000": "area"},
    "an invisible character after a letter": {"a": "a\u200b"},
    "a word after a character of later versions": {"\u0378area": "\u0378area\u200b"},
    "a text for a character of later versions": {"\u0378": "the area of a triangle"},
    "white space is lost": {"\n": ""},
    "white space grows": {" ": "  "},
    "something invisible for white space": {" ": "\u200b"},
    "fillers for something invisible": {"\u200b": "\ufffd"},
    "a long row": {"a" + "\u0301" * 40: "\u00e1"},
}


@pytest.mark.parametrize("rows", OTHERS.values(), ids=OTHERS)
def test_another_row_is_refused(kit: type[Kit], rows: dict[str, str]) -> None:
    with pytest.raises(CharsmapError):
        check_charsmap(kit.charsmap(rows))


def packed(units: list[int], replacements: bytes = b"", *, length: int | None = None) -> str:
    trie = struct.pack(f"<{len(units)}I", *units)
    return base64.b64encode(struct.pack("<I", len(trie) if length is None else length) + trie + replacements).decode()


LOOP = [1 << 10 | ord("a"), *[0] * 255]
"""Unit 0 leads to unit 1 ^ label; one that leads back makes keys without an end."""

MALFORMED = {
    "no Base64": "?",
    "nothing": "",
    "too short": "AAAA",
    "trie longer than the table": packed([0], length=400),
    "no trie": packed([]),
    "no replacement": packed([1 << 10 | 1 << 8, 1 << 31 | 5], b"a\0"),
    "no end of a replacement": packed([1 << 10 | 1 << 8, 1 << 31], b"a"),
    "a key without a leaf": packed([1 << 10 | 1 << 8, 0], b"a\0"),
    "no UTF-8": packed([1 << 10 | 1 << 8, 1 << 31], b"\xff\0"),
}


@pytest.mark.parametrize("table", MALFORMED.values(), ids=MALFORMED)
def test_a_malformed_table_is_refused(table: str) -> None:
    with pytest.raises(CharsmapError):
        check_charsmap(table)


def test_keys_without_an_end_are_refused() -> None:
    label = ord("a")
    units = [0] * 256
    units[label] = label | label << 10  # its children begin at 0, where it is itself
    with pytest.raises(CharsmapError, match="more than"):
        check_charsmap(packed(units))


def test_the_number_of_keys_is_bounded(kit: type[Kit], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(charsmap, "MAX_NODES", 10)
    with pytest.raises(CharsmapError, match="nodes"):
        check_charsmap(kit.charsmap(CAPITALS))


def test_a_known_table_is_not_read(kit: type[Kit], monkeypatch: pytest.MonkeyPatch) -> None:
    table = kit.charsmap({"a": "b"})
    import hashlib

    monkeypatch.setattr(charsmap, "KNOWN_TABLES", {hashlib.sha256(table.encode()).hexdigest()})
    check_charsmap(table)
