"""Safetensors headers, and whether the weight files have exactly the tensors that the configuration requires.

A header is 8 bytes of length N (little-endian) and N bytes of JSON; the tensors follow to the end of the file, without
hole or overlap (https://github.com/huggingface/safetensors, "Format"). The number of parameters follows from the
headers; no weights are read.
"""

from __future__ import annotations

import json
import math
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from bitagent_crds.conditions import Reason
from bitagent_evaluator.models.validation.architectures import ExpectedTensors
from bitagent_evaluator.models.validation.files import INDEX, parse_object, quote, require
from bitagent_evaluator.models.validation.names import explain_names
from bitagent_evaluator.models.validation.quantization import WORD_BITS, QuantizationMethod, TensorSpec, packed_bits
from bitagent_evaluator.sandbox.protocol import Refused

LENGTH_BYTES = 8
MAX_HEADER_BYTES = 16 << 20
MAX_HEADERS_BYTES = 32 << 20
"""Limit for all files together. The largest mixtures have the most: Qwen3 (A22B) in GPTQ has 146,000 tensors, and
headers of 18 MB."""
MAX_TENSORS = 200_000
"""Limit for one file; the most experts that are allowed have 196,608 tensors in GPTQ."""
_MAX_DIMENSION = 1 << 31
_MAX_RANK = 4
_MEMBERS = frozenset({"dtype", "shape", "data_offsets"})

ITEM_BYTES: Mapping[str, int] = {
    "F64": 8,
    "F32": 4,
    "F16": 2,
    "BF16": 2,
    "C64": 8,
    "I64": 8,
    "U64": 8,
    "I32": 4,
    "U32": 4,
    "I16": 2,
    "U16": 2,
    "I8": 1,
    "U8": 1,
    "F8_E4M3": 1,
    "F8_E5M2": 1,
    "F8_E8M0": 1,
    "F8_E4M3FNUZ": 1,
    "F8_E5M2FNUZ": 1,
    "BOOL": 1,
}
"""Bytes of a value, by dtype of the format; which of them a model may have is decided by its tensors."""
_BITS: Mapping[str, int] = {"F4": 4, "F6_E2M3": 6, "F6_E3M2": 6}
"""Bits of a value that has less than a byte."""


@dataclass(frozen=True)
class Tensor:
    """One tensor as its header describes it; `start` and `end` are positions in the file, in bytes."""

    dtype: str
    shape: tuple[int, ...]
    start: int
    end: int

    @property
    def elements(self) -> int:
        """Number of elements."""
        return math.prod(self.shape)


def header_bytes(name: str, first: bytes, file_size: int) -> int:
    """Return the bytes from the file's start to the end of its header, from its first 8 bytes.

    Refuses a length that the limits or the file's size exclude (CorruptWeights).
    """
    require(len(first) >= LENGTH_BYTES and file_size > LENGTH_BYTES + 2, Reason.CORRUPT_WEIGHTS, f"{name} is empty")
    length: int = struct.unpack_from("<Q", first)[0]
    limit = min(MAX_HEADER_BYTES, file_size - LENGTH_BYTES)
    require(
        length <= limit,
        Reason.CORRUPT_WEIGHTS,
        f"{name} announces a header of {length} bytes, at most {limit} are allowed: it is truncated or not a "
        "safetensors file",
    )
    return LENGTH_BYTES + length


def parse_header(name: str, data: bytes, file_size: int) -> dict[str, Tensor]:
    """Return the tensors of one file by name. `data` is the file's start up to the end of its header.

    Refuses a malformed header (CorruptWeights).
    """
    end = header_bytes(name, data, file_size)
    require(len(data) >= end, Reason.CORRUPT_WEIGHTS, f"{name} ends inside its header")
    try:
        entries = json.loads(data[LENGTH_BYTES:end].decode())  # as text, like base.parse_object
    except (ValueError, RecursionError) as error:
        message = f"{name}: its header is not JSON ({type(error).__name__}): save or download the file again"
        raise Refused(Reason.CORRUPT_WEIGHTS, message) from None
    require(isinstance(entries, dict), Reason.CORRUPT_WEIGHTS, f"{name}: its header is not an object")
    require(
        len(entries) <= MAX_TENSORS, Reason.CORRUPT_WEIGHTS, f"{name}: {len(entries)} tensors, allowed {MAX_TENSORS}"
    )
    metadata = entries.pop("__metadata__", None) or {}
    sound = isinstance(metadata, dict) and all(isinstance(value, str) for value in metadata.values())
    require(sound, Reason.CORRUPT_WEIGHTS, f"{name}: __metadata__ of its header is not an object of texts")
    tensors = {key: _tensor(name, key, entry, end) for key, entry in entries.items()}
    _check_spans(name, tensors, end, file_size)
    return tensors


