"""Whether a model's files are those whose hash its miner has committed to, by the finetuning subnets' rule.

Their hash is of the folder that transformers fills when it loads a model: the SHA-256 of each file as base64, joined in
the order of the names, and of that again SHA-256 as base64. A miner may join the hotkey to it and hash once more, so
that a copy of the commitment is of no use to another. Which files transformers fetches depends on its version and on
the tokenizer's class: weights and configuration always, the others of `OPTIONAL` in any choice.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Collection, Iterator, Mapping
from itertools import combinations
from pathlib import Path

from bitagent_crds.conditions import Reason
from bitagent_crds.jobs import CommitmentCheck
from bitagent_evaluator.models.source import ModelSource, Snapshot
from bitagent_evaluator.support.faults import FetchError
from bitagent_evaluator.support.files import hash_pieces, read_pieces

WEIGHTS = "model.safetensors"
WEIGHTS_INDEX = "model.safetensors.index.json"
CONFIGURATION = "config.json"
OPTIONAL = frozenset(
    {
        "added_tokens.json",
        "chat_template.jinja",
        "generation_config.json",
        "merges.txt",
        "sentencepiece.bpe.model",
        "special_tokens_map.json",
        "spiece.model",
        "tokenizer.json",
        "tokenizer.model",
        "tokenizer_config.json",
        "vocab.json",
        "vocab.txt",
    }
)
SMALL_BYTES = 64 * 1024 * 1024
"""Largest file that is read for its hash alone."""


def mismatch(source: ModelSource, snapshot: Snapshot, folder: Path, check: CommitmentCheck) -> str:
    """Return why the files of a snapshot, most of them in `folder`, are not those committed to; empty if they are.

    Raises FetchError if a file cannot be read.
    """
    required, optional = committed_files(snapshot.files)
    missing = [name for name in required if name not in snapshot.files]
    if missing:
        return f"the commitment's hash is of {WEIGHTS} and {CONFIGURATION}, and the repository has no {missing[0]}"
    usable = [name for name in optional if (folder / name).exists() or snapshot.files[name].size <= SMALL_BYTES]
    digests = {name: _digest(source, snapshot, name, folder) for name in (*required, *usable)}
    if matches(digests, required=required, check=check):
        return ""
    whole = directory_hash(digests)
    return f"the files have the hash {whole}, or {with_hotkey(whole, check.hotkey)} with the hotkey; not {check.hash}"


def committed_files(files: Collection[str]) -> tuple[list[str], list[str]]:
    """Return the files that the hash covers in any case, and those that it may cover."""
    shards = sorted(name for name in files if name.startswith("model-") and name.endswith(".safetensors"))
    weights = [WEIGHTS] if WEIGHTS in files or not shards else [WEIGHTS_INDEX, *shards]
    return [CONFIGURATION, *weights], sorted(OPTIONAL & set(files))


def matches(digests: Mapping[str, bytes], *, required: Collection[str], check: CommitmentCheck) -> bool:
    """Whether some choice of the files, with all that are required, has the hash; `digests` are their SHA-256."""
    for chosen in _choices(sorted(digests.keys() - set(required))):
        found = directory_hash({name: digests[name] for name in (*required, *chosen)})
        if check.hash in (found, with_hotkey(found, check.hotkey)):
            return True
    return False


def _choices(names: list[str]) -> Iterator[tuple[str, ...]]:
    for count in range(len(names), -1, -1):
        yield from combinations(names, count)


def directory_hash(digests: Mapping[str, bytes]) -> str:
    """Return the hash of a folder without subfolders, by the SHA-256 of its files."""
    return _base64(hashlib.sha256("".join(_base64(digests[name]) for name in sorted(digests)).encode()))


def with_hotkey(value: str, hotkey: str) -> str:
    """Return a hash to which the hotkey is joined."""
    return _base64(hashlib.sha256(f"{value}{hotkey}".encode()))


def _base64(value: bytes | hashlib._Hash) -> str:
    return base64.b64encode(value if isinstance(value, bytes) else value.digest()).decode()


def _digest(source: ModelSource, snapshot: Snapshot, name: str, folder: Path) -> bytes:
    stated, local = snapshot.files[name].sha256, folder / name
    if stated is not None:
        return bytes.fromhex(stated)
    if local.exists():
        return hash_pieces(read_pieces(local)).digest()
    size = snapshot.files[name].size
    content = b"".join(source.stream(snapshot, name, 0, size))
    if len(content) != size:
        raise FetchError(Reason.FETCH_FAILED, f"reading {name} for its hash: {len(content)} of {size} bytes arrived")
    return hashlib.sha256(content).digest()
