"""Rotary positions in a configuration: bases, scalings and their factors, for all layers or for each type of layer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bitagent_crds.conditions import Reason
from bitagent_evaluator.models.validation.architectures import Rope, head_dim
from bitagent_evaluator.models.validation.files import quote, require
from bitagent_evaluator.models.validation.members import bounded, one_of

LAYER_TYPES = frozenset({"full_attention", "sliding_attention"})
"""Types of layers that a configuration may name."""

MOST_ROPE_POSITIONS = 1 << 20
"""Most positions of which an engine keeps sines and cosines: a gigabyte with the widest heads.

They are the positions of the configuration times the factor of its scaling.
"""

ROPE_BASE = (10.0, 1e13)
"""Bounds of the base of rotary positions. Fine-tunes of Llama 3 for a million positions have 3.6e9, for four 4.5e10."""

_ROPE_NUMBERS: Mapping[str, tuple[float, float]] = {
    "rope_theta": ROPE_BASE,
    "factor": (1.0, 1024.0),
    "original_max_position_embeddings": (128, 1 << 20),
    "low_freq_factor": (0.01, 1024.0),
    "high_freq_factor": (0.01, 1024.0),
    "beta_fast": (0.1, 1024.0),
    "beta_slow": (0.1, 1024.0),
    "attention_factor": (0.01, 64.0),
    "short_mscale": (0.01, 64.0),
    "long_mscale": (0.01, 64.0),
}
_FACTOR_LISTS: Mapping[str, tuple[float, float]] = {"short_factor": (0.01, 1024.0), "long_factor": (0.01, 1024.0)}
"""Members of a scaling that have a number for each pair of rotated dimensions."""
_FACTOR_WIDENS = frozenset({"linear", "dynamic", "yarn"})
"""Scalings whose factor multiplies the positions that an engine keeps."""


def rope_members(config: Mapping[str, Any], known: Mapping[str, Any], rope: Rope) -> dict[str, Any]:
    """Return the members of rotary positions, each within its range. Refuses other values (BadConfig).

    `known` are the members that were checked before.
    """
    found: dict[str, Any] = {}
    for key in ("rope_scaling", "rope_parameters"):
        value = config.get(key)
        if value is None:
            continue
        require(isinstance(value, dict), Reason.BAD_CONFIG, f"config.json: {key} is {quote(value)}, not an object")
        if rope.by_layer_type and value and value.keys() <= LAYER_TYPES:
            for kind, part in value.items():
                sound = isinstance(part, dict)
                require(sound, Reason.BAD_CONFIG, f"config.json: {key}.{kind} is {quote(part)}, not an object")
            found[key] = {kind: _scaling(f"{key}.{kind}", part, config, known, rope) for kind, part in value.items()}
        else:
            found[key] = _scaling(key, value, config, known, rope)
    share = known.get("partial_rotary_factor")
    if share is not None:
        _check_share("partial_rotary_factor", share, known, rope)
    return found


def _scaling(
    key: str, value: Mapping[str, Any], config: Mapping[str, Any], known: Mapping[str, Any], rope: Rope
) -> dict[str, Any]:
    """Return the members of one object of rotary positions, each within its range."""
    stated = value.get("rope_type", value.get("type", "default"))
    kind = one_of(f"{key} type", rope.aliases.get(stated, stated) if isinstance(stated, str) else stated, rope.types)
    numbers: dict[str, Any] = {
        name: bounded(f"{key}.{name}", value[name], low, high)
        for name, (low, high) in _ROPE_NUMBERS.items()
        if value.get(name) is not None
    }
    share = value.get("partial_rotary_factor")
    if share is not None:
        numbers["partial_rotary_factor"] = _check_share(f"{key}.partial_rotary_factor", share, known, rope)
    if kind == "longrope":
        rotated = int(head_dim(known) * (share or config.get("partial_rotary_factor") or 1.0))
        numbers |= {name: _factors(f"{key}.{name}", value.get(name), rotated // 2) for name in _FACTOR_LISTS}
    require(
        kind in ("default", "longrope") or "factor" in numbers, Reason.BAD_CONFIG, f"config.json: {key} has no factor"
    )
    if kind in _FACTOR_WIDENS:
        positions = known["max_position_embeddings"]
        scaled = numbers.get("original_max_position_embeddings", positions) if kind == "yarn" else positions
        kept = int(scaled * numbers["factor"])
        message = f"config.json: {key} makes {kept} positions of {scaled}, allowed {MOST_ROPE_POSITIONS}"
        require(kept <= MOST_ROPE_POSITIONS, Reason.BAD_CONFIG, message)
    return {"rope_type": kind, **numbers}


def _check_share(key: str, share: object, known: Mapping[str, Any], rope: Rope) -> float:
    """Return the share of a head that is rotated. Refuses one that leaves an odd number of dimensions (BadConfig)."""
    value = bounded(key, share, rope.least_share, 1.0)
    rotated = head_dim(known) * value
    even = rotated == int(rotated) and int(rotated) % 2 == 0
    require(even, Reason.BAD_CONFIG, f"config.json: {key} is {value}: {rotated} of {head_dim(known)} dimensions")
    return value


def _factors(key: str, value: object, count: int) -> list[float]:
    numbers = value if isinstance(value, list) else []
    sound = len(numbers) == count
    require(sound, Reason.BAD_CONFIG, f"config.json: {key} is {quote(value)}, not a list of {count} numbers")
    low, high = _FACTOR_LISTS[key.rpartition(".")[2]]
    return [bounded(key, number, low, high) for number in numbers]
