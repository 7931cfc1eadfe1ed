"""Text that may be shown."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bitagent_crds.printable import BREAKS, escape_all, escape_unprintable, printable_json


@pytest.mark.parametrize(
    "character",
    ["\x00", "\x1b", "\x7f", "\x9b", "\u200b", "\u200d", "\u202e", "\u2066", "\u2028", "\u2029", "\ufeff", "\udc80"],
    ids=ascii,
)
def test_unprintable_character_becomes_its_escape(character: str) -> None:
    assert escape_unprintable(f"a{character}b") == f"a{character.encode('unicode_escape').decode()}b"


@given(st.text(st.characters(codec=None)))
def test_any_text_becomes_printable(text: str) -> None:
    shown = escape_unprintable(text)
    assert shown.isprintable() and isinstance(shown.encode(), bytes)
    assert shown == text or not text.isprintable()


@given(
    st.recursive(
        st.text(st.characters(codec=None)) | st.integers() | st.none(),
        lambda c: st.lists(c) | st.dictionaries(st.text(), c),
    )
)
def test_json_keeps_its_shape(value: object) -> None:
    shown = json.dumps(escape_all(value), ensure_ascii=False)
    assert shown.isprintable()


def test_breaks_stay_where_they_are_kept() -> None:
    assert escape_unprintable("a\n\tb\r", keep=BREAKS) == "a\n\tb\\r"
    assert escape_all({"a\x1b": ["b\x1b", 1, None]}) == {"a\\x1b": ["b\\x1b", 1, None]}


@given(st.text(st.characters(codec=None)))
def test_printable_json_is_the_same_document(text: str) -> None:
    document = printable_json(json.dumps([text], ensure_ascii=False, indent=1))
    assert document.replace("\n", "").isprintable()
    assert json.loads(document) == json.loads(json.dumps([text]))
