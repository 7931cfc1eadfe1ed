"""Model, tokens and added tokens of a tokenizer: which types, and which texts a token may represent.

A token is a piece of a word, a word, white space, signs or a marker such as `<|im_start|>`. A token of a whole question
or answer makes a table of the vocabulary. So the lengths are bounded, there are few tokens of several words, and none
that distinguish a known benchmark.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from bitagent_crds.conditions import Reason
from bitagent_evaluator.chat_templates.audit.benchmark.literals import find_names, find_values
from bitagent_evaluator.models.validation.files import TOKENIZER, quote, require
from bitagent_evaluator.models.validation.tokenizer_rules.components import BLANK, affix_tokens, parts_of

MAX_ADDED_TOKENS = 8192
"""Maximum number of added tokens. Gemma 3 has 6,415, nearly all of them reserved."""
MAX_ADDED_WORDS = 256
"""Maximum number of added tokens that are neither markers nor white space. The families have 15 at most."""
MAX_TOKEN_CHARACTERS = 64
"""Maximum length of a token's text, unless it repeats few characters: vocabularies have lines of 112 signs."""
MAX_REPEATED_CHARACTERS = 1024
_REPEATED = 4
"""Number of different characters of a long token."""
_PERIOD = 32
"""Maximum length of what a long token repeats otherwise."""
MAX_UNSPACED = 24
"""Maximum number of letters of scripts without blanks between words, in one token. The families have 16 at most."""
MAX_PHRASES = 16
"""Maximum number of tokens of several words, markers aside. The families have none; trainers add a few, such as
`### Instruction:`."""
_WORDS = 3
"""Number of words with which a token is a phrase though it has no blank: `3.5` and `n't` have two."""
MAX_BENCHMARK_TOKENS = 8
"""Maximum number of tokens that are names or values of a known benchmark: some are words of libraries as well."""

_BPE = {
    *("type", "dropout", "unk_token", "continuing_subword_prefix", "end_of_word_suffix", "fuse_unk"),
    *("byte_fallback", "ignore_merges", "vocab", "merges"),
}
_UNIGRAM = {"type", "unk_id", "vocab", "byte_fallback", "alpha", "nbest_size"}
_ADDED = {"id", "content", "single_word", "lstrip", "rstrip", "normalized", "special"}
_MARKER = re.compile(
    r"<\|?[^\s<>\"]{1,60}>|\[@?/?[\w.:|-]{1,58}@?\]|\|\|\|[\w.:-]{1,56}\|\|\||>>[\w.:-]{1,60}<<"
    r"|<\uff5c[^\s<>\"]{1,60}\uff5c>|\{\{?[\w.-]{1,60}\}\}?"
)
"""Markers of the families: `<s>`, `<|im_start|>`, `</tool_call>`, `[INST]`, `|||EMAIL|||`, `>>TITLE<<`, and the wide
bars of DeepSeek. None has a blank: a template can write the signs around a question."""
_SHORTEST, _SHORTEST_LITERAL = 3, 12
"""Lengths below which a token is neither a phrase nor a literal."""
_UNSPACED = re.compile(r"[\u0e00-\u0fff\u1000-\u109f\u1780-\u17ff\u1950-\u1aaf\u2e80-\U0010ffff]")
"""Characters of scripts without blanks between words: Thai, Lao, Tibetan, Burmese, Khmer, Tai, and East Asia's."""
_BLANKS = re.compile(rf"[\s{BLANK}]+")
_WORD = re.compile(r"[^\s!-/:-@\[-^`{-~]*[A-Za-z0-9\u0080-\U0010ffff][^\s!-/:-@\[-^`{-~]*")
"""Runs without white space and signs of ASCII. Scripts whose vowels are marks stay whole."""
_TWO_WORDS = re.compile(rf"[^\W_][\W_]*[\s!-/:-@\[-^`{{-~{BLANK}][\W_]*[^\W_]")
"""A quick test, which phrases pass."""


def model_type(model: Mapping[str, Any]) -> str:
    """Return the type of a tokenizer's model. Files of early versions do not name it."""
    named = model.get("type")
    if isinstance(named, str):
        return named
    return "BPE" if "merges" in model else "Unigram" if isinstance(model.get("vocab"), list) else ""


