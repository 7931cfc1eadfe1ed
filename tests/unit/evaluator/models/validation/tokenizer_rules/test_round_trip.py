"""What may differ between a text and what its ids give back."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer

from bitagent_evaluator.models.validation.tokenizer_rules.round_trip import RoundTrip, spell

if TYPE_CHECKING:
    from tests.unit.evaluator.models.validation.tokenizer_rules.conftest import Kit

Json = dict[str, Any]


def opened(content: Json) -> tuple[Tokenizer, RoundTrip]:
    tokenizer = Tokenizer.from_str(json.dumps(content))
    return tokenizer, RoundTrip(tokenizer)


def difference(content: Json, text: str, *, of: str | None = None) -> str | None:
    """The difference of a text from its own ids, or from those of another text."""
    tokenizer, round_trip = opened(content)
    ids = tokenizer.encode(text if of is None else of, add_special_tokens=False).ids
    return round_trip.difference(text, ids)


CHANGED = {
    "a word less": ("the area of it", "the of it"),
    "a word more": ("the area", "the area 5"),
    "another word": ("the area", "the base"),
    "another number": ("base 10", "base 11"),
    "a sign less": ("f(a=1)", "f(a=1"),
    "another case": ("the Area", "the area"),
    "white space within a word": ("area", "a rea"),
    "white space gone": ("the area", "thearea"),
    "a look-alike": ("area", "are\u0430"),
    "an accent less": ("caf\u00e9", "cafe"),
    "everything": ("the area", ""),
}


@pytest.mark.parametrize(("text", "other"), CHANGED.values(), ids=CHANGED)
def test_a_change_is_a_difference(kit: type[Kit], text: str, other: str) -> None:
    assert difference(kit.byte_level_bpe(), text, of=other) is not None
    assert difference(kit.byte_level_bpe(), text) is None


SAME = {
    "white space at the ends": ("  the area\n", "the area"),
    "length of white space": ("the   area\n\nof", "the area of"),
    "beside an added token": ("a <|im_end|>\n b", "a<|im_end|>b"),
    "form of Unicode": ("e\u0301", "\u00e9"),
}


@pytest.mark.parametrize(("text", "other"), SAME.values(), ids=SAME)
def test_white_space_and_form_may_differ(kit: type[Kit], text: str, other: str) -> None:
    assert difference(kit.byte_level_bpe(), text, of=other) is None


DECLARED = {
    "lower case": ({"type": "Lowercase"}, "The AREA"),
    "compatibility": ({"type": "NFKC"}, "\ufb01nd \uff21\u00bd"),
    "accents": ({"type": "Sequence", "normalizers": [{"type": "NFKD"}, {"type": "StripAccents"}]}, "caf\u00e9"),
}


@pytest.mark.parametrize(("normalizer", "text"), DECLARED.values(), ids=DECLARED)
def test_a_declared_form_may_differ(kit: type[Kit], normalizer: Json, text: str) -> None:
    content = kit.byte_level_bpe()
    assert difference(content | {"normalizer": normalizer}, text) is None
    lost, _ = opened(content | {"normalizer": normalizer})
    plain = lost.decode(lost.encode(text, add_special_tokens=False).ids)
    assert difference(content, text, of=plain) is not None, "undeclared, it is a difference"


def unknown(kit: type[Kit]) -> Json:
    return kit.unigram(byte_fallback=False) | {"decoder": kit.metaspace()}


@pytest.mark.parametrize("text", ["the area \u2603 of it", "\u2603", "a\u2603\u2604b", "the <unk> area"])
def test_characters_that_the_vocabulary_does_not_have_may_be_lost(kit: type[Kit], text: str) -> None:
    assert difference(unknown(kit), text) is None


def test_a_vocabulary_has_letters_and_digits(kit: type[Kit]) -> None:
    content = unknown(kit)
    kept = [[text, score] for text, score in content["model"]["vocab"] if "q" not in text]
    assert difference(content | {"model": {**content["model"], "vocab": kept}}, "a quiet place") is not None


@pytest.mark.parametrize("marked", [False, True])
def test_special_tokens_of_the_post_processor_are_no_part_of_the_text(kit: type[Kit], marked: bool) -> None:
    single = [{"SpecialToken": {"id": "<s>", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}}]
    special = {"<s>": {"id": "<s>", "ids": [1], "tokens": ["<s>"]}}
    template = {"type": "TemplateProcessing", "single": single, "pair": single, "special_tokens": special}
    tokenizer, round_trip = opened(
        kit.sentence_piece_bpe() | {"post_processor": template, "decoder": kit.PIECES, "normalizer": kit.TO_BLANK}
    )
    ids = tokenizer.encode("the area", add_special_tokens=marked).ids
    assert round_trip.difference("the area", ids, special=marked) is None
    assert (round_trip.difference("the area", ids, special=not marked) is None) is False


@pytest.fixture(scope="module")
def with_bytes(kit: type[Kit]) -> tuple[Tokenizer, RoundTrip]:
    return opened(kit.byte_level_bpe())


@given(text=st.text(st.characters(codec="utf-8"), max_size=60))
def test_any_text_comes_back_from_bytes(with_bytes: tuple[Tokenizer, RoundTrip], text: str) -> None:
    tokenizer, round_trip = with_bytes
    assert round_trip.difference(text, tokenizer.encode(text, add_special_tokens=False).ids) is None


@pytest.mark.parametrize(
    ("tokens", "decoders", "text"),
    [
        (["\u2581the", "\u2581area"], {"Replace"}, " the area"),
        (["<0xC3>", "<0xA9>", "a"], {"ByteFallback"}, "\u00e9a"),
        (["<0xC3>", "a"], {"ByteFallback"}, "\ufffda"),
        (["<0xC3>", "<0x41>"], {"ByteFallback"}, "\ufffd\ufffd"),
        (["<0x41>"], {"Fuse"}, "<0x41>"),
        (["\u0120caf\u00c3", "\u00a9"], {"ByteLevel"}, " caf\u00e9"),
    ],
)
def test_the_text_of_tokens_one_by_one(tokens: list[str], decoders: set[str], text: str) -> None:
    assert spell(tokens, decoders) == text
