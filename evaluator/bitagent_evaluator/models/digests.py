"""Identities of a model.

`model_digest` identifies the files that decide the answers, byte for byte. `weights_digest` identifies the weights as
numbers, in whatever way they are stored: models with equal weights are copies, even if their files are not the same.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

from bitagent_crds.conditions import Reason
from bitagent_crds.texts import digest_of
from bitagent_evaluator.models.checkpoint import model_tensors
from bitagent_evaluator.models.source import digest_of_files
from bitagent_evaluator.models.validation.architectures import find_architecture
from bitagent_evaluator.models.validation.config import reduce_config
from bitagent_evaluator.models.validation.files import (
    CONFIG,
    INDEX,
    directory_files,
    fetched_files,
    parse_object,
    weight_files,
)
from bitagent_evaluator.models.validation.head import EMBEDDINGS, HEAD
from bitagent_evaluator.models.validation.quantization import SETTINGS_FILES, find_method, with_settings
from bitagent_evaluator.models.validation.weights import expected_checkpoint
from bitagent_evaluator.models.values import FLOATS, StoredTensor, stored_tensors, to_bfloat16
from bitagent_evaluator.sandbox.protocol import Refused
from bitagent_evaluator.support.files import read_pieces, sha256_of

_THREADS = 4


def model_digest(digests: Mapping[str, str]) -> str:
    """Return the digest of everything that decides a model's answers, from its files' hex SHA-256 by name.

    Weights, configuration, generation settings, tokenizer and chat template count. The index of the shards does not,
    and neither does any file that is never fetched, such as a model card.
    """
    return digest_of_files({name: digests[name] for name in fetched_files(digests) if name != INDEX})


def directory_model_digest(model_dir: Path) -> str:
    """Return the `model_digest` of a local model. Raises OSError if a file cannot be read."""
    names = fetched_files(directory_files(model_dir))
    return model_digest({name: sha256_of(read_pieces(model_dir / name)) for name in names})


def weight_files_digest(model_dir: Path) -> str:
    """Return the digest of the weight files, by which results of earlier versions name their weights.

    Raises OSError if a file cannot be read.
    """
    names = weight_files(entry.name for entry in model_dir.iterdir())
    return digest_of_files({name: sha256_of(read_pieces(model_dir / name)) for name in names})


def read_config(model_dir: Path) -> dict[str, Any]:
    """Return the members of config.json, with the settings of a quantisation that are in a file of their own.

    Raises Refused if a file is not an object or a weight header is malformed, and OSError if a file cannot be read.
    """
    config = parse_object(CONFIG, (model_dir / CONFIG).read_bytes(), Reason.BAD_CONFIG)
    own = {name: (model_dir / name).read_bytes() for name in SETTINGS_FILES if (model_dir / name).is_file()}
    return with_settings(config, own, model_tensors(model_dir))[0] if own else config


def weights_digest(model_dir: Path) -> str:
    """Return the digest of the weights as numbers.

    It is the SHA-256 of the sorted lines `KIND SHAPE SHA256` of the tensors that the engine uses. Numbers count as
    bfloat16, and packed integers by their bytes. Names, order, files, shards, headers and the dtype do not count;
    neither do a head that equals the embedding, biases that are 0, and tensors that engines ignore.

    Raises Refused if a header is malformed, and OSError if a file cannot be read.
    """
    tensors = used_tensors(model_dir)
    with ThreadPoolExecutor(_THREADS, thread_name_prefix="digest") as pool:
        lines = dict(zip(tensors, pool.map(_line, tensors.values()), strict=True))
    if HEAD in lines and lines[HEAD] == lines.get(EMBEDDINGS):
        del lines[HEAD]
    return digest_of("".join(sorted(line for line in lines.values() if line)).encode())


def used_tensors(model_dir: Path) -> dict[str, StoredTensor]:
    """Return the tensors that an engine uses, by name; all tensors if the configuration is not one that is supported.

    Raises Refused if a header is malformed.
    """
    tensors = stored_tensors(model_dir)
    try:
        config = read_config(model_dir)
        architecture = find_architecture(config)
        known = reduce_config(config, architecture)
        method = find_method(config)
        used = expected_checkpoint(architecture.expected_tensors(known), method, config).required
    except Refused:
        return tensors
    # A head beside tied embeddings is used, unless it equals them.
    return {name: tensor for name, tensor in tensors.items() if name in used or name == HEAD}


def copies_embeddings(model_dir: Path) -> bool:
    """Return whether the head in the weight files, which must have one, is the embeddings bit for bit.

    Raises Refused if a header is malformed, and OSError if a file cannot be read.
    """
    tensors = stored_tensors(model_dir)
    head, embeddings = tensors[HEAD], tensors[EMBEDDINGS]
    if (head.dtype, head.shape) != (embeddings.dtype, embeddings.shape):
        return False
    return all(np.array_equal(one, other) for one, other in zip(head.parts(), embeddings.parts(), strict=True))


def _line(stored: StoredTensor) -> str:
    """Return the tensor's line; empty for a bias of zeros, which is the same as none."""
    is_float = stored.dtype in FLOATS
    digest = hashlib.sha256()
    zero = len(stored.shape) == 1
    for part in stored.parts():
        values = to_bfloat16(part, stored.dtype) if is_float else part
        zero = zero and not values.any()
        digest.update(values.data)
    shape = "x".join(map(str, stored.shape))
    return "" if zero else f"{'float' if is_float else stored.dtype} {shape} {digest.hexdigest()}\n"
