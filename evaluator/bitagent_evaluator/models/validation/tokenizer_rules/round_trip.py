"""A text decodes back to itself, and an answer's text follows from its ids, one by one.

What may differ is the form that the tokenizer declares (Unicode normalisation, accents, lower case), the length of
white space, white space at the ends of a text and beside added tokens, and characters that the vocabulary does not have
at all. Letters and digits of ASCII are never lost, and white space neither appears within words nor vanishes between
them. So a tokenizer cannot remove, add or replace a part of a prompt, whatever its components are.
"""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Collection, Iterator, Sequence
from itertools import accumulate, groupby
from typing import Any, Literal

from bitagent_evaluator.models.validation.tokenizer_rules.components import BLANK, affix_counts, declared_form
from bitagent_evaluator.models.validation.tokenizer_rules.vocabulary import byte_alphabet, is_marker

_REPLACEMENT = "\ufffd"
_IN_NO_VOCABULARY = "\U0010fffd"
"""A character for private use."""
_BYTE_CHARACTERS = 6
_BLANKS = re.compile(rf"[\s{BLANK}]+")
_BYTE = re.compile(r"<0x[0-9A-Fa-f]{2}>")
_SHOWN = 24
"""Number of characters of a difference that a message shows."""


class RoundTrip:
    """Compares texts with what a tokenizer decodes from their ids."""

    def __init__(self, tokenizer: Any) -> None:
        """Take a `tokenizers.Tokenizer` whose components were checked."""
        self._tokenizer = tokenizer
        self._form = declared_form(state_of(tokenizer.normalizer))
        self._added = {number: token.content for number, token in tokenizer.get_added_tokens_decoder().items()}
        self._unknown = self._unknown_token()
        self._affixes = _affixes(state_of(tokenizer.post_processor))

    def _unknown_token(self) -> tuple[int, str] | None:
        """Return id and text of the token for characters that the vocabulary does not have; None without one."""
        ids = self._tokenizer.encode(_IN_NO_VOCABULARY, add_special_tokens=False).ids
        token: str = self._tokenizer.id_to_token(ids[-1]) or "" if ids else ""
        is_byte = len(ids) > 1 and _IN_NO_VOCABULARY in self._tokenizer.decode(ids, skip_special_tokens=False)
        return None if is_byte or not is_marker(token) else (ids[-1], token)

    def difference(self, text: str, ids: Sequence[int], *, special: bool = False) -> str | None:
        """Return what of a text its token ids do not give back, for people; None if they give back all.

        `special`: whether the post-processor's special tokens are among the ids.
        """
        if special:
            before, after = self._affixes
            ids = ids[before : len(ids) - after]
        decoded = self._tokenizer.decode(ids, skip_special_tokens=False)
        if decoded == text or self._fold(decoded) == self._fold(text):
            return None
        return self._compare(text, ids) and self._compare(self._written(text, ids), ids)

    def _compare(self, text: str, ids: Sequence[int]) -> str | None:
        """Compare without white space first, then compare the places of white space.

        White space may differ at the ends and beside added tokens.
        """
        expected, blanks = self._compact(text)
        decoded, decoded_blanks, free = "", set[int](), {0}
        for is_added, run in self._segments(ids):
            piece = "".join(self._added[number] for number in run) if is_added else self._decode(run)
            compact, places = self._compact(piece)
            decoded_blanks |= {len(decoded) + place for place in places}
            free.add(len(decoded))
            decoded += compact
            free.add(len(decoded))
        if decoded != expected:
            return _first_difference(expected, decoded)
        moved = (blanks ^ decoded_blanks) - free
        if not moved:
            return None
        at = min(moved)
        verb = "loses" if at in blanks else "adds"
        return f"it {verb} white space near {expected[max(0, at - _SHOWN // 2) : at + _SHOWN // 2]!r}"

    def _segments(self, ids: Sequence[int]) -> Iterator[tuple[bool, list[int]]]:
        """Yield runs of added tokens and of others, without the unknown token."""
        unknown = self._unknown[0] if self._unknown else None
        kept = (number for number in ids if number != unknown)
        for is_added, run in groupby(kept, key=self._added.__contains__):
            if is_added:
                yield from ((True, [number]) for number in run)
            else:
                yield False, list(run)

    def _decode(self, ids: Sequence[int]) -> str:
        text: str = self._tokenizer.decode(list(ids), skip_special_tokens=False)
        return text

    def _compact(self, text: str) -> tuple[str, set[int]]:
        """Return a text in the declared form without white space, and the places in it before which there was some."""
        if self._unknown:
            text = text.replace(self._unknown[1], "")
        parts = _BLANKS.split(self._fold(text).replace(_REPLACEMENT, ""))
        return "".join(parts), set(accumulate(map(len, parts[:-1])))

    def _written(self, text: str, ids: Sequence[int]) -> str:
        """Return a text as the vocabulary can write it: characters that it does not have as what comes back of them.

        Added tokens in the text stay as they are.
        """
        written: list[str] = []
        backs: dict[str, str] = {}
        at = 0
        for content in (self._added[number] for number in ids if number in self._added):
            found = text.find(content, at)
            if found >= 0:
                written += [*self._backs(text[at:found], backs), content]
                at = found + len(content)
        return "".join([*written, *self._backs(text[at:], backs)])

    def _backs(self, text: str, known: dict[str, str]) -> Iterator[str]:
        for character in _characters(text):
            if len(character) == 1 and character.isascii() and (character.isalnum() or character == " "):
                yield character
                continue
            if character not in known:
                known[character] = self._back(character)
            yield known[character]

    def _back(self, character: str) -> str:
        """Return what comes back of a character between two others; itself, if that has other letters than it."""
        ids = self._tokenizer.encode(f"a{character}a", add_special_tokens=False).ids
        back = "".join(self._decode(run) for _, run in self._segments(ids)).strip()
        if not (len(back) > 1 and back[0] == back[-1] == "a"):
            return character
        letters = {c for c in back[1:-1] if c.isascii() and c.isalnum()}
        own = unicodedata.normalize("NFKD", character)
        return back[1:-1] if letters <= {*own, *own.lower()} or _BYTE.fullmatch(character) else character

    def _fold(self, text: str) -> str:
        """Return a text in the declared form; texts that differ in form alone are equal in it."""
        form = self._form
        normal: Literal["NFC", "NFKC"] = "NFKC" if form.compatibility else "NFC"
        if not text.isascii():
            if form.without_accents:
                text = "".join(c for c in unicodedata.normalize("NFKD", text) if unicodedata.category(c) != "Mn")
            text = unicodedata.normalize(normal, text)
            if form.compatibility:
                text = "".join(c for c in text if unicodedata.category(c) not in ("Cc", "Cf") or c.isspace())
        if form.lower_case:
            text = text.casefold()
            text = text if text.isascii() else unicodedata.normalize(normal, text)
        return text