def check_vocabulary(tokenizer: Mapping[str, Any]) -> None:
    """Refuse a model, tokens or added tokens that are not on the list (BadTokenizer).

    Ids are not compared with the size of the model's vocabulary here.
    """
    found = tokenizer.get("model")
    model: Mapping[str, Any] = found if isinstance(found, dict) else {}
    texts = _model_tokens(model)
    unknown = model.get("unk_token")
    _refuse_unless(
        unknown is None or unknown == "" or is_marker(unknown), f"the unknown token {quote(unknown)} is not a marker"
    )
    counts = _Counts()
    byte_level = uses_bytes(tokenizer.get("decoder"))
    for token in texts:
        if len(token) >= _SHORTEST:
            counts.add(text_of(token, byte_level=byte_level))
    counts.check()
    added = _added_ids(tokenizer.get("added_tokens") or [])
    # A decoder reads GPT-2's alphabet in added tokens as well.
    check_added_texts(dict.fromkeys([*added, *(text_of(text, byte_level=byte_level) for text in added)]))
    _check_affixes(tokenizer, added)


def _refuse_unless(condition: object, message: str) -> None:
    require(condition, Reason.BAD_TOKENIZER, f"{TOKENIZER}: {message}")


def _model_tokens(model: Mapping[str, Any]) -> Sequence[str]:
    """Return the tokens of a model. Refuses other types than BPE and Unigram, and settings of no supported family."""
    kind, vocabulary = model_type(model), model.get("vocab")
    members = {"BPE": _BPE, "Unigram": _UNIGRAM}.get(kind)
    if members is None:
        _refuse_unless(False, f"model {quote(kind)} is not allowed; allowed are BPE and Unigram")
    unknown = sorted(set(model) - (members or set()))
    _refuse_unless(not unknown, f"model {kind} has the unknown member {quote(unknown[0]) if unknown else ''}")
    if kind == "Unigram":
        _refuse_unless(isinstance(vocabulary, list), "the vocabulary of a Unigram model is not a list")
        pairs = vocabulary if isinstance(vocabulary, list) else []
        sound = all(
            isinstance(pair, list) and len(pair) == 2 and isinstance(pair[0], str) and type(pair[1]) in (int, float)
            for pair in pairs
        )
        _refuse_unless(sound, "an entry of the vocabulary is not a pair of text and number")
        _refuse_unless(not model.get("alpha") and not model.get("nbest_size"), "it samples among segmentations")
        return [pair[0] for pair in pairs]
    _refuse_unless(isinstance(vocabulary, dict), "the vocabulary of a BPE model is not an object")
    tokens = vocabulary if isinstance(vocabulary, dict) else {}
    _refuse_unless(not model.get("dropout"), "it drops merges at random (dropout)")
    for name in ("continuing_subword_prefix", "end_of_word_suffix"):
        _refuse_unless(not model.get(name), f"{name} is {quote(model.get(name))}; no supported family has one")
    ids = {number for number in tokens.values() if type(number) is int}
    _refuse_unless(len(ids) == len(tokens), "two tokens have one id, or an id that is not a number")
    _refuse_unless(isinstance(model.get("merges"), list), "a BPE model without merges")
    return list(tokens)


def uses_bytes(decoder: object) -> bool:
    """Return whether the tokens of a tokenizer with this decoder are written in the alphabet of bytes of GPT-2."""
    return isinstance(decoder, dict) and '"ByteLevel"' in _types(decoder)


def _types(component: Mapping[str, Any]) -> str:
    parts = component.get("decoders")
    inner = [_types(part) for part in parts if isinstance(part, dict)] if isinstance(parts, list) else []
    return "".join([f'"{component.get("type")}"', *inner])


@cache
def byte_alphabet() -> Mapping[str, int]:
    """Return the byte that each character of GPT-2's alphabet represents (`bytes_to_unicode` of its `encoder.py`)."""
    shown = [*range(ord("!"), ord("~") + 1), *range(0xA1, 0xAC + 1), *range(0xAE, 0xFF + 1)]
    hidden = [byte for byte in range(256) if byte not in set(shown)]
    return {chr(byte): byte for byte in shown} | {chr(256 + number): byte for number, byte in enumerate(hidden)}


@cache
def _byte_table() -> dict[int, int]:
    return {ord(character): byte for character, byte in byte_alphabet().items()}


def text_of(token: str, *, byte_level: bool) -> str:
    """Return the text of a token; parts of characters become replacement characters."""
    if not byte_level:
        return token.replace(BLANK, " ")
    try:
        return token.translate(_byte_table()).encode("latin-1").decode(errors="replace")
    except UnicodeEncodeError:
        return token


