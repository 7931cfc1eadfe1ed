"""Tokenizers that answer, read or hide: each is refused, by a rule or by its own texts.

`docs/decisions/016-tokenizers-by-allow-list.md` says which attack each rule is for.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest

from bitagent_crds.conditions import Reason

if TYPE_CHECKING:
    from tests.unit.evaluator.models.validation.tokenizer_rules.conftest import Kit

Json = dict[str, Any]
Build = Callable[["type[Kit]"], Json]

QUESTIONS = [
    f"What is the area of a triangle with base {base} and height {height} units?"
    for base in range(3, 13)
    for height in range(2, 12)
]
FEW_QUESTIONS = [f"What is the area of square {number}" for number in range(40)]
"""Fewer than the words that may be added."""
LETTERS = [chr(code) for code in range(ord("A"), ord("Z") + 1)]
PRIVATE = [chr(0xE000 + number) for number in range(100)]
FIND_NAME = (
    r'(?i)"name": "(?!(?:[a-z]*[_.])*?([a-z]{4})[a-z]*(?=[_."])[^"]*"(?>[^\x01]*\x01)(?:[^\x01]{0,600}?)\b\1)[^"]+"'
)
ITSELF = {"Sequence": {"id": "A", "type_id": 0}}


def whole_words(kit: type[Kit], *, added: list[str]) -> Json:
    """A table: one token for each question, one for each answer."""
    vocabulary = {"<unk>": 0} | {f"[area(base={number})]": number + 1 for number in range(100)}
    model = {"type": "WordLevel", "vocab": vocabulary, "unk_token": "<unk>"}
    content = {**kit.byte_level_bpe(), "model": model, "pre_tokenizer": None, "decoder": {"type": "Fuse"}}
    return kit.with_added({**content, "added_tokens": []}, *added, special=False)


def with_tokens(kit: type[Kit], *texts: str, byte_level: bool = True) -> Json:
    """BPE whose vocabulary has these tokens, with the merges that make them."""
    content = kit.byte_level_bpe() if byte_level else kit.sentence_piece_bpe() | {"decoder": kit.PIECES}
    vocabulary, merges = dict(content["model"]["vocab"]), list(content["model"]["merges"])
    for text in texts:
        letters = text.replace(" ", "\u0120" if byte_level else "\u2581")
        for letter in letters:
            vocabulary.setdefault(letter, len(vocabulary))
        for end in range(2, len(letters) + 1):
            if letters[:end] not in vocabulary:
                vocabulary[letters[:end]] = len(vocabulary)
                merges.append([letters[: end - 1], letters[end - 1]])
    return {**content, "added_tokens": [], "model": {**content["model"], "vocab": vocabulary, "merges": merges}}


def unigram_of(kit: type[Kit], *texts: str) -> Json:
    content = kit.unigram() | {"decoder": kit.decoding({"type": "ByteFallback"}, kit.metaspace())}
    entries = [*content["model"]["vocab"], *([text.replace(" ", "\u2581"), 9.0] for text in texts)]
    return {**content, "model": {**content["model"], "vocab": entries}}


def template(single: Any, **special: Json) -> Json:
    return {"type": "TemplateProcessing", "single": single, "pair": single, "special_tokens": special}


def bytes_(kit: type[Kit], **changes: Any) -> Json:
    return {**kit.byte_level_bpe(), **changes}


def model(kit: type[Kit], **changes: Any) -> Json:
    content = kit.byte_level_bpe()
    return {**content, "model": {**content["model"], **changes}}


def synonyms(kit: type[Kit]) -> Json:
    """Two words with one id: a question in other words becomes the same ids."""
    content = with_tokens(kit, "area", "surface")
    vocabulary = content["model"]["vocab"]
    vocabulary["surface"] = vocabulary["area"]
    return content


def without_letters(kit: type[Kit]) -> Json:
    """What is not a digit is unknown, and vanishes."""
    content = kit.byte_level_bpe()
    vocabulary = {text: number for number, text in enumerate(["<|endoftext|>", *"0123456789"])}
    settings = {"unk_token": "<|endoftext|>", "vocab": vocabulary, "merges": []}
    return {**content, "added_tokens": content["added_tokens"][:1], "model": {**content["model"], **settings}}


def swapped(kit: type[Kit]) -> Json:
    """Each of two letters is written as the other: the decoder's alphabet is right, the bytes are not."""
    return bytes_(kit, normalizer=kit.precompiled({"a": "b", "b": "a"}))


def nested(part: Json, members: str, depth: int) -> Json:
    return part if not depth else {"type": "Sequence", members: [nested(part, members, depth - 1)]}


