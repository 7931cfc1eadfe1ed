"""Tokenizer files: no code, ids of the model's vocabulary, and the rules of `tokenizer_rules`.

Also what they say about a chat: special tokens, and tokens that end an answer.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import Any

from bitagent_crds.conditions import Reason
from bitagent_evaluator.chat_templates.render import SPECIAL_TOKEN_NAMES
from bitagent_evaluator.models.validation.files import (
    SPECIAL_TOKENS,
    TOKENIZER,
    TOKENIZER_CONFIG,
    parse_object,
    quote,
    refuse_code,
    require,
)
from bitagent_evaluator.models.validation.tokenizer_rules.components import check_components
from bitagent_evaluator.models.validation.tokenizer_rules.digest import tokenizer_digest
from bitagent_evaluator.models.validation.tokenizer_rules.vocabulary import check_vocabulary
from bitagent_evaluator.sandbox.protocol import Refused

MAX_STOP_IDS = 16


def special_tokens(*sources: Mapping[str, Any]) -> dict[str, str]:
    """Return the special tokens that templates refer to, by name: of two sources the later one wins."""
    found: dict[str, str] = {}
    for source in sources:
        for name in SPECIAL_TOKEN_NAMES:
            value = source.get(name)
            text = value.get("content") if isinstance(value, dict) else value
            if isinstance(text, str) and can_be_encoded(text):
                found[name] = text
    return found


def can_be_encoded(text: str) -> bool:
    """Return whether a text has no lone surrogates: JSON can write them, and a tokenizer raises an exception."""
    return not any("\ud800" <= character <= "\udfff" for character in text)


def stop_token_ids(
    special: Mapping[str, str],
    configurations: Sequence[Mapping[str, Any]],
    id_of: Callable[[str], int | None],
    vocab_size: int,
    *,
    also: Sequence[str] = (),
) -> list[int]:
    """Return the token ids that end an answer: the tokenizer's end token, `also`, and those of the configurations.

    Malformed ids are left out.
    """
    found: list[object] = [id_of(token) for token in also]
    if "eos_token" in special:
        found.append(id_of(special["eos_token"]))
    for configuration in configurations:
        value = configuration.get("eos_token_id")
        found.extend(value if isinstance(value, list) else [value])
    sound = {token for token in found if type(token) is int and 0 <= token < vocab_size}
    return sorted(sound)[:MAX_STOP_IDS]


def end_token_id(
    special: Mapping[str, str], id_of: Callable[[str], int | None], *, also: Sequence[str] = ()
) -> int | None:
    """Return the token that ends an answer in a chat: the first of `also` that the tokenizer knows, else its end token.

    None if the tokenizer knows none of them.
    """
    known = (id_of(token) for token in (*also, *filter(None, [special.get("eos_token")])))
    return next((token for token in known if token is not None), None)


def _token_ids(tokenizer: Mapping[str, Any], beyond: Collection[str]) -> Iterator[object]:
    """Yield the ids of all tokens but those of added ones in `beyond`."""
    model = tokenizer.get("model")
    vocabulary = model.get("vocab") if isinstance(model, dict) else None
    if isinstance(vocabulary, dict):
        yield from vocabulary.values()
    else:
        sound = isinstance(vocabulary, list) and len(vocabulary) > 0
        require(sound, Reason.BAD_TOKENIZER, f"{TOKENIZER} has no vocabulary")
        yield len(vocabulary or []) - 1
    for token in tokenizer.get("added_tokens") or []:
        if not isinstance(token, dict) or token.get("content") not in beyond:
            yield token.get("id") if isinstance(token, dict) else None


def check_tokenizer(small: Mapping[str, bytes], vocab_size: int, beyond: Collection[str] = ()) -> str:
    """Return the tokenizer's digest. Refuses files that are not by the rules (BadTokenizer, CustomCode).

    `beyond` are added tokens that may have an id outside the vocabulary; prompts have their text in parts instead.
    """
    settings = parse_object(TOKENIZER_CONFIG, small[TOKENIZER_CONFIG], Reason.BAD_TOKENIZER)
    refuse_code(TOKENIZER_CONFIG, settings)
    if SPECIAL_TOKENS in small:
        parse_object(SPECIAL_TOKENS, small[SPECIAL_TOKENS], Reason.BAD_TOKENIZER)
    tokenizer = parse_object(TOKENIZER, small[TOKENIZER], Reason.BAD_TOKENIZER, unique=True)
    check_components(tokenizer)
    check_vocabulary(tokenizer)
    outside = [token for token in _token_ids(tokenizer, beyond) if not (type(token) is int and 0 <= token < vocab_size)]
    if outside:
        message = f"token id {quote(outside[0])} is outside vocab_size {vocab_size} of config.json"
        raise Refused(Reason.BAD_TOKENIZER, f"{TOKENIZER}: {message}")
    return tokenizer_digest(tokenizer)
