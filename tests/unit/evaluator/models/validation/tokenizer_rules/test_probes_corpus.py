"""Honest tokenizers of all families, as converters and trainers export them: none is refused.

Each is small, with the components of the family's `tokenizer.json`.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest
from tokenizers import Tokenizer

from bitagent_evaluator.models.validation.tokenizer_rules.round_trip import RoundTrip

if TYPE_CHECKING:
    from tests.unit.evaluator.models.validation.tokenizer_rules.conftest import Kit

Json = dict[str, Any]
Build = Callable[["type[Kit]"], Json]

CONTRACTIONS = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)"
REST = r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
THREE_DIGITS = rf"{CONTRACTIONS}|[^\r\n\p{{L}}\p{{N}}]?\p{{L}}+|\p{{N}}{{1,3}}{REST}"
ONE_DIGIT = rf"{CONTRACTIONS}|[^\r\n\p{{L}}\p{{N}}]?\p{{L}}+|\p{{N}}{REST}"
POSSESSIVE = (
    r"'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}++|\p{N}{1,3}+| ?[^\s\p{L}\p{N}]++[\r\n]*+|\s++$|\s*[\r\n]"
    r"|\s+(?!\S)|\s"
)
CASES = (
    r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?"
    r"|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?"
    r"|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
TEKKEN = CASES.replace(CONTRACTIONS + "?", "").replace(r"\p{N}{1,3}", r"\p{N}")
DEEPSEEK = (
    r"[!\"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+| ?[\p{P}\p{S}]+[\r\n]*"
    r"|\s*[\r\n]+|\s+(?!\S)|\s+"
)
BLOOM = " ?[^(\\s|[.,!?…。，、।۔،])]+"
GPT_2 = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"


def special(name: str) -> Json:
    return {"SpecialToken": {"id": name, "type_id": 0}}


ITSELF = {"Sequence": {"id": "A", "type_id": 0}}


def affixes(number: int, name: str, *, behind: bool = False) -> Json:
    """A post-processor with one special token, before or behind the text."""
    pieces = [ITSELF, special(name)] if behind else [special(name), ITSELF]
    return {
        "type": "TemplateProcessing",
        "single": pieces,
        "pair": [*pieces, {"Sequence": {"id": "B", "type_id": 1}}],
        "special_tokens": {name: {"id": name, "ids": [number], "tokens": [name]}},
    }


def bytes_(kit: type[Kit], *splits: Json, **changes: Any) -> Json:
    """Byte-level BPE with these splits before the bytes."""
    content = kit.byte_level_bpe()
    return {**content, "pre_tokenizer": kit.pre(*splits, kit.byte_level()), **changes}


def pieces(kit: type[Kit], **changes: Any) -> Json:
    """BPE of a converted SentencePiece model."""
    return {**kit.sentence_piece_bpe(), "decoder": kit.PIECES, "post_processor": affixes(1, "<s>"), **changes}


def model(content: Json, **changes: Any) -> Json:
    return {**content, "model": {**content["model"], **changes}}


def early_gpt_2(kit: type[Kit]) -> Json:
    """Without the model's type, and with merges as text."""
    content = kit.byte_level_bpe()
    old = {key: value for key, value in content["model"].items() if key not in ("type", "ignore_merges")}
    return {**content, "model": {**old, "merges": [" ".join(pair) for pair in old["merges"]]}}


def t5(kit: type[Kit]) -> Json:
    old = {"type": "Metaspace", "replacement": "\u2581", "str_rep": "\u2581", "add_prefix_space": True}
    content = {**kit.unigram(byte_fallback=False), "post_processor": affixes(2, "</s>", behind=True)}
    plain = {key: value for key, value in content["model"].items() if key in ("unk_id", "vocab")}
    return {**content, "model": plain, "normalizer": kit.precompiled(FORMS), "pre_tokenizer": kit.pre(
        {"type": "WhitespaceSplit"}, old
    ), "decoder": old}  # fmt: skip


