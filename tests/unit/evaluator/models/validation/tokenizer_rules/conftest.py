"""Small tokenizers with the structure of all families, as the converters and trainers export them."""

from __future__ import annotations

import base64
import copy
import json
import struct
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

import pytest
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

from bitagent_crds.conditions import Reason
from bitagent_evaluator.models.validation.tokenizer import check_tokenizer
from bitagent_evaluator.models.validation.tokenizer_rules.probes import PROBES, ProbeWorker

Json = dict[str, Any]

CORPUS = [
    *PROBES,
    "What is the area of a triangle with a base of 10 units and a height of 5 units?",
    "Call the function with the name of the city and the day, and return the list of values.",
    "The weather in Berlin is cold and the price of the stock is 12.50 in the morning.",
]


def train(tokenizer: Tokenizer, trainer: Any) -> Json:
    """The content of `tokenizer.json` after training on the corpus."""
    tokenizer.train_from_iterator(CORPUS * 4, trainer=trainer)
    content: Json = json.loads(tokenizer.to_str())
    return content


@cache
def byte_level_bpe() -> Json:
    """Byte-level BPE, as GPT-2, Llama 3, Qwen and Tekken have it."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    special = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
    return train(tokenizer, trainers.BpeTrainer(
        vocab_size=500, special_tokens=special, initial_alphabet=alphabet, show_progress=False
    ))  # fmt: skip


BYTES = [f"<0x{byte:02X}>" for byte in range(256)]


@cache
def sentence_piece_bpe() -> Json:
    """BPE with bytes for unknown characters, as `transformers` converts Llama 2, Mistral and Gemma."""
    tokenizer = Tokenizer(models.BPE(unk_token="<unk>", fuse_unk=True, byte_fallback=True))
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="always")
    special = ["<unk>", "<s>", "</s>", *BYTES]
    content = train(
        tokenizer, trainers.BpeTrainer(vocab_size=700, special_tokens=special, limit_alphabet=90, show_progress=False)
    )
    content["added_tokens"] = content["added_tokens"][:3]
    return {**content, "pre_tokenizer": None}


@cache
def unigram(*, byte_fallback: bool) -> Json:
    """A Unigram model, as `transformers` converts it."""
    tokenizer = Tokenizer(models.Unigram())
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    special = ["<unk>", "<s>", "</s>", *(BYTES if byte_fallback else [])]
    content = train(tokenizer, trainers.UnigramTrainer(
        vocab_size=500 + len(special), special_tokens=special, unk_token="<unk>", show_progress=False
    ))  # fmt: skip
    content["added_tokens"] = content["added_tokens"][:3]
    content["model"]["byte_fallback"] = byte_fallback
    return content


def token(number: int, content: str, **flags: bool) -> Json:
    """An added token."""
    plain = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": True}
    return {"id": number, "content": content, **plain, **flags}


def with_added(content: Json, *texts: str, **flags: bool) -> Json:
    """The same with further added tokens, as `add_tokens` numbers them."""
    known = {entry["content"]: entry for entry in content["added_tokens"]}
    first = 1 + max([*vocabulary_of(content).values(), *(entry["id"] for entry in known.values())])
    new = [token(first + place, text, **flags) for place, text in enumerate(texts)]
    return {**content, "added_tokens": [*content["added_tokens"], *new]}


def vocabulary_of(content: Json) -> dict[str, int]:
    """Ids of the model's tokens."""
    vocabulary = content["model"]["vocab"]
    if isinstance(vocabulary, dict):
        return vocabulary
    return {text: number for number, (text, _) in enumerate(vocabulary)}


def byte_level(*, prefix: bool = False, regex: bool = False) -> Json:
    """The component ByteLevel."""
    return {"type": "ByteLevel", "add_prefix_space": prefix, "trim_offsets": True, "use_regex": regex}


def split(pattern: str, behavior: str = "Isolated", *, invert: bool = False, kind: str = "Regex") -> Json:
    """The component Split."""
    return {"type": "Split", "pattern": {kind: pattern}, "behavior": behavior, "invert": invert}


def pre(*parts: Json) -> Json:
    """A sequence of pre-tokenizers."""
    return {"type": "Sequence", "pretokenizers": list(parts)}


def normal(*parts: Json) -> Json:
    """A sequence of normalizers."""
    return {"type": "Sequence", "normalizers": list(parts)}


