"""What identifies a tokenizer: everything in `tokenizer.json` that decides ids and texts.

Two files that differ in version, padding, truncation, offsets, in the order of members or in the way of writing the
same settings have one digest. Special tokens of `tokenizer_config.json` are not part of it: they decide which tokens
a template writes and which end an answer, not how texts become ids.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from typing import Any

from bitagent_evaluator.models.validation.tokenizer_rules.components import affix_counts, parts_of
from bitagent_evaluator.models.validation.tokenizer_rules.vocabulary import model_type

_FORMAT = "bitagent tokenizer 1"
"""Part of the digest; another one if the meaning of what is hashed changes."""
_FLAGS = ("single_word", "lstrip", "rstrip", "normalized", "special")
_DEFAULTS: Mapping[str, Mapping[str, Any]] = {
    "ByteLevel": {"add_prefix_space": True, "use_regex": True},
    "Metaspace": {"split": True},
    "Split": {"invert": False},
    "Digits": {"individual_digits": False},
    "Punctuation": {"behavior": "Isolated"},
}
_BATCH = 4096
"""Number of tokens or merges in one piece."""
_IRRELEVANT = frozenset({"trim_offsets", "str_rep"})


def tokenizer_digest(tokenizer: Mapping[str, Any]) -> str:
    """Return the digest of a tokenizer whose components and vocabulary were checked, as `sha256:` and 64 digits."""
    sink = hashlib.sha256()
    for piece in _pieces(tokenizer):
        sink.update(json.dumps(piece, sort_keys=True, separators=(",", ":")).encode())
        sink.update(b"\n")
    return f"sha256:{sink.hexdigest()}"


def _pieces(tokenizer: Mapping[str, Any]) -> Iterator[Any]:
    """Yield all that is hashed, piece by piece, so that a large vocabulary is not held twice."""
    yield _FORMAT
    for kind in ("normalizer", "pre_tokenizer"):
        yield [kind, [_with_defaults(part) for part in parts_of(tokenizer, kind)]]
    # Offsets aside, ByteLevel does nothing after tokenization, and its settings do nothing to decoding.
    yield ["post_processor", [_affixes(part) for part in parts_of(tokenizer, "post_processor") if "single" in part]]
    decoders = [_with_defaults(part) for part in parts_of(tokenizer, "decoder")]
    yield ["decoder", [{"type": part["type"]} if part["type"] == "ByteLevel" else part for part in decoders]]
    added = tokenizer.get("added_tokens") or []
    for token in sorted(added, key=lambda token: (token["id"], token["content"])):
        yield ["added", token["id"], token["content"], *(bool(token.get(flag)) for flag in _FLAGS)]
    model = tokenizer["model"]
    settings = {key: value for key, value in model.items() if key not in ("vocab", "merges", "type")}
    yield [
        "model",
        model_type(model),
        {key: value for key, value in settings.items() if value not in (None, "", False)},
    ]
    vocabulary = model["vocab"]
    by_id = sorted(vocabulary, key=vocabulary.__getitem__) if isinstance(vocabulary, dict) else vocabulary
    for start in range(0, len(by_id), _BATCH):
        tokens = by_id[start : start + _BATCH]
        yield [tokens, [vocabulary[token] for token in tokens]] if isinstance(vocabulary, dict) else tokens
    merges = model.get("merges") or []
    for start in range(0, len(merges), _BATCH):
        batch = merges[start : start + _BATCH]
        yield [merge.split(" ", 1) if isinstance(merge, str) else merge for merge in batch]


def _with_defaults(part: Mapping[str, Any]) -> dict[str, Any]:
    """Return a component with the defaults of members that it lacks, and without those that decide nothing."""
    full = {**_DEFAULTS.get(part["type"], {}), **part}
    if part["type"] == "Metaspace":
        prefix = full.pop("add_prefix_space", True)
        full.setdefault("prepend_scheme", "always" if prefix else "never")
    return {key: value for key, value in full.items() if key not in _IRRELEVANT}


def _affixes(part: Mapping[str, Any]) -> list[Any]:
    """Return the ids before and after a text."""
    before, _ = affix_counts(part) or (0, 0)
    names = [piece["SpecialToken"]["id"] for piece in part["single"] if "SpecialToken" in piece]
    ids = [part["special_tokens"][name]["ids"] for name in names]
    return [ids[:before], ids[before:]]
