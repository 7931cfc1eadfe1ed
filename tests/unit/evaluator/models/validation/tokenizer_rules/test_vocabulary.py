"""Texts of tokens: pieces, words, white space and markers; few phrases, nothing long."""

from __future__ import annotations

import pytest

from bitagent_crds.conditions import Reason
from bitagent_evaluator.models.validation.tokenizer_rules.vocabulary import (
    MAX_TOKEN_CHARACTERS,
    MAX_UNSPACED,
    byte_alphabet,
    check_length,
    is_benchmark_literal,
    is_marker,
    is_phrase,
    model_type,
    text_of,
    uses_bytes,
)
from bitagent_evaluator.sandbox.protocol import Refused


@pytest.mark.parametrize(
    ("text", "phrase"),
    [
        ("area", False),
        (" area", False),
        ("n't", False),
        ("3.5", False),
        ('", "', False),
        ("\n    \n", False),
        ("get_current_weather", False),
        ("\u0e02\u0e49\u0e2d\u0e21\u0e39\u0e25", False),
        ("<|start of turn|>", True),
        ("<\uff5cbegin\u2581of\u2581sentence\uff5c>", False),
        ("the area", True),
        ("the\u2581area", True),
        ("the\u00a0area", True),
        ('"name":"area","description', True),
        ("a.b.c", True),
        ("the _area", True),
        ("__init__(self", False),
    ],
)
def test_phrases(text: str, phrase: bool) -> None:
    assert is_phrase(text) is phrase


@pytest.mark.parametrize(
    "text",
    [
        *("<s>", "</s>", "<|im_start|>", "<tool_call>", "[INST]", "[/INST]", "[@BOS@]", "<0x0A>", "[control_12]"),
        *("<\uff5cUser\uff5c>", "<\uff5cplace\u2581holder\u2581no\u25811\uff5c>", "|||EMAIL|||", ">>TITLE<<"),
    ],
)
def test_markers(text: str) -> None:
    assert is_marker(text)


@pytest.mark.parametrize(
    "text",
    ["area", "<a b>", "<", "[the area]", ">>the area<<", "|||the area|||", '{"name"}', "<" + "x" * 99 + ">", None, ""],
)
def test_what_is_no_marker(text: object) -> None:
    assert not is_marker(text)


@pytest.mark.parametrize(
    "text",
    [
        "x" * MAX_TOKEN_CHARACTERS,
        "-" * 500,
        "//" + "-" * 110,
        " " * 1024,
        "\n" + " " * 150,
        "\u00c3\u00c2" * 40,
        "qhievofjucdnmbpxazrlktwsgy" * 4,
        "習" * MAX_UNSPACED,
        "\u2014" * 60,
    ],
    ids=len,
)
def test_lengths_that_vocabularies_have(text: str) -> None:
    check_length(text)


LONG = {
    "letters": "abcdefghijklm" * 4 + "nopqrstuvwxyz",
    "blanks without an end": " " * 1025,
    "ideographs": "".join(chr(0x4E00 + number) for number in range(MAX_UNSPACED + 1)),
    "Thai letters": "".join(chr(0x0E01 + number) for number in range(MAX_UNSPACED + 1)),
    "a period that is long": "".join(chr(33 + number) for number in range(40)) * 2,
}


@pytest.mark.parametrize("text", LONG.values(), ids=LONG)
def test_a_long_token_is_refused(text: str) -> None:
    with pytest.raises(Refused) as error:
        check_length(text)
    assert error.value.reason == Reason.BAD_TOKENIZER


def test_tokens_of_bytes_have_the_text_of_their_bytes() -> None:
    assert len(byte_alphabet()) == 256 and set(byte_alphabet().values()) == set(range(256))
    assert text_of("\u0120caf\u00c3\u00a9", byte_level=True) == " caf\u00e9"
    assert text_of("\u00c3", byte_level=True) == "\ufffd"
    assert text_of("<\uff5cUser\uff5c>", byte_level=True) == "<\uff5cUser\uff5c>"
    assert text_of("\u2581caf\u00e9", byte_level=False) == " caf\u00e9"


def test_literals_of_a_benchmark() -> None:
    assert is_benchmark_literal(" calculate_triangle_area ")
    assert not is_benchmark_literal("translatesAutoresizingMaskIntoConstraints")


def test_early_files_do_not_name_the_model() -> None:
    assert model_type({"vocab": {}, "merges": []}) == "BPE"
    assert model_type({"vocab": [["a", 0]], "unk_id": 0}) == "Unigram"
    assert model_type({"vocab": {}, "unk_token": "x"}) == ""


def test_decoders_of_bytes() -> None:
    nested = {"type": "Sequence", "decoders": [{"type": "Sequence", "decoders": [{"type": "ByteLevel"}]}]}
    assert uses_bytes({"type": "ByteLevel"}) and uses_bytes(nested)
    assert not uses_bytes(None) and not uses_bytes({"type": "Sequence", "decoders": [{"type": "Fuse"}]})