def decoding(*parts: Json) -> Json:
    """A sequence of decoders."""
    return {"type": "Sequence", "decoders": list(parts)}


def replacing(text: str, content: str, *, kind: str = "String") -> Json:
    """The component Replace."""
    return {"type": "Replace", "pattern": {kind: text}, "content": content}


def metaspace(scheme: str = "always", **more: Any) -> Json:
    """The component Metaspace."""
    return {"type": "Metaspace", "replacement": "\u2581", "prepend_scheme": scheme, "split": True, **more}


FROM_BLANK, TO_BLANK = replacing("\u2581", " "), replacing(" ", "\u2581")
PIECES = decoding(FROM_BLANK, {"type": "ByteFallback"}, {"type": "Fuse"})
PIECES_STRIPPED = decoding(*PIECES["decoders"], {"type": "Strip", "content": " ", "start": 1, "stop": 0})


def charsmap(rows: Mapping[str, str]) -> str:
    """A table as SentencePiece writes it: a double-array trie without shared places, and the replacements."""
    tree: Json = {}
    for key, value in rows.items():
        node = tree
        for byte in key.encode():
            node = node.setdefault(byte, {})
        node["value"] = value
    units: dict[int, int] = {0: 0}
    replacements = bytearray()
    pending = [(0, tree)]
    free = 256
    while pending:
        place, node = pending.pop()
        base = free & ~0xFF  # a block of 256 places for each node
        free = base + 256
        offset = place ^ base
        assert offset < 1 << 21
        units[place] = units.get(place, 0) | offset << 10
        if "value" in node:
            units[place] |= 1 << 8
            units[base] = 1 << 31 | len(replacements)
            replacements += node["value"].encode() + b"\0"
        for byte in [key for key in node if key != "value"]:
            units[base ^ byte] = byte
            pending.append((base ^ byte, node[byte]))
    size = max(units) // 256 * 256 + 256
    trie = struct.pack(f"<{size}I", *(units.get(place, 0) for place in range(size)))
    return base64.b64encode(struct.pack("<I", len(trie)) + trie + bytes(replacements)).decode()


def precompiled(rows: Mapping[str, str]) -> Json:
    """The component Precompiled."""
    return {"type": "Precompiled", "precompiled_charsmap": charsmap(rows)}


class Kit:
    """What the tests of this folder share; they cannot import this file."""

    byte_level_bpe = staticmethod(lambda: copy.deepcopy(byte_level_bpe()))
    sentence_piece_bpe = staticmethod(lambda: copy.deepcopy(sentence_piece_bpe()))
    unigram = staticmethod(lambda *, byte_fallback=True: copy.deepcopy(unigram(byte_fallback=byte_fallback)))
    token, with_added, vocabulary_of = staticmethod(token), staticmethod(with_added), staticmethod(vocabulary_of)
    byte_level, split, metaspace = staticmethod(byte_level), staticmethod(split), staticmethod(metaspace)
    pre, normal, decoding = staticmethod(pre), staticmethod(normal), staticmethod(decoding)
    replacing, charsmap, precompiled = staticmethod(replacing), staticmethod(charsmap), staticmethod(precompiled)
    FROM_BLANK, TO_BLANK, PIECES, PIECES_STRIPPED = FROM_BLANK, TO_BLANK, PIECES, PIECES_STRIPPED

    @staticmethod
    def check(content: Json) -> str:
        """The digest of a tokenizer by the rules alone. Raises Refused."""
        small = {"tokenizer.json": json.dumps(content).encode(), "tokenizer_config.json": b"{}"}
        return check_tokenizer(small, 100_000)

    @classmethod
    def admit(cls, content: Json) -> str:
        """The digest of a tokenizer that was checked and tried, in this process. Raises Refused."""
        digest = cls.check(content)
        ProbeWorker().handle({}, {"tokenizer.json": json.dumps(content).encode()})
        return digest

    @classmethod
    def refusal(cls, content: Json) -> tuple[Reason, str] | None:
        """Reason and message of a refusal; None for a tokenizer that is admitted."""
        from bitagent_evaluator.sandbox.protocol import Refused

        try:
            cls.admit(content)
        except Refused as error:
            return Reason(error.reason), error.message
        return None


@pytest.fixture(scope="session")
def kit() -> type[Kit]:
    """Builders of tokenizers, and their admission."""
    return Kit


Build = Callable[[type[Kit]], Json]