FORMS = {
    "\u00bd": "1\u20442", "\ufb01": "fi", "\uff21": "A", "\uff22": "B", "e\u0301": "\u00e9", "\u2122": "TM",
    "\t": " ", "\n": " ", "\r": " ", "\u3000": " ", "\u200d": "", "\u1112\u1161\u11ab": "\ud55c",
}  # fmt: skip
"""Rows of a table, as those of nmt_nfkc."""
LOWER = {chr(code): chr(code + 32) for code in range(ord("A"), ord("Z") + 1)}

FAMILIES: dict[str, Build] = {
    "GPT-2": lambda kit: {**kit.byte_level_bpe(), "post_processor": kit.byte_level(regex=True)},
    "GPT-2, early file": early_gpt_2,
    "GPT-2 pattern": lambda kit: bytes_(kit, kit.split(GPT_2)),
    "GPT-NeoX, Pythia": lambda kit: {**kit.byte_level_bpe(), "normalizer": {"type": "NFC"}},
    "prefix space": lambda kit: {**kit.byte_level_bpe(), "pre_tokenizer": kit.byte_level(prefix=True, regex=True)},
    "Qwen 2, 2.5, 3": lambda kit: bytes_(
        kit, kit.split(ONE_DIGIT), normalizer={"type": "NFC"}, post_processor=kit.byte_level()
    ),
    "Llama 3": lambda kit: model(
        bytes_(kit, kit.split(THREE_DIGITS), post_processor=affixes(0, "<|endoftext|>")), ignore_merges=True
    ),
    "Llama 3.1": lambda kit: bytes_(kit, kit.split(THREE_DIGITS), post_processor={
        "type": "Sequence", "processors": [kit.byte_level(regex=True), affixes(0, "<|endoftext|>")],
    }),
    "Tekken, converted": lambda kit: bytes_(kit, kit.split(TEKKEN)),
    "Phi 4": lambda kit: bytes_(kit, kit.split(POSSESSIVE)),
    "Phi 4 mini, gpt-oss": lambda kit: model(bytes_(kit, kit.split(CASES)), ignore_merges=True),
    "tiktoken, removed the rest": lambda kit: bytes_(kit, kit.split(THREE_DIGITS, "Removed", invert=True)),
    "tiktoken, cases": lambda kit: bytes_(kit, kit.split(CASES, "Removed", invert=True)),
    "Granite, StarCoder": lambda kit: {**kit.byte_level_bpe(), "pre_tokenizer": kit.pre(
        {"type": "Digits", "individual_digits": True}, kit.byte_level(regex=True)
    )},
    "SmolLM": lambda kit: {**kit.byte_level_bpe(), "pre_tokenizer": kit.pre(
        {"type": "Digits", "individual_digits": True}, kit.byte_level(regex=True)
    ), "decoder": kit.byte_level(prefix=True, regex=True)},
    "OLMo 2": lambda kit: bytes_(kit, kit.split(THREE_DIGITS), post_processor=None),
    "Falcon 3": lambda kit: {**kit.byte_level_bpe(), "pre_tokenizer": kit.pre(
        {"type": "Punctuation", "behavior": "Contiguous"}, kit.byte_level(regex=True),
        {"type": "Digits", "individual_digits": False}, kit.split("[0-9][0-9][0-9]"),
    )},
    "DeepSeek": lambda kit: bytes_(
        kit, kit.split(r"\p{N}{1,3}"), kit.split("[一-龥぀-ゟ゠-ヿ]+"), kit.split(DEEPSEEK), normalizer=kit.normal()
    ),
    "DeepSeek Coder": lambda kit: bytes_(
        kit, kit.split("[\r\n]"), kit.split(r"\s?\p{L}+"), kit.split(r"\s?\p{P}+"), kit.split("[一-龥ࠀ-一가-퟿]+"),
        {"type": "Digits", "individual_digits": True},
    ),
    "Bloom": lambda kit: bytes_(kit, kit.split(BLOOM)),
    "digits from the right": lambda kit: bytes_(kit, kit.split(r"(?=(\d{3})+(?!\d))"), kit.split(THREE_DIGITS)),
    "Llama 2, legacy": lambda kit: pieces(
        kit, normalizer=kit.normal({"type": "Prepend", "prepend": "\u2581"}, kit.TO_BLANK), decoder=kit.PIECES_STRIPPED
    ),
    "Llama 2, not legacy": lambda kit: pieces(
        kit, pre_tokenizer=kit.metaspace("first", split=False), decoder=kit.PIECES_STRIPPED
    ),
    "Mistral, Mixtral": lambda kit: pieces(
        kit, normalizer=kit.normal({"type": "Prepend", "prepend": "\u2581"}, kit.TO_BLANK), decoder=kit.PIECES_STRIPPED
    ),
    "Mistral v3": lambda kit: kit.with_added(pieces(
        kit, pre_tokenizer=kit.metaspace("first", split=False), decoder=kit.PIECES_STRIPPED
    ), *(f"[control_{number}]" for number in range(700)), "[INST]", "[/INST]", "[TOOL_CALLS]"),
    "Phi 3": lambda kit: kit.with_added(pieces(
        kit, normalizer=kit.normal({"type": "Prepend", "prepend": "\u2581"}, kit.TO_BLANK), decoder=kit.PIECES_STRIPPED
    ), "<|user|>", "<|assistant|>", "<|placeholder1|>", rstrip=True),
    "Gemma 2": lambda kit: kit.with_added(
        pieces(kit, normalizer=kit.TO_BLANK), "<start_of_turn>", *("\u2581" * n for n in range(2, 32)), "<h1>", "\n\n"
    ),
    "Gemma 3": lambda kit: kit.with_added(
        pieces(kit, normalizer=kit.TO_BLANK, pre_tokenizer=kit.split(" ", "MergedWithPrevious", kind="String")),
        *(f"<unused{number}>" for number in range(6242)), "[@BOS@]", "[multimodal]",
    ),
    "Yi, InternLM": lambda kit: pieces(kit, normalizer=kit.normal(kit.TO_BLANK)),
    "blank at the beginning": lambda kit: pieces(
        kit, normalizer=kit.normal(kit.replacing(r"(?<!\n)^", "\u2581", kind="Regex"), kit.TO_BLANK),
        decoder=kit.PIECES_STRIPPED,
    ),
    "Unigram with bytes": lambda kit: {**kit.unigram(), "decoder": kit.decoding(
        {"type": "ByteFallback"}, kit.metaspace()
    )},
    "Unigram, normalised": lambda kit: {
        **kit.unigram(byte_fallback=False), "normalizer": kit.normal(
            kit.precompiled(FORMS), {"type": "Strip", "strip_left": False, "strip_right": True},
            kit.replacing(" {2,}", "\u2581", kind="Regex"),
        ), "decoder": kit.metaspace(),
    },
    "Unigram, lower case": lambda kit: {
        **kit.unigram(), "normalizer": kit.normal(kit.precompiled(FORMS | LOWER), kit.replacing(
            " {2,}", " ", kind="Regex"
        )), "decoder": kit.decoding({"type": "ByteFallback"}, kit.metaspace()),
    },
    "Unigram, without accents": lambda kit: {
        **kit.unigram(byte_fallback=False), "normalizer": kit.normal(
            {"type": "NFKD"}, {"type": "StripAccents"}, {"type": "Lowercase"}
        ), "decoder": kit.metaspace(),
    },
    "T5": t5,
}  # fmt: skip


