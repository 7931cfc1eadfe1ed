"""Where a running engine takes a model's head from: the rule of vLLM 0.32, and the comparison of values behind it.

vLLM decides this once, when an engine starts, and not again when weights are exchanged: an engine that shares the
embeddings' storage drops another model's head without a word. So two models may share an engine only if it would have
treated both alike. See `models.validation.head` for the source of the rule.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import ExitStack
from enum import StrEnum
from pathlib import Path
from typing import Any

from bitagent_evaluator.models.checkpoint import file_tensors, weight_paths
from bitagent_evaluator.models.validation.head import EMBEDDINGS, HEAD, has_head_beside_tied
from bitagent_evaluator.models.validation.weights import Tensor

_ROWS = 4096
"""Rows that are compared at a time."""


class HeadSource(StrEnum):
    """Where an engine takes the head from."""

    TIED = "tied to the embeddings"
    """By the configuration; the checkpoint has no head."""
    EQUAL = "tied to the embeddings that it equals"
    """The checkpoint has a head beside tied embeddings, and the engine found the two equal."""
    OWN = "of its own beside tied embeddings"
    """The checkpoint has one that differs from the tied embeddings."""
    UNTIED = "of its own"
    """By the configuration; the engine does not compare it with the embeddings."""


def head_source(tensors: Mapping[str, Tensor], config: Mapping[str, Any], equal: Callable[[], bool]) -> HeadSource:
    """Return where an engine takes the head from.

    `equal` says whether head and embeddings hold the same numbers in the engine's format. It reads both, and is called
    only where that decides.
    """
    if has_head_beside_tied(tensors, config):
        return HeadSource.EQUAL if equal() else HeadSource.OWN
    return HeadSource.TIED if config.get("tie_word_embeddings") else HeadSource.UNTIED


def head_equals_embeddings(model_dir: Path, dtype: str) -> bool:
    """Return whether head and embeddings, which the checkpoint has, are equal in the engine's number format.

    Numbers that differ in the files may be equal there, such as those too small for float16. Raises OSError, Refused.
    """
    import torch
    from safetensors import safe_open

    engine_dtype = getattr(torch, dtype)
    with ExitStack() as stack:
        slices: dict[str, Any] = {}
        for path in weight_paths(model_dir):
            held = {HEAD, EMBEDDINGS} & file_tensors(path).keys()
            if held:
                opened = stack.enter_context(safe_open(path, framework="pt"))
                slices |= {name: opened.get_slice(name) for name in held}
        head, embeddings = slices[HEAD], slices[EMBEDDINGS]
        rows = head.get_shape()[0]
        return all(
            torch.equal(
                head[start : start + _ROWS].to(engine_dtype), embeddings[start : start + _ROWS].to(engine_dtype)
            )
            for start in range(0, rows, _ROWS)
        )
