"""config.json: numbers within ranges that a machine survives, no code, and only members that are understood.

The engine never sees the submitted file. It gets the dictionary that `checked` returns, so that a member nobody looked at cannot reach it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from bitagent_crds.conditions import Reason
from bitagent_evaluator.bounded.worker import Refused
from bitagent_evaluator.safety.architectures.dense import head_dim, key_value_heads
from bitagent_evaluator.safety.refusal import require, shown

INTEGERS: Mapping[str, tuple[int, int]] = {
    "hidden_size": (32, 16_384),
    "intermediate_size": (32, 65_536),
    "num_hidden_layers": (1, 160),
    "num_attention_heads": (1, 256),
    "num_key_value_heads": (1, 256),
    "vocab_size": (64, 400_000),
    "max_position_embeddings": (128, 1 << 20),
    "head_dim": (32, 256),
    "sliding_window": (16, 1 << 20),
    "max_window_layers": (0, 160),
}
"""Bounds of the integers. A hidden size of 10**9 or 10**12 positions fill a node's memory before the engine fails."""

MOST_WIDTHS: Mapping[str, int] = {"queries": 4, "keys and values": 2, "inner layer": 16}
"""How many times as wide as the model each may be; of known models the widest are 2, 1 and 5.4 times. A round admits models by their number of
parameters: with these proportions that number bounds the cache, too. Keys and values of one token are at most sqrt(320 * parameters) numbers
with 160 layers, of a model with half a billion parameters 0.8 MB at 16 bits; without them it could be 15 MB, and one long prompt would fill any GPU.
"""

HEAD_SIZES = frozenset({32, 64, 80, 96, 112, 128, 160, 192, 224, 256})
"""Sizes of an attention head that have kernels everywhere, in 16 and 32 bits. With another one an engine fails on one machine and not on the next,
which would look like the machine's fault.
"""

MOST_ROPE_POSITIONS = 1 << 20
"""Positions of which an engine keeps sines and cosines: those of the configuration times the factor of its scaling. A gigabyte with the widest heads."""

OPTIONAL_INTEGERS = frozenset({"num_key_value_heads", "head_dim", "sliding_window", "max_window_layers"})
_NUMBERS: Mapping[str, tuple[float, float]] = {"rms_norm_eps": (1e-12, 1e-2), "rope_theta": (10.0, 1e9)}
_FLAGS = frozenset({"tie_word_embeddings", "attention_bias", "mlp_bias", "use_sliding_window"})
_ACTIVATIONS = frozenset({"silu"})
_DTYPES = frozenset({"bfloat16", "float16", "float32"})
_LAYER_TYPES = frozenset({"full_attention", "sliding_attention"})
_ROPE_TYPES = frozenset({"default", "linear", "dynamic", "yarn", "llama3"})
_ROPE_NUMBERS: Mapping[str, tuple[float, float]] = {
    "rope_theta": (10.0, 1e9),
    "factor": (1.0, 64.0),
    "original_max_position_embeddings": (128, 1 << 20),
    "low_freq_factor": (0.1, 64.0),
    "high_freq_factor": (0.1, 64.0),
    "beta_fast": (0.1, 1024.0),
    "beta_slow": (0.1, 1024.0),
    "attention_factor": (0.01, 64.0),
    "partial_rotary_factor": (1.0, 1.0),
}
_FACTOR_WIDENS = frozenset({"linear", "dynamic", "yarn"})
"""Scalings whose factor multiplies the positions that are kept."""
_CODE = ("auto_map", "custom_pipelines")


def parse_object(name: str, data: bytes, reason: Reason) -> dict[str, Any]:
    """A JSON object from a small file. Refuses anything else with `reason`."""
    try:
        value = json.loads(data.decode())  # as text: of bytes Python also takes UTF-16, which no other reader does
    except (ValueError, RecursionError) as error:
        raise Refused(reason, f"{name} is no JSON ({type(error).__name__})") from None
    require(isinstance(value, dict), reason, f"{name} is no JSON object")
    checked_value: dict[str, Any] = value
    return checked_value


def refuse_code(name: str, content: Mapping[str, Any]) -> None:
    """Refuse a file that names Python code of the repository (CustomCode)."""
    for key in _CODE:
        require(
            key not in content,
            Reason.CUSTOM_CODE,
            f"{name} has {key}: code of the repository is never run; use an architecture that the engine knows",
        )


def checked(config: Mapping[str, Any]) -> dict[str, Any]:
    """The known members of a configuration, each within its range. Refuses with BadConfig."""
    known: dict[str, Any] = {}
    for key, (low, high) in INTEGERS.items():
        value = config.get(key)
        if value is None:
            require(key in OPTIONAL_INTEGERS, Reason.BAD_CONFIG, f"config.json has no {key}")
            if key in config:
                known[key] = None  # An explicit null may differ from the architecture's default.
            continue
        require(type(value) is int and low <= value <= high, Reason.BAD_CONFIG, _range_message(key, value, low, high))
        known[key] = value
    for key, (least, most) in _NUMBERS.items():
        if config.get(key) is not None:
            known[key] = _number(key, config[key], least, most)
    for key in _FLAGS & config.keys():
        require(
            isinstance(config[key], bool),
            Reason.BAD_CONFIG,
            f"config.json: {key} is {shown(config[key])}, not a boolean",
        )
        known[key] = config[key]
    _check_heads(known)
    # What was checked is what the engine computes with: it has defaults of its own for what is not there.
    known |= {"num_key_value_heads": key_value_heads(known), "head_dim": head_dim(known)}
    _check_proportions(known)
    known["hidden_act"] = _choice("hidden_act", config.get("hidden_act", "silu"), _ACTIVATIONS)
    dtype = config.get("dtype") or config.get("torch_dtype")
    if dtype is not None:
        known["dtype"] = _choice("dtype", dtype, _DTYPES)
    known |= (
        _rope(config, known["max_position_embeddings"])
        | _layer_types(config, known["num_hidden_layers"])
        | _token_ids(config, known["vocab_size"])
    )
    return known