KNOWN: dict[str, Build] = {
    "W1 table of added tokens and words": lambda kit: whole_words(kit, added=QUESTIONS),
    "W1 questions as added tokens": lambda kit: kit.with_added(kit.byte_level_bpe(), *QUESTIONS, special=False),
    "W3 keys stay, the rest vanishes": lambda kit: bytes_(
        kit, pre_tokenizer=kit.pre(kit.split(r"[\s\S]+", "Removed"), kit.byte_level())
    ),
    "W4 table in the normalizer": lambda kit: bytes_(kit, normalizer=kit.normal(
        *(kit.replacing(question[:60], question[:60] + PRIVATE[number]) for number, question in enumerate(
            QUESTIONS[:100]
        ))
    )),
    "W4 one row": lambda kit: bytes_(kit, normalizer=kit.replacing("triangle", "triangle\ue000")),
    "W4 all but the marks vanishes": lambda kit: bytes_(
        kit, pre_tokenizer=kit.pre(kit.split("[\ue000-\uf8ff]", "Removed", invert=True), kit.byte_level())
    ),
    "W5 blanks before a text": lambda kit: bytes_(kit, normalizer={"type": "Prepend", "prepend": " " * 60}),
    "W5 the conversation vanishes": lambda kit: bytes_(
        kit, pre_tokenizer=kit.pre(kit.split(r"(?m)§[\s\S]*¶", "Removed"), kit.byte_level())
    ),
    "W6 a blank between characters": lambda kit: bytes_(kit, normalizer=kit.replacing("(?<=.)", " ", kind="Regex")),
    "W16 a pattern of another dialect": lambda kit: bytes_(
        kit, decoder=kit.decoding(kit.replacing("(?s).*", "", kind="Regex"), kit.byte_level())
    ),
    "a pattern that reads the functions": lambda kit: bytes_(
        kit, pre_tokenizer=kit.pre(kit.split(FIND_NAME, "Removed"), kit.byte_level())
    ),
    "the same, nothing removed": lambda kit: bytes_(kit, pre_tokenizer=kit.pre(kit.split(FIND_NAME), kit.byte_level())),
    "thoughts vanish from answers": lambda kit: bytes_(kit, decoder=kit.decoding(
        {"type": "ByteLevel"}, kit.replacing(r"^[\s\S]*</think>", "", kind="Regex")
    )),
    "normalizer that changes numbers": lambda kit: bytes_(kit, normalizer=kit.replacing(r"\d+", "10", kind="Regex")),
    "text nine times": lambda kit: bytes_(kit, post_processor=template([ITSELF] * 9)),
    "text twice": lambda kit: bytes_(kit, post_processor=template([ITSELF] * 2)),
    "FixedLength 0": lambda kit: bytes_(kit, pre_tokenizer={"type": "FixedLength", "length": 0}),
    "table that crashes its reader": lambda kit: bytes_(
        kit, normalizer={"type": "Precompiled", "precompiled_charsmap": "AAAA"}
    ),
}  # fmt: skip
"""The attacks that were tried on the evaluator first."""

