"""The head and the embeddings of a checkpoint, and whether an engine loads a head of its own.

What is loaded decides, not what the configuration says. vLLM 0.32 does not believe `tie_word_embeddings: true` if the
weight files have a head (`ModelConfig.maybe_untie_word_embeddings`): it loads that head beside the embeddings. Then it
compares the two in its own number format, and shares the embeddings' storage if they are equal
(`weight_tying.maybe_retie_word_embeddings`); otherwise it computes with the head. So does transformers.

Headers do not say whether the two are equal. Where values are not read, a head that is there counts.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

HEAD = "lm_head.weight"
EMBEDDINGS = "model.embed_tokens.weight"


_SAID = f"{HEAD} is in the weight files although config.json ties the head to the embeddings"
_TO_UNTIE = "set tie_word_embeddings to false if it is meant, else leave it out of the files"


def has_head_beside_tied(names: Collection[str], config: Mapping[str, Any]) -> bool:
    """Return whether a checkpoint that is tied by its configuration has a head among the names of its tensors."""
    return config.get("tie_word_embeddings") is True and HEAD in names


def head_note(*, equal: bool | None) -> str:
    """Return what `check` says of a head beside tied embeddings; `equal` is None if the values were not read."""
    if equal is None:
        return (
            f"{_SAID}: the engine computes with it, and it counts as parameters, unless it equals them (the fetch "
            f"compares); {_TO_UNTIE}"
        )
    if equal:
        return f"{_SAID}, and equals them: the engine computes with the embeddings; leave it out of the files"
    return f"{_SAID}, and differs from them: the engine computes with it, and it counts as parameters; {_TO_UNTIE}"
