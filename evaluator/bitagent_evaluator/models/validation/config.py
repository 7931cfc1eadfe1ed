"""config.json: numbers within ranges that a machine survives, no code, and only members that are understood.

The engine never sees the submitted file. It gets the dictionary that `reduce_config` returns, so that a member that was
not checked cannot reach it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bitagent_crds.conditions import Reason
from bitagent_evaluator.models.validation.architectures import (
    Architecture,
    Members,
    Windows,
    head_dim,
    key_value_heads,
)
from bitagent_evaluator.models.validation.files import quote, require
from bitagent_evaluator.models.validation.members import layer_members, members_of, one_of, renamed
from bitagent_evaluator.models.validation.rope import LAYER_TYPES, ROPE_BASE, rope_members

INTEGERS: Mapping[str, tuple[int, int]] = {
    "hidden_size": (32, 16_384),
    "intermediate_size": (32, 65_536),
    "num_hidden_layers": (1, 160),
    "num_attention_heads": (1, 256),
    "num_key_value_heads": (1, 256),
    "vocab_size": (64, 400_000),
    "max_position_embeddings": (128, 1 << 20),
    "head_dim": (32, 256),
}
"""Bounds of the integers. A hidden size of 10**9, or 10**12 positions, would fill a node's memory before the engine
fails."""
OPTIONAL_INTEGERS = frozenset({"num_key_value_heads", "head_dim"})

_WINDOW = {"sliding_window": (16, 1 << 20)}
_WINDOWS: Mapping[Windows, Members] = {
    Windows.NONE: Members(),
    Windows.ALL: Members(integers=_WINDOW),
    Windows.ONE_KIND: Members(
        integers={**_WINDOW, "max_window_layers": (0, 160)}, flags=frozenset({"use_sliding_window"})
    ),
    Windows.LAYERS: Members(
        integers={**_WINDOW, "max_window_layers": (0, 160)}, flags=frozenset({"use_sliding_window"})
    ),
}
"""Members of the sliding window, by the layers that may have it."""

MOST_WIDTHS: Mapping[str, int] = {"queries": 4, "keys and values": 2, "inner layer": 16}
"""Largest width of each as a multiple of `hidden_size`; in known models the widest are 2, 1.4 and 8 times as wide.

In a mixture the inner layer is that of all experts that one token passes.

A round admits models by their number of parameters. With these proportions that number bounds the cache, too: keys and
values of one token are at most sqrt(320 * parameters) numbers with 160 layers, 0.8 MB at 16 bits for half a billion
parameters. Without them it could be 15 MB, and one long prompt would fill any GPU.
"""

HEAD_SIZES = frozenset({32, 64, 80, 96, 112, 128, 160, 192, 224, 256})
"""Sizes of an attention head that have kernels on every machine, in 16 and 32 bits.