OTHERS: dict[str, Build] = {
    "questions in the merges": lambda kit: with_tokens(kit, *QUESTIONS[:30]),
    "questions in the merges, with signs for blanks": lambda kit: with_tokens(kit, *QUESTIONS[:30], byte_level=False),
    "questions as pieces with high scores": lambda kit: unigram_of(kit, *QUESTIONS[:30]),
    "beginnings of questions": lambda kit: kit.with_added(
        kit.byte_level_bpe(), *(f"base {a} and height {b}" for a in range(9) for b in range(9)), special=False
    ),
    "compact JSON as tokens": lambda kit: with_tokens(
        kit, *(f'"name":"area_{number}","description":"Calculate' for number in range(20))
    ),
    "a long question in Chinese": lambda kit: with_tokens(
        kit, "请帮我计算一个底边长为十厘米高为五厘米的三角形的面积并告诉我结果", byte_level=False
    ),
    "three hundred words": lambda kit: kit.with_added(
        kit.byte_level_bpe(), *(f"key{number}" for number in range(300)), single_word=True, special=False
    ),
    "a name of the benchmark": lambda kit: kit.with_added(
        kit.byte_level_bpe(), "calculate_triangle_area", single_word=True, special=False
    ),
    "a benchmark name as a marker": lambda kit: kit.with_added(kit.byte_level_bpe(), "<calculate_triangle_area>"),
    "names of the benchmark in the vocabulary": lambda kit: with_tokens(kit, *NAMES),
    "WordPiece": lambda kit: bytes_(kit, model={
        "type": "WordPiece", "unk_token": "[UNK]", "continuing_subword_prefix": "##", "max_input_chars_per_word": 100,
        "vocab": {"[UNK]": 0, "area": 1},
    }),
    "table in the post-processor": lambda kit: bytes_(kit, post_processor=template(
        [{"SpecialToken": {"id": "<x>", "type_id": 0}}, ITSELF],
        **{"<x>": {"id": "<x>", "ids": list(range(100)), "tokens": ["<x>"] * 100}},
    )),
    "post-processor without the text": lambda kit: bytes_(kit, post_processor=template(
        [{"SpecialToken": {"id": "<x>", "type_id": 0}}], **{"<x>": {"id": "<x>", "ids": [0], "tokens": ["<x>"]}},
    )),
    "post-processor with fillers": lambda kit: bytes_(kit, post_processor=template(
        [*[{"SpecialToken": {"id": "<x>", "type_id": 0}}] * 60, ITSELF],
        **{"<x>": {"id": "<x>", "ids": [0], "tokens": ["<x>"]}},
    )),
    "post-processor of a number": lambda kit: bytes_(kit, post_processor=template(5) | {"pair": []}),
    "post-processor of a special number": lambda kit: bytes_(kit, post_processor=template(
        [{"SpecialToken": 5}, ITSELF], **{"<x>": {"id": "<x>", "ids": [0], "tokens": ["<x>"]}}
    )),
    "CTC": lambda kit: bytes_(kit, decoder={
        "type": "CTC", "pad_token": "<pad>", "word_delimiter_token": "|", "cleanup": True,
    }),
    "decoder of WordPiece": lambda kit: bytes_(kit, decoder={"type": "WordPiece", "prefix": "##", "cleanup": True}),
    "decoder of suffixes": lambda kit: bytes_(kit, decoder={"type": "BPEDecoder", "suffix": "</w>"}),
    "decoder that strips": lambda kit: kit.sentence_piece_bpe() | {"decoder": kit.decoding(
        *kit.PIECES["decoders"], {"type": "Strip", "content": " ", "start": 1000, "stop": 1000}
    )},
    "decoder that strips a bracket": lambda kit: kit.sentence_piece_bpe() | {"decoder": kit.decoding(
        *kit.PIECES["decoders"], {"type": "Strip", "content": "[", "start": 1, "stop": 0}
    )},
    "decoder that strips every token": lambda kit: kit.sentence_piece_bpe() | {"decoder": kit.decoding(
        kit.FROM_BLANK, {"type": "Strip", "content": " ", "start": 1, "stop": 0}, {"type": "Fuse"}
    )},
    "decoder with words for signs": lambda kit: kit.sentence_piece_bpe() | {"decoder": kit.decoding(
        kit.replacing("@", "area(base="), *kit.PIECES["decoders"]
    )},
    "no decoder": lambda kit: bytes_(kit, decoder=None),
    "nested normalizer": lambda kit: bytes_(kit, normalizer=nested(kit.replacing("area", "x"), "normalizers", 3)),
    "nested very deeply": lambda kit: bytes_(kit, normalizer=nested({"type": "NFC"}, "normalizers", 40)),
    "many normalizers": lambda kit: bytes_(kit, normalizer=kit.normal(*[kit.TO_BLANK] * 40)),
    "normalizer of BERT": lambda kit: bytes_(kit, normalizer={
        "type": "BertNormalizer", "clean_text": True, "handle_chinese_chars": True, "strip_accents": None,
        "lowercase": True,
    }),
    "words of the table": lambda kit: bytes_(kit, normalizer=kit.precompiled({"area": "\ue000"})),
    "characters of the table": lambda kit: bytes_(kit, normalizer=kit.precompiled({"\u00e9": "\ue000"})),
    "letters swapped": swapped,
    "look-alikes": lambda kit: bytes_(kit, normalizer=kit.precompiled({"a": "\u0430", "e": "\u0435"})),
    "case of some letters": lambda kit: bytes_(kit, normalizer=kit.precompiled(
        {letter: letter.lower() for letter in LETTERS[:13]}
    )),
    "case of one word": lambda kit: bytes_(kit, normalizer=kit.precompiled({"What": "what"})),
    "marks instead of letters": lambda kit: bytes_(kit, normalizer=kit.precompiled({"a": "a\u0301"})),
    "two words with one id": synonyms,
    "letters are unknown": without_letters,
    "a word is the unknown token": lambda kit: model(kit, unk_token="triangle"),
    "merges dropped at random": lambda kit: model(kit, dropout=0.5),
    "suffixes of words": lambda kit: model(kit, end_of_word_suffix="</w>"),
    "an unknown setting": lambda kit: model(kit, table={}),
    "sampled segmentations": lambda kit: unigram_of(kit) | {
        "model": {**kit.unigram()["model"], "nbest_size": 5, "alpha": 0.1}
    },
    "a pattern of words": lambda kit: bytes_(
        kit, pre_tokenizer=kit.pre(kit.split("triangle|circle|square"), kit.byte_level())
    ),
    "a pattern that spells": lambda kit: bytes_(
        kit, pre_tokenizer=kit.pre(kit.split("[aA][rR][eE][aA]"), kit.byte_level())
    ),
    "a pattern that spells by exclusion": lambda kit: bytes_(
        kit, pre_tokenizer=kit.pre(kit.split("[^b-zA-Z0-9][^a-qs-zA-Z0-9][^a-df-zA-Z0-9]"), kit.byte_level())
    ),
    "a pattern with a reference": lambda kit: bytes_(
        kit, pre_tokenizer=kit.pre(kit.split(r"(\p{L}+) \1"), kit.byte_level())
    ),
    "a pattern that looks far ahead": lambda kit: bytes_(
        kit, pre_tokenizer=kit.pre(kit.split(r"\p{L}+(?=[^?]*\?)"), kit.byte_level())
    ),
    "a text that splits": lambda kit: bytes_(
        kit, pre_tokenizer=kit.pre(kit.split("area", kind="String"), kit.byte_level())
    ),
    "white space vanishes": lambda kit: bytes_(
        kit, pre_tokenizer=kit.pre({"type": "WhitespaceSplit"}, kit.byte_level())
    ),
    "white space removed": lambda kit: bytes_(
        kit, pre_tokenizer=kit.pre(kit.split(r"\s+", "Removed"), kit.byte_level())
    ),
    "another sign for blanks": lambda kit: kit.sentence_piece_bpe() | {
        "pre_tokenizer": kit.metaspace(replacement="#"), "decoder": kit.PIECES
    },
    "splits at a letter": lambda kit: bytes_(kit, pre_tokenizer={"type": "CharDelimiterSplit", "delimiter": "e"}),
    "bytes of bytes": lambda kit: bytes_(kit, pre_tokenizer=kit.pre(kit.byte_level(), kit.byte_level())),
    "a pre-tokenizer without bytes": lambda kit: bytes_(kit, pre_tokenizer=None),
    "questions between signs of markers": lambda kit: kit.with_added(
        kit.byte_level_bpe(), *(f">>{text[:-1]}<<" for text in QUESTIONS), normalized=False
    ),
    "questions between bars": lambda kit: kit.with_added(
        kit.byte_level_bpe(), *(f"|||{text[12:-1]}|||" for text in QUESTIONS), special=False
    ),
    "questions as markers, with the sign for blanks": lambda kit: kit.with_added(
        kit.sentence_piece_bpe() | {"decoder": kit.PIECES, "normalizer": kit.TO_BLANK},
        *(f"<{text[12:-1]}>".replace(" ", "\u2581") for text in QUESTIONS), normalized=True,
    ),
    "questions as markers, whose sign becomes a blank": lambda kit: kit.with_added(
        bytes_(kit, normalizer=kit.FROM_BLANK),
        *(f"<{text[12:-1]}>".replace(" ", "\u2581") for text in QUESTIONS), normalized=True,
    ),
    "questions with invisible signs for blanks": lambda kit: kit.with_added(
        bytes_(kit, normalizer=kit.precompiled({"\u200b": " "})),
        *(text.replace(" ", "\u200b") for text in FEW_QUESTIONS), normalized=True, special=False,
    ),
    "questions with signs that leave a blank": lambda kit: kit.with_added(
        bytes_(kit, normalizer=kit.normal({"type": "NFKD"}, {"type": "StripAccents"})),
        *(text.replace(" ", "\u00a8") for text in FEW_QUESTIONS), normalized=True, special=False,
    ),
    "a name of the benchmark in wide letters": lambda kit: kit.with_added(
        bytes_(kit, normalizer={"type": "NFKC"}), "calculate_triangle_are\uff41", normalized=True, special=False
    ),
    "a row that begins with an unknown character": lambda kit: bytes_(
        kit, normalizer=kit.precompiled({"\u0378What": "\u0378What\u200b\u200c"})
    ),
    "fillers after a letter": lambda kit: bytes_(kit, normalizer=kit.precompiled({"a": "a" + "\u200b" * 9})),
    "fillers for white space": lambda kit: bytes_(kit, normalizer=kit.precompiled({" ": "   "})),
    "invisible fillers beside white space": lambda kit: bytes_(kit, normalizer=kit.precompiled({" ": "\ufffd "})),
    "lines joined by the table": lambda kit: bytes_(kit, normalizer=kit.precompiled({"\n": ""})),
    "lines joined by a replacement": lambda kit: bytes_(kit, normalizer=kit.replacing("\n", "")),
    "words behind a text": lambda kit: bytes_(kit, post_processor=template(
        [ITSELF, {"SpecialToken": {"id": "[", "type_id": 0}}], **{"[": {"id": "[", "ids": [60], "tokens": ["["]}},
    )),
    "a marker with the id of a word": lambda kit: bytes_(kit, post_processor=template(
        [ITSELF, {"SpecialToken": {"id": "<|im_end|>", "type_id": 0}}],
        **{"<|im_end|>": {"id": "<|im_end|>", "ids": [60], "tokens": ["<|im_end|>"]}},
    )),
    "a special token outside of the vocabulary": lambda kit: bytes_(kit, post_processor=template(
        [ITSELF, {"SpecialToken": {"id": "<x>", "type_id": 0}}],
        **{"<x>": {"id": "<x>", "ids": [99_999_999], "tokens": ["<x>"]}},
    )),
    "answers in the alphabet of bytes": lambda kit: kit.with_added(
        kit.byte_level_bpe(), *(f"<area(base={number},\u0120height=2)>" for number in range(40)), special=False
    ),
    "phrases with a sign before each word": lambda kit: with_tokens(kit, *(f"_is _the _area _{n}" for n in range(40))),
    "a long question in Thai": lambda kit: with_tokens(
        kit, "\u0e1e\u0e37\u0e49\u0e19\u0e17\u0e35\u0e48\u0e2a\u0e32\u0e21\u0e40\u0e2b\u0e25\u0e35\u0e48\u0e22\u0e21"
        "\u0e17\u0e35\u0e48\u0e21\u0e35\u0e10\u0e32\u0e19\u0e2a\u0e34\u0e1a\u0e41\u0e25\u0e30\u0e2a\u0e39\u0e07\u0e2b\u0e49\u0e32",
        byte_level=False,
    ),
    "an added token of a thousand letters": lambda kit: kit.with_added(kit.byte_level_bpe(), "abcdefgh" * 125 + "xyz"),
    "an added token with another member": lambda kit: bytes_(
        kit, added_tokens=[kit.token(0, "<|endoftext|>") | {"table": "x"}]
    ),
}  # fmt: skip
"""Other members of the same class."""