@dataclass
class _Counts:
    """What is counted over all tokens of a vocabulary."""

    phrases: int = 0
    literals: int = 0

    def add(self, text: str) -> None:
        """Count a token. Refuses one that is too long by itself."""
        check_length(text)
        if is_phrase(text):
            self.phrases += 1
        if len(text) >= _SHORTEST_LITERAL and is_benchmark_literal(text):
            self.literals += 1

    def check(self) -> None:
        """Refuse too many."""
        _refuse_unless(self.phrases <= MAX_PHRASES, f"{self.phrases} tokens of several words, allowed {MAX_PHRASES}")
        _refuse_unless(
            self.literals <= MAX_BENCHMARK_TOKENS,
            f"{self.literals} tokens are names or values of a public benchmark, allowed {MAX_BENCHMARK_TOKENS}",
        )


def check_length(text: str) -> None:
    """Refuse a token that is too long."""
    if len(text) > MAX_TOKEN_CHARACTERS:
        few = len(set(text)) <= _REPEATED or text.isspace() or _is_periodic(text)
        _refuse_unless(
            few and len(text) <= MAX_REPEATED_CHARACTERS,
            f"the token {quote(text)} has {len(text)} characters, allowed {MAX_TOKEN_CHARACTERS}",
        )
    elif len(text) > MAX_UNSPACED and not text.isascii():
        letters = sum(map(str.isalpha, _UNSPACED.findall(text)))
        _refuse_unless(
            letters <= MAX_UNSPACED or len(set(text)) <= _REPEATED,
            f"the token {quote(text)} has {letters} letters, allowed {MAX_UNSPACED}",
        )


def _is_periodic(text: str) -> bool:
    return any(text[period:] == text[:-period] for period in range(1, _PERIOD + 1))


def is_phrase(text: str) -> bool:
    """Return whether a token has several words: two with white space between them, or three."""
    if not _TWO_WORDS.search(text):
        return False
    if is_marker(text):
        return False
    words = sum(any(map(str.isalnum, part)) for part in _BLANKS.split(text))
    return words > 1 or len(_WORD.findall(text)) >= _WORDS


def is_benchmark_literal(text: str) -> bool:
    """Return whether a name or value of a known benchmark is in the text of a token."""
    return any(True for _ in _literals(text.strip()))


def _literals(text: str) -> Iterator[str]:
    yield from find_names(text)
    yield from find_values(text)


def is_marker(text: object) -> bool:
    """Return whether a text has the form of a marker, such as `<|im_start|>`, `</s>` or `[INST]`."""
    return isinstance(text, str) and _MARKER.fullmatch(text) is not None


def _added_ids(added: object) -> dict[str, object]:
    """Return the ids of added tokens by their texts. Refuses malformed or many ones."""
    _refuse_unless(isinstance(added, list), "added_tokens is not a list")
    tokens = added if isinstance(added, list) else []
    _refuse_unless(len(tokens) <= MAX_ADDED_TOKENS, f"{len(tokens)} added tokens, allowed {MAX_ADDED_TOKENS}")
    ids: dict[str, object] = {}
    for token in tokens:
        content = token.get("content") if isinstance(token, dict) else None
        if not isinstance(content, str) or not content:
            _refuse_unless(False, f"an added token without content: {quote(token)}")
            break
        _refuse_unless(set(token) <= _ADDED, f"the added token {quote(content)} has unknown members")
        ids[content] = token.get("id")
    return ids


def _check_affixes(tokenizer: Mapping[str, Any], added: Mapping[str, object]) -> None:
    """Refuse a post-processor that writes other tokens than markers: it would add words to a text."""
    for part in parts_of(tokenizer, "post_processor"):
        if part["type"] != "TemplateProcessing":
            continue
        for name, number in affix_tokens(part):
            _refuse_unless(
                is_marker(name) and added.get(name) == number,
                f"the post-processor writes token {quote(number)} as {quote(name)}, which is not the added token of a "
                "marker",
            )


def check_added_texts(texts: Iterable[str]) -> None:
    """Refuse texts of added tokens that are long, many, or of a known benchmark."""
    others = phrases = 0
    for text in texts:
        check_length(text)
        _refuse_unless(not is_benchmark_literal(text), f"the added token {quote(text)} is from a public benchmark")
        phrases += is_phrase(text)
        others += not is_marker(text) and not text.replace(BLANK, " ").isspace()
    _refuse_unless(phrases <= MAX_PHRASES, f"{phrases} added tokens of several words, allowed {MAX_PHRASES}")
    _refuse_unless(
        others <= MAX_ADDED_WORDS,
        f"{others} added tokens are neither markers nor white space, allowed {MAX_ADDED_WORDS}",
    )