def pad(kit: type[Kit], content: Json) -> Json:
    return kit.with_added(content, "<|pad|>")


def padded_and_cut(kit: type[Kit], content: Json) -> Json:
    return content | {
        "truncation": {"direction": "Right", "max_length": 8, "strategy": "LongestFirst", "stride": 0},
        "padding": {
            "strategy": {"Fixed": 64}, "direction": "Left", "pad_to_multiple_of": None, "pad_id": 0, "pad_type_id": 0,
            "pad_token": "<pad>",
        },
    }  # fmt: skip


def chat_tokens(kit: type[Kit], content: Json) -> Json:
    known = kit.vocabulary_of(content)
    names = [name for name in ("<|im_start|>", "<|im_end|>", "<think>", "</think>") if name not in known]
    return kit.with_added(content, *names)


def tool_tokens(kit: type[Kit], content: Json) -> Json:
    return kit.with_added(content, "<tool_call>", "</tool_call>", normalized=True, special=False)


def resized(kit: type[Kit], content: Json) -> Json:
    return kit.with_added(content, *(f"<extra_id_{number}>" for number in range(128)))


def mask(kit: type[Kit], content: Json) -> Json:
    return kit.with_added(content, "<mask>", lstrip=True)


def words(kit: type[Kit], content: Json) -> Json:
    """Words of a field and headings, added by hand."""
    named = kit.with_added(content, "### Instruction:", "### Response:", special=False)
    return kit.with_added(named, *(f"isoform{number}" for number in range(60)), special=False, single_word=True)