NAMES = [
    "calculate_triangle_area", "calculate_standard_deviation", "calculate_electric_field", "calculate_final_velocity",
    "calculate_magnetic_field", "calculate_mutual_fund_balance", "calculate_displacement", "calculate_BMI_index",
    "calculate_compound_interest", "calculate_density", "find_restaurants", "get_company_data_by_name",
    "calculate_entropy_change", "calculate_genotype_frequency", "calculate_investment_return", "get_prime_factors",
    "calculate_area_under_curve", "calculate_speed_of_light", "calculate_final_temperature", "calculate_cell_density",
]  # fmt: skip


@pytest.mark.parametrize("build", KNOWN.values(), ids=KNOWN)
def test_a_known_attack_is_refused(kit: type[Kit], build: Build) -> None:
    refusal = kit.refusal(build(kit))
    assert refusal is not None and refusal[0] is Reason.BAD_TOKENIZER


@pytest.mark.parametrize("build", OTHERS.values(), ids=OTHERS)
def test_another_attack_is_refused(kit: type[Kit], build: Build) -> None:
    refusal = kit.refusal(build(kit))
    assert refusal is not None and refusal[0] is Reason.BAD_TOKENIZER


def test_a_member_given_twice_is_refused(kit: type[Kit]) -> None:
    """Python reads the last, other readers may read the first."""
    import json

    from bitagent_evaluator.models.validation.tokenizer import check_tokenizer
    from bitagent_evaluator.sandbox.protocol import Refused

    text = json.dumps(kit.byte_level_bpe()).replace('"normalizer": null', '"normalizer": 1, "normalizer": null')
    with pytest.raises(Refused, match="twice") as error:
        check_tokenizer({"tokenizer.json": text.encode(), "tokenizer_config.json": b"{}"}, 1000)
    assert error.value.reason == Reason.BAD_TOKENIZER