With another size an engine fails on one machine and not on the next, which would look like the machine's fault.
"""

MOST_EXPERTS = 16_384
"""Most experts in all layers; known models have up to 12,032."""

_NUMBERS: Mapping[str, tuple[float, float]] = {"rms_norm_eps": (1e-12, 1e-2), "rope_theta": ROPE_BASE}
_NULL_IS_NONE = frozenset({"attn_logit_softcapping", "final_logit_softcapping"})
"""Members of families for which a null means that there is none, whatever the default is."""
_DTYPES = frozenset({"bfloat16", "float16", "float32"})


def reduce_config(config: Mapping[str, Any], architecture: Architecture) -> dict[str, Any]:
    """Return the members of a configuration that its architecture has, each within its range.

    The architecture's defaults stand for missing members. Refuses other values (BadConfig).
    """
    absent = _absent_if_null(architecture.members)
    stated = {key: value for key, value in config.items() if value is not None or key not in absent}
    given = {**architecture.defaults, **renamed(stated, architecture.members.aliases)}
    known = members_of(
        given, Members(INTEGERS, _NUMBERS, _flags(architecture), frozenset(INTEGERS) - OPTIONAL_INTEGERS)
    )
    layers = known["num_hidden_layers"]
    if given.get("sliding_window") == 0:
        given["sliding_window"] = None  # Some writers' sign for none, and the engine's.
    for members in (_WINDOWS[architecture.windows], architecture.members):
        known |= members_of(given, members) | layer_members(given, members, layers)
    _check_heads(known)
    # The engine has defaults of its own for missing members, so it gets the values that were checked.
    known |= {"num_key_value_heads": key_value_heads(known), "head_dim": head_dim(known)}
    _check_experts(known, architecture)
    _check_proportions(known, architecture)
    _check_engine_heads(known, architecture)
    require(
        known.get("tie_word_embeddings", False) or not architecture.always_tied,
        Reason.BAD_CONFIG,
        f"config.json: tie_word_embeddings is false, and the engine's {architecture.name} has no head of its own",
    )
    for member, choices in architecture.activations.items():
        value = given.get(member)
        known[member] = choices[0] if value is None else one_of(member, value, frozenset(choices))
    dtype = given.get("dtype") or given.get("torch_dtype")
    if dtype is not None:
        known["dtype"] = one_of("dtype", dtype, _DTYPES)
    known |= rope_members(given, known, architecture.rope) | _token_ids(given, known["vocab_size"])
    if architecture.windows in (Windows.ONE_KIND, Windows.LAYERS):
        known |= _layer_types(given, layers)
    return known


def _absent_if_null(members: Members) -> frozenset[str]:
    """Return the members for which a null means the default; the engine would compute with None, and fail."""
    return frozenset({*_NUMBERS, *members.integers, *members.numbers, "max_window_layers"}) - _NULL_IS_NONE


def _flags(architecture: Architecture) -> frozenset[str]:
    """Return the flags of the tensors; one that the family does not have would make an engine add biases of noise."""
    layout = architecture.layout
    flags = {"tie_word_embeddings"}
    if layout.attention_bias_member:
        flags.add("attention_bias")
    if layout.mlp_bias_member:
        flags.add("mlp_bias")
    return frozenset(flags)


def _check_experts(known: Mapping[str, Any], architecture: Architecture) -> None:
    experts = architecture.layout.experts
    if experts is None:
        return
    count, chosen, layers = known[experts.count], known["num_experts_per_tok"], known["num_hidden_layers"]
    require(
        chosen <= count,
        Reason.BAD_CONFIG,
        f"config.json: num_experts_per_tok is {chosen}, and there are {count} experts",
    )
    require(
        count * layers <= MOST_EXPERTS,
        Reason.BAD_CONFIG,
        f"config.json: {count} experts in {layers} layers are {count * layers}, allowed {MOST_EXPERTS}",
    )


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


def _check_proportions(known: Mapping[str, Any], architecture: Architecture) -> None:
    hidden = known["hidden_size"]
    widths = {
        "queries": known["num_attention_heads"] * head_dim(known),
        "keys and values": key_value_heads(known) * head_dim(known),
        "inner layer": max(known["intermediate_size"], architecture.layout.inner_width(known)),
    }
    for what, width in widths.items():
        most = MOST_WIDTHS[what] * hidden
        message = f"config.json: the width of the {what} is {width}, allowed {most} with hidden_size {hidden}"
        require(width <= most, Reason.BAD_CONFIG, message)


def _check_engine_heads(known: Mapping[str, Any], architecture: Architecture) -> None:
    """Refuse heads that the engine's model, or the configuration's class in transformers, does not have."""
    heads, hidden, size = known["num_attention_heads"], known["hidden_size"], known["head_dim"]
    divide = hidden % heads == 0
    require(
        divide or not architecture.heads_divide,
        Reason.BAD_CONFIG,
        f"config.json: hidden_size {hidden} does not divide among {heads} heads, as transformers' {architecture.name} "
        "requires",
    )
    require(
        architecture.free_heads or (divide and size == hidden // heads),
        Reason.BAD_CONFIG,
        f"config.json: head_dim is {size}, and the engine's {architecture.name} has heads of hidden_size {hidden} over "
        f"{heads}",
    )


def _layer_types(config: Mapping[str, Any], layers: int) -> dict[str, Any]:
    types = config.get("layer_types")
    if types is None:
        return {}
    sound = (
        isinstance(types, list)
        and len(types) == layers
        and all(isinstance(kind, str) and kind in LAYER_TYPES for kind in types)
    )
    require(
        sound, Reason.BAD_CONFIG, f"config.json: layer_types does not name an attention for each of the {layers} layers"
    )
    # Engines read the window of models without one, too.
    windowed = "sliding_attention" not in types or config.get("sliding_window") is not None
    require(
        windowed, Reason.BAD_CONFIG, "config.json: layer_types has sliding_attention, and there is no sliding_window"
    )
    return {"layer_types": types}


def check_windows(config: Mapping[str, Any], architecture: Architecture) -> None:
    """Refuse a sliding window in some layers only, where the engine's model does not have it (BadConfig).

    `config` is a reduced one. Where it names no types of layers, they follow from `max_window_layers`: those before it
    see everything, if there is a window and it is in use.
    """
    if architecture.windows is not Windows.ONE_KIND:
        return
    layers, first = config["num_hidden_layers"], config.get("max_window_layers")
    first = 28 if first is None else first
    windowed = config.get("use_sliding_window", False) and config.get("sliding_window") is not None
    types = config.get("layer_types")
    mixed = len(set(types)) > 1 if types is not None else bool(windowed) and 0 < first < layers
    require(
        not mixed or first == layers,
        Reason.BAD_CONFIG,
        f"config.json: a sliding window in some of the {layers} layers is not run by the engine for "
        f"{architecture.model_type}: set use_sliding_window to false, and max_window_layers and layer_types to "
        "match, if the model was trained without windows",
    )


def _token_ids(config: Mapping[str, Any], vocab_size: int) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key in ("bos_token_id", "eos_token_id", "pad_token_id"):
        value = config.get(key)
        if value is None:
            continue
        ids = value if isinstance(value, list) else [value]
        sound = len(ids) <= 16 and all(type(token) is int and -1 <= token < vocab_size for token in ids)
        odd = any(type(token) is not int for token in ids)
        what = "not the number of a token" if odd else f"outside the vocabulary of {vocab_size}"
        require(sound, Reason.BAD_CONFIG, f"config.json: {key} is {quote(value)}, {what}")
        found[key] = value
    return found
