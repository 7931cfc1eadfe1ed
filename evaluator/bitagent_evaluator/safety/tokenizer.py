"""tokenizer.json and its companions: sizes that a machine survives, ids inside the vocabulary, no code."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from bitagent_crds.conditions import Reason
from bitagent_evaluator.safety.configuration import parse_object, refuse_code
from bitagent_evaluator.safety.refusal import require, shown
from bitagent_evaluator.safety.selection import SPECIAL_TOKENS, TOKENIZER, TOKENIZER_CONFIG

MAX_ADDED_TOKENS = 4096


def _ids(tokenizer: Mapping[str, Any]) -> Iterator[object]:
    model = tokenizer.get("model")
    vocabulary = model.get("vocab") if isinstance(model, dict) else None
    if isinstance(vocabulary, dict):
        yield from vocabulary.values()
    else:
        sound = isinstance(vocabulary, list) and len(vocabulary) > 0
        require(sound, Reason.BAD_TOKENIZER, f"{TOKENIZER} has no vocabulary")
        yield len(vocabulary or []) - 1
    added = tokenizer.get("added_tokens") or []
    require(isinstance(added, list), Reason.BAD_TOKENIZER, f"{TOKENIZER}: added_tokens is no list")
    require(
        len(added) <= MAX_ADDED_TOKENS,
        Reason.BAD_TOKENIZER,
        f"{TOKENIZER} has {len(added)} added tokens, allowed {MAX_ADDED_TOKENS}",
    )
    for token in added:
        yield token.get("id") if isinstance(token, dict) else None


def check_tokenizer(small: Mapping[str, bytes], vocab_size: int) -> dict[str, Any]:
    """Refuse a tokenizer that the engine could not survive (BadTokenizer, CustomCode); its configuration otherwise."""
    settings = parse_object(TOKENIZER_CONFIG, small[TOKENIZER_CONFIG], Reason.BAD_TOKENIZER)
    refuse_code(TOKENIZER_CONFIG, settings)
    if SPECIAL_TOKENS in small:
        parse_object(SPECIAL_TOKENS, small[SPECIAL_TOKENS], Reason.BAD_TOKENIZER)
    for token in _ids(parse_object(TOKENIZER, small[TOKENIZER], Reason.BAD_TOKENIZER)):
        require(
            type(token) is int and 0 <= token < vocab_size,
            Reason.BAD_TOKENIZER,
            f"{TOKENIZER}: token id {shown(token)} is outside vocab_size {vocab_size} of config.json",
        )
    return settings