def _characters(text: str) -> Iterator[str]:
    """Yield a text in characters with their marks; a byte's name, which some vocabularies read as the byte, is one."""
    start = 0
    for end in range(1, len(text) + 1):
        if text[start] == "<" and _BYTE.match(text, start) and end - start < _BYTE_CHARACTERS:
            continue
        if end == len(text) or not unicodedata.category(text[end]).startswith("M"):
            yield text[start:end]
            start = end


def _first_difference(expected: str, decoded: str) -> str:
    at = next((i for i, (a, b) in enumerate(zip(expected, decoded, strict=False)) if a != b), None)
    at = min(len(expected), len(decoded)) if at is None else at
    start = max(0, at - _SHOWN // 2)
    return f"{expected[start : at + _SHOWN]!r} comes back as {decoded[start : at + _SHOWN]!r}"


def state_of(component: Any) -> dict[str, Any] | None:
    """Return a component of a `tokenizers.Tokenizer` as `tokenizer.json` has it."""
    state: dict[str, Any] | None = None if component is None else json.loads(component.__getstate__())
    return state


def _affixes(processor: dict[str, Any] | None) -> tuple[int, int]:
    """Return how many special tokens a post-processor puts before and after a text."""
    parts = (processor or {}).get("processors", [processor or {}])
    counts = [affix_counts(part) or (0, 0) for part in parts if part.get("type") == "TemplateProcessing"]
    return counts[0] if counts else (0, 0)


def spell(tokens: Sequence[str], decoders: Collection[str]) -> str:
    """Return the text of a sequence of tokens, each by itself; `decoders` are the types of the tokenizer's decoders.

    Bytes are joined to characters, and a blank's sign is a blank. Bytes are tokens such as `<0x0A>`, which become
    replacement characters where they are not UTF-8, or are written in GPT-2's alphabet.
    """
    if "ByteLevel" in decoders:
        return b"".join(map(_bytes_of, tokens)).decode(errors="replace")
    fallback = "ByteFallback" in decoders
    pieces: list[str] = []
    for is_byte, run in groupby(tokens, key=lambda token: fallback and _BYTE.fullmatch(token) is not None):
        if not is_byte:
            pieces += [token.replace(BLANK, " ") for token in run]
            continue
        data = bytes(int(token[3:5], 16) for token in run)
        try:
            pieces.append(data.decode())
        except UnicodeDecodeError:
            pieces.append(_REPLACEMENT * len(data))
    return "".join(pieces)


def _bytes_of(token: str) -> bytes:
    alphabet = byte_alphabet()
    known = all(character in alphabet for character in token)
    return bytes(alphabet[character] for character in token) if known else token.encode(errors="replace")