def saved_again(kit: type[Kit], content: Json) -> Json:
    """What this version of `tokenizers` writes."""
    written: Json = json.loads(Tokenizer.from_str(json.dumps(content)).to_str(pretty=True))
    return written


EXPORTS = {
    change.__name__: change
    for change in (pad, padded_and_cut, chat_tokens, tool_tokens, resized, mask, words, saved_again)
}

TEXTS = (
    "<s>[INST] What is 2 + 2? [/INST] 4</s>",
    "<|im_start|>user\nFind the area of a triangle.<|im_end|>\n<|im_start|>assistant\n",
    '{\n    "name": "calculate_area",\n    "arguments": {"base": 10, "height": 5}\n}',
    "\u2581 is the sign for a blank; <unk> is a token; \ufffd is one as well.",
    "Tabs\tand\u00a0blanks\u2003of other kinds,  twice; line\u2028separators\u3000too.",
    "\u1e9b\u0323 \u212b \u1112\u1161\u11ab \ufdfa \u0130stanbul STRASSE stra\u00dfe \u01c4 \uff76\uff9e",
    "a line <0x0A> b and <0x41>",
    "a\u200bb zero width, soft\u00adhyphen, \ufeffmark, \u202ertl\u202c, \x00 null \x07",
    "x\u0301\u0323y e\u0301\u0301 A\u030a \u00c5 \u0344 \u0e01\u0e33 \u0e33",
    "\u2460\u2461 \u338f \u2153 \u00b2 \u2103 \u2116 \ufb06 \uff21\uff22\uff23\uff01",
    "  <s>  x </s>  <unk><unk> </s>",
    "",
    " ",
    "\n\n\n",
)


def decodes(content: Json) -> list[str]:
    """Differences of texts of all kinds."""
    tokenizer = Tokenizer.from_str(json.dumps(content))
    tokenizer.no_padding()
    tokenizer.no_truncation()
    round_trip = RoundTrip(tokenizer)
    found = []
    for text in TEXTS:
        for marked in (False, True):
            ids = tokenizer.encode(text, add_special_tokens=marked).ids
            found.append(round_trip.difference(text, ids, special=marked))
    return [difference for difference in found if difference is not None]


@pytest.mark.parametrize("build", FAMILIES.values(), ids=FAMILIES)
def test_a_family_is_admitted(kit: type[Kit], build: Build) -> None:
    content = build(kit)
    assert kit.refusal(content) is None
    assert decodes(content) == []


@pytest.mark.parametrize("change", EXPORTS.values(), ids=EXPORTS)
@pytest.mark.parametrize(
    "name", ["Qwen 2, 2.5, 3", "Llama 3.1", "Llama 2, legacy", "Mistral v3", "Unigram with bytes", "T5"]
)
def test_an_export_of_a_family_is_admitted(kit: type[Kit], name: str, change: Callable[..., Json]) -> None:
    content = change(kit, FAMILIES[name](kit))
    assert kit.refusal(content) is None
    assert decodes(content) == []
