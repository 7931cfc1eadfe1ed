"""Which files of a repository are ever fetched. Pickles, code and everything unknown stay where they are."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from bitagent_crds.conditions import Reason
from bitagent_evaluator.safety.refusal import require, shown

MB = 1 << 20

CONFIG = "config.json"
GENERATION_CONFIG = "generation_config.json"
TOKENIZER = "tokenizer.json"
TOKENIZER_CONFIG = "tokenizer_config.json"
SPECIAL_TOKENS = "special_tokens_map.json"
TEMPLATE = "chat_template.jinja"
INDEX = "model.safetensors.index.json"
CARD = "README.md"

SMALL_FILES: Mapping[str, int] = {
    CONFIG: 64 << 10,
    GENERATION_CONFIG: 16 << 10,
    TOKENIZER: 24 * MB,
    TOKENIZER_CONFIG: 4 * MB,
    SPECIAL_TOKENS: 64 << 10,
    TEMPLATE: 64 << 10,
    INDEX: 8 * MB,
}
"""Largest size in bytes of each small file. A 50 MB tokenizer costs an engine a minute and two gigabytes before it says anything."""

CARD_BYTES = 256 << 10
"""The model card is read for its licence, never fetched; a longer one is not read."""

REQUIRED = (CONFIG, TOKENIZER, TOKENIZER_CONFIG)
MAX_FILES = 10_000
MAX_SHARDS = 64

_WEIGHTS = re.compile(r"model(-\d{5}-of-\d{5})?\.safetensors")
_PICKLES = re.compile(r".*\.(bin|pt|pth|ckpt|pkl|pickle)")


def weight_files(names: Iterable[str]) -> list[str]:
    """The weight files among `names`, sorted."""
    return sorted(name for name in names if _WEIGHTS.fullmatch(name))


def fetched_files(names: Iterable[str]) -> list[str]:
    """The files that are fetched, sorted."""
    return sorted(name for name in names if name in SMALL_FILES or _WEIGHTS.fullmatch(name))


def check_selection(sizes: Mapping[str, int], max_bytes: int) -> None:
    """Refuse a repository by its file list alone. Reasons NoSafetensors, BadConfig, BadTokenizer, TooLarge."""
    shards = weight_files(sizes)
    if not shards:
        pickles = sorted(name for name in sizes if _PICKLES.fullmatch(name))
        found = f"; {shown(pickles[0])} is a pickle, which can run code and is never loaded" if pickles else ""
        require(False, Reason.NO_SAFETENSORS, f"the repository has no model.safetensors{found}: save it as safetensors")
    require(len(shards) <= MAX_SHARDS, Reason.TOO_LARGE, f"{len(shards)} weight files, allowed {MAX_SHARDS}")
    for name in REQUIRED:
        reason = Reason.BAD_CONFIG if name == CONFIG else Reason.BAD_TOKENIZER
        require(name in sizes, reason, f"{name} is missing")
    for name, limit in SMALL_FILES.items():
        reason = Reason.BAD_TOKENIZER if name.startswith(("tokenizer", "special")) else Reason.BAD_CONFIG
        require(sizes.get(name, 0) <= limit, reason, f"{name} has {sizes.get(name)} bytes, allowed {limit}")
    total = sum(sizes[name] for name in fetched_files(sizes))
    require(total <= max_bytes, Reason.TOO_LARGE, f"the files have {total} bytes, allowed {max_bytes}")
