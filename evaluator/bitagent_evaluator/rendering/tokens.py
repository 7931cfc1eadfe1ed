"""Special tokens and stop tokens, by the small files of a model."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

NAMES = ("bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token")
"""Of the special tokens that a template may use as variables."""
MAX_STOP_IDS = 16


def special_tokens(*sources: Mapping[str, Any]) -> dict[str, str]:
    """The named special tokens that templates refer to; a later source wins."""
    found: dict[str, str] = {}
    for source in sources:
        for name in NAMES:
            value = source.get(name)
            text = value.get("content") if isinstance(value, dict) else value
            if isinstance(text, str):
                found[name] = text
    return found


def stop_ids(
    special: Mapping[str, str],
    configurations: list[Mapping[str, Any]],
    id_of: Callable[[str], int | None],
    vocab_size: int,
    *,
    also: Sequence[str] = (),
) -> list[int]:
    """Token ids that end an answer: the tokenizer's end token, `also`, and what the configurations name.

    Anything malformed is left out.
    """
    found: list[object] = [id_of(token) for token in also]
    if "eos_token" in special:
        found.append(id_of(special["eos_token"]))
    for configuration in configurations:
        value = configuration.get("eos_token_id")
        found.extend(value if isinstance(value, list) else [value])
    sound = {token for token in found if type(token) is int and 0 <= token < vocab_size}
    return sorted(sound)[:MAX_STOP_IDS]


def end_id(special: Mapping[str, str], id_of: Callable[[str], int | None], *, also: Sequence[str] = ()) -> int | None:
    """The one token that a chat writes after an answer: the first of `also` that the tokenizer knows, else its end token; None without."""
    known = (id_of(token) for token in (*also, *filter(None, [special.get("eos_token")])))
    return next((token for token in known if token is not None), None)
