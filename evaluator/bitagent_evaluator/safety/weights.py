"""Do the weight files hold exactly the tensors that the configuration calls for? And how many parameters are they?"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from bitagent_crds.conditions import Reason
from bitagent_evaluator.safety.architectures.dense import Expected
from bitagent_evaluator.safety.configuration import parse_object
from bitagent_evaluator.safety.headers import Tensor
from bitagent_evaluator.safety.quantization.method import Method, Packed
from bitagent_evaluator.safety.refusal import require, shown
from bitagent_evaluator.safety.selection import INDEX

_PLAIN = frozenset({"BF16", "F16", "F32"})
_PACKED = frozenset({"qweight", "weight_packed"})
_WORD_BITS = 32
_USUAL_BITS = 4
_AUXILIARY = frozenset({"qzeros", "scales", "g_idx", "weight_scale", "weight_shape", "weight_zero_point", "inv_freq"})


@dataclass(frozen=True)
class Checkpoint:
    """What a sound checkpoint holds: the tensors by name, with allowed dtypes and shapes."""

    required: Mapping[str, Packed]
    optional: Mapping[str, Packed]


def merge(shards: Mapping[str, Mapping[str, Tensor]]) -> dict[str, Tensor]:
    """All tensors of all weight files. Refuses with CorruptWeights when two files hold the same one."""
    tensors: dict[str, Tensor] = {}
    for held in shards.values():
        for key, tensor in held.items():
            require(key not in tensors, Reason.CORRUPT_WEIGHTS, f"tensor {shown(key)} is in two weight files")
            tensors[key] = tensor
    return tensors


def parameters(tensors: Mapping[str, Tensor], config: Mapping[str, Any]) -> int:
    """Number of parameters; a packed weight counts as those that an int32 stands for, what belongs to a quantisation not at all.

    The configuration need not be sound: it says whether the head is tied and how many bits a weight has, four if it does not say.
    """
    tied = config.get("tie_word_embeddings") is True
    settings = config.get("quantization_config")
    bits = settings.get("bits") if isinstance(settings, dict) else None
    per_word = _WORD_BITS // (8 if bits == 8 else _USUAL_BITS)
    total = 0
    for name, tensor in tensors.items():
        suffix = name.rpartition(".")[2]
        if suffix in _AUXILIARY or (tied and name == "lm_head.weight"):
            continue
        total += tensor.elements * (per_word if suffix in _PACKED else 1)
    return total


def check_index(small: Mapping[str, bytes], shards: Mapping[str, Mapping[str, Tensor]]) -> None:
    """Refuse an index that does not name exactly the files and tensors that exist: an engine would follow it outside (CorruptWeights)."""
    if INDEX not in small:
        require(len(shards) == 1, Reason.CORRUPT_WEIGHTS, f"{len(shards)} weight files and no {INDEX}")
        return
    named = parse_object(INDEX, small[INDEX], Reason.CORRUPT_WEIGHTS).get("weight_map")
    held = {key: name for name, tensors in shards.items() for key in tensors}
    require(named == held, Reason.CORRUPT_WEIGHTS, f"{INDEX} does not describe the weight files")


def checkpoint(expected: Expected, method: Method | None, config: Mapping[str, Any]) -> Checkpoint:
    """What the checkpoint must hold, after a quantisation replaced the linear weights."""
    required: dict[str, Packed] = {}
    optional: dict[str, Packed] = {name: (_PLAIN, shape) for name, shape in expected.optional.items()}
    for name, shape in expected.required.items():
        if method is None or name not in expected.linear:
            required[name] = (_PLAIN, shape)
            continue
        layer = method.layer(config["quantization_config"], shape[0], shape[1])
        prefix = name.removesuffix("weight")
        required |= {prefix + suffix: packed for suffix, packed in layer.required.items()}
        for suffix, packed in layer.optional.items():
            if prefix + suffix not in expected.required:
                optional[prefix + suffix] = packed
    return Checkpoint(required, optional)


def check_tensors(tensors: Mapping[str, Tensor], wanted: Checkpoint) -> None:
    """Refuse a checkpoint that lacks a tensor, has another shape or dtype, or holds something else (CorruptWeights)."""
    missing = sorted(wanted.required.keys() - tensors.keys())
    require(not missing, Reason.CORRUPT_WEIGHTS, f"{len(missing)} tensors are missing, such as {shown(missing[:1])}")
    allowed = {**wanted.optional, **wanted.required}
    surplus = sorted(tensors.keys() - allowed.keys())
    require(
        not surplus, Reason.CORRUPT_WEIGHTS, f"{len(surplus)} tensors belong to no layer, such as {shown(surplus[:1])}"
    )
    for name, tensor in tensors.items():
        dtypes, shape = allowed[name]
        require(
            tensor.shape == shape,
            Reason.CORRUPT_WEIGHTS,
            f"tensor {shown(name)} has the shape {list(tensor.shape)}, the configuration calls for {list(shape)}",
        )
        require(
            tensor.dtype in dtypes,
            Reason.CORRUPT_WEIGHTS,
            f"tensor {shown(name)} has the dtype {tensor.dtype}, allowed {', '.join(sorted(dtypes))}",
        )