def _check_heads(known: Mapping[str, Any]) -> None:
    heads, hidden = known["num_attention_heads"], known["hidden_size"]
    groups = known.get("num_key_value_heads") or heads
    require(
        heads % groups == 0,
        Reason.BAD_CONFIG,
        f"config.json: {heads} heads do not divide among {groups} key-value heads",
    )
    require(
        known.get("head_dim") or hidden % heads == 0,
        Reason.BAD_CONFIG,
        f"config.json: hidden_size {hidden} does not divide among {heads} heads",
    )
    sizes = ", ".join(map(str, sorted(HEAD_SIZES)))
    require(
        head_dim(known) in HEAD_SIZES,
        Reason.BAD_CONFIG,
        f"config.json: the heads have the size {head_dim(known)}, allowed {sizes}",
    )


def _check_proportions(known: Mapping[str, Any]) -> None:
    hidden = known["hidden_size"]
    widths = {
        "queries": known["num_attention_heads"] * head_dim(known),
        "keys and values": key_value_heads(known) * head_dim(known),
        "inner layer": known["intermediate_size"],
    }
    for what, width in widths.items():
        most = MOST_WIDTHS[what] * hidden
        message = f"config.json: the width of the {what} is {width}, allowed {most} with hidden_size {hidden}"
        require(width <= most, Reason.BAD_CONFIG, message)


def _range_message(key: str, value: object, low: float, high: float) -> str:
    return f"config.json: {key} is {shown(value)}, allowed {low} to {high}"


def _number(key: str, value: object, low: float, high: float) -> float:
    sound = isinstance(value, int | float) and not isinstance(value, bool) and low <= value <= high
    require(sound, Reason.BAD_CONFIG, _range_message(key, value, low, high))
    return float(value) if isinstance(value, float) else int(value)  # type: ignore[call-overload]


def _choice(key: str, value: object, allowed: frozenset[str]) -> str:
    sound = isinstance(value, str) and value in allowed
    require(sound, Reason.BAD_CONFIG, f"config.json: {key} is {shown(value)}, allowed {', '.join(sorted(allowed))}")
    return str(value)


def _rope(config: Mapping[str, Any], positions: int) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key in ("rope_scaling", "rope_parameters"):
        value = config.get(key)
        if value is None:
            continue
        require(isinstance(value, dict), Reason.BAD_CONFIG, f"config.json: {key} is {shown(value)}, not an object")
        kind = _choice(f"{key} type", value.get("rope_type", value.get("type", "default")), _ROPE_TYPES)
        numbers = {
            name: _number(f"{key}.{name}", value[name], low, high)
            for name, (low, high) in _ROPE_NUMBERS.items()
            if value.get(name) is not None
        }
        require(kind == "default" or "factor" in numbers, Reason.BAD_CONFIG, f"config.json: {key} has no factor")
        if kind in _FACTOR_WIDENS:
            scaled = numbers.get("original_max_position_embeddings", positions) if kind == "yarn" else positions
            kept = int(scaled * numbers["factor"])
            message = f"config.json: {key} makes {kept} positions of {scaled}, allowed {MOST_ROPE_POSITIONS}"
            require(kept <= MOST_ROPE_POSITIONS, Reason.BAD_CONFIG, message)
        found[key] = {"rope_type": kind, **numbers}
    return found


def _layer_types(config: Mapping[str, Any], layers: int) -> dict[str, Any]:
    types = config.get("layer_types")
    if types is None:
        return {}
    sound = (
        isinstance(types, list)
        and len(types) == layers
        and all(isinstance(kind, str) and kind in _LAYER_TYPES for kind in types)
    )
    require(
        sound, Reason.BAD_CONFIG, f"config.json: layer_types does not name an attention for each of the {layers} layers"
    )
    # Engines look for the window on models that never had one, too.
    windowed = "sliding_attention" not in types or config.get("sliding_window") is not None
    require(
        windowed, Reason.BAD_CONFIG, "config.json: layer_types has sliding_attention, and there is no sliding_window"
    )
    return {"layer_types": types}


def _token_ids(config: Mapping[str, Any], vocab_size: int) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key in ("bos_token_id", "eos_token_id", "pad_token_id"):
        value = config.get(key)
        if value is None:
            continue
        ids = value if isinstance(value, list) else [value]
        sound = len(ids) <= 16 and all(type(token) is int and -1 <= token < vocab_size for token in ids)
        require(
            sound, Reason.BAD_CONFIG, f"config.json: {key} is {shown(value)}, outside the vocabulary of {vocab_size}"
        )
        found[key] = value
    return found