def _tensor(name: str, key: str, entry: object, base: int) -> Tensor:
    where = f"{name}: tensor {quote(key)}"
    try:
        dtype, shape, (start, end) = entry["dtype"], entry["shape"], entry["data_offsets"]  # type: ignore[index]
    except (TypeError, KeyError, ValueError):
        raise Refused(Reason.CORRUPT_WEIGHTS, f"{where} has no dtype, shape and two offsets") from None
    sound = isinstance(entry, dict) and entry.keys() == _MEMBERS
    require(sound, Reason.CORRUPT_WEIGHTS, f"{where} has other members than dtype, shape and data_offsets")
    known = isinstance(dtype, str) and (dtype in ITEM_BYTES or dtype in _BITS)
    require(known, Reason.CORRUPT_WEIGHTS, f"{where} has the dtype {quote(dtype)}, which the format does not have")
    sound = isinstance(shape, list) and len(shape) <= _MAX_RANK
    sound = sound and all(type(size) is int and 0 < size < _MAX_DIMENSION for size in shape)
    require(sound, Reason.CORRUPT_WEIGHTS, f"{where} has the shape {quote(shape)}")
    require(
        type(start) is int and type(end) is int, Reason.CORRUPT_WEIGHTS, f"{where} has offsets that are not integers"
    )
    tensor = Tensor(dtype, tuple(shape), base + start, base + end)
    bits = tensor.elements * (_BITS[dtype] if dtype in _BITS else 8 * ITEM_BYTES[dtype])
    need = -(-bits // 8)
    require(end - start == need, Reason.CORRUPT_WEIGHTS, f"{where} has {end - start} bytes, its shape needs {need}")
    return tensor


def _check_spans(name: str, tensors: Mapping[str, Tensor], base: int, file_size: int) -> None:
    at = base
    for tensor in sorted(tensors.values(), key=lambda tensor: tensor.start):
        require(tensor.start == at, Reason.CORRUPT_WEIGHTS, f"{name}: hole or overlap at byte {at}")
        at = tensor.end
    require(
        at == file_size,
        Reason.CORRUPT_WEIGHTS,
        f"{name} has {file_size} bytes, its header describes {at}: it is truncated or something was appended",
    )


_PLAIN_DTYPES = frozenset({"BF16", "F16", "F32"})
_PACKED_SUFFIXES = frozenset({"qweight", "weight_packed"})
_AUXILIARY_SUFFIXES = frozenset(
    {"qzeros", "scales", "g_idx", "weight_scale", "weight_shape", "weight_zero_point", "inv_freq"}
)


@dataclass(frozen=True)
class ExpectedCheckpoint:
    """The tensors of a checkpoint by name, after quantisation."""

    required: Mapping[str, TensorSpec]
    optional: Mapping[str, TensorSpec]


def merge_shards(shards: Mapping[str, Mapping[str, Tensor]]) -> dict[str, Tensor]:
    """Return the tensors of all weight files. Refuses a tensor that two files hold (CorruptWeights)."""
    tensors: dict[str, Tensor] = {}
    for held in shards.values():
        for key, tensor in held.items():
            require(key not in tensors, Reason.CORRUPT_WEIGHTS, f"tensor {quote(key)} is in two weight files")
            tensors[key] = tensor
    return tensors


def count_parameters(tensors: Mapping[str, Tensor], config: Mapping[str, Any]) -> int:
    """Return the number of parameters: packed weights count unpacked, scales and other auxiliary tensors do not count.

    A head counts if it is there, also beside tied embeddings: an engine computes with it, unless it equals them, which
    headers do not say (see `head`, and `preflight.with_weights` for where values are read). The configuration need not
    be valid: it says how many bits a weight has.
    """
    per_word = WORD_BITS // packed_bits(config)
    total = 0
    for name, tensor in tensors.items():
        suffix = name.rpartition(".")[2]
        if suffix in _AUXILIARY_SUFFIXES:
            continue
        total += tensor.elements * (per_word if suffix in _PACKED_SUFFIXES else 1)
    return total


def check_index(small: Mapping[str, bytes], shards: Mapping[str, Mapping[str, Tensor]]) -> None:
    """Refuse an index that names other files or tensors than there are (CorruptWeights): an engine would open them."""
    if INDEX not in small:
        require(len(shards) == 1, Reason.CORRUPT_WEIGHTS, f"{len(shards)} weight files and no {INDEX}")
        return
    named = parse_object(INDEX, small[INDEX], Reason.CORRUPT_WEIGHTS).get("weight_map")
    held = {key: name for name, tensors in shards.items() for key in tensors}
    if named != held:
        raise Refused(Reason.CORRUPT_WEIGHTS, f"{INDEX} {_index_mistake(named, held, shards)}")


def _index_mistake(named: object, held: Mapping[str, str], shards: Mapping[str, object]) -> str:
    """Return what an index says that the weight files do not bear out, and the remedy."""
    if not isinstance(named, dict):
        return "has no weight_map: save the weights again, or delete it if there is one weight file"
    absent = sorted({str(name) for name in named.values()} - shards.keys())
    if absent and len(shards) == 1:
        return f"is of another upload: it names {quote(absent[0])}, which is missing; delete the index"
    if absent:
        return f"names {quote(absent[0])}, which is missing: upload that file"
    wrong = sorted(key for key in named.keys() | held.keys() if named.get(key) != held.get(key))
    where, real = named.get(wrong[0]), held.get(wrong[0])
    found = f"it has {quote(wrong[0])} in {quote(where)}, the files have it in {quote(real)}"
    return f"is not that of these weight files ({found}): upload the index that was saved with them"


def expected_checkpoint(
    expected: ExpectedTensors, method: QuantizationMethod | None, config: Mapping[str, Any]
) -> ExpectedCheckpoint:
    """Return the tensors of the checkpoint, with those of the quantisation in place of the linear weights."""
    required: dict[str, TensorSpec] = {}
    optional = {name: TensorSpec(_PLAIN_DTYPES, shape) for name, shape in expected.optional.items()}
    for name, shape in expected.required.items():
        if method is None or name not in expected.linear:
            required[name] = TensorSpec(_PLAIN_DTYPES, shape)
            continue
        layer = method.layer(config["quantization_config"], outputs=shape[0], inputs=shape[1])
        prefix = name.removesuffix("weight")
        required |= {prefix + suffix: spec for suffix, spec in layer.required.items()}
        for suffix, spec in layer.optional.items():
            if prefix + suffix not in expected.required:
                optional[prefix + suffix] = spec
    return ExpectedCheckpoint(required, optional)


def check_tensors(tensors: Mapping[str, Tensor], expected: ExpectedCheckpoint) -> None:
    """Refuse missing tensors, other shapes or dtypes, and tensors that belong to no layer (CorruptWeights)."""
    missing = sorted(expected.required.keys() - tensors.keys())
    allowed = {**expected.optional, **expected.required}
    surplus = sorted(tensors.keys() - allowed.keys())
    reason, explanation = explain_names(missing, surplus, allowed) or (Reason.CORRUPT_WEIGHTS, "")
    more = f"; {explanation}" if explanation else ""
    if missing and surplus and not explanation:
        more = f", and {len(surplus)} belong to no layer, such as {quote(surplus[:1])}"
    require(not missing, reason, f"{len(missing)} tensors are missing, such as {quote(missing[:1])}{more}")
    require(not surplus, reason, f"{len(surplus)} tensors belong to no layer, such as {quote(surplus[:1])}{more}")
    for name, tensor in tensors.items():
        dtypes, shape = allowed[name]
        packed = ITEM_BYTES.get(tensor.dtype, 0) < ITEM_BYTES["BF16"] and _PLAIN_DTYPES.issuperset(dtypes)
        require(
            not packed,
            Reason.UNSUPPORTED_QUANTIZATION,
            f"tensor {quote(name)} has the dtype {tensor.dtype}: the weights are quantised, and quantization_config in "
            "config.json names no supported method for that; save the model in 16 bits",
        )
        require(
            tensor.shape == shape,
            Reason.CORRUPT_WEIGHTS,
            f"tensor {quote(name)} has the shape {list(tensor.shape)}, the configuration calls for {list(shape)}"
            f"{_shape_remedy(name, tensor.shape, shape)}",
        )
        require(
            tensor.dtype in dtypes,
            Reason.CORRUPT_WEIGHTS,
            f"tensor {quote(name)} has the dtype {tensor.dtype}, allowed {', '.join(sorted(dtypes))}"
            + (": save the model in one of these" if _PLAIN_DTYPES.issuperset(dtypes) else ""),
        )


_OF_THE_VOCABULARY = ("embed_tokens.weight", "lm_head.weight")


def _shape_remedy(name: str, found: tuple[int, ...], expected: tuple[int, ...]) -> str:
    """Return what to do about another number of tokens; empty for any other difference."""
    if not name.endswith(_OF_THE_VOCABULARY) or len(found) != len(expected) or found[1:] != expected[1:]:
        return ""
    return f": set vocab_size in config.json to {found[0]}, the number of rows, if tokens were added in training"
