"""Members of a configuration that have bounds: integers, numbers, flags, lists with an entry for each layer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bitagent_crds.conditions import Reason
from bitagent_evaluator.models.validation.architectures import Members
from bitagent_evaluator.models.validation.files import quote, require


def members_of(config: Mapping[str, Any], members: Members) -> dict[str, Any]:
    """Return integers, numbers and flags, each within its bounds."""
    known: dict[str, Any] = {}
    for key, (low, high) in members.integers.items():
        value = config.get(key)
        if value is None:
            require(key not in members.required, Reason.BAD_CONFIG, f"config.json has no {key}")
            if key in config:
                known[key] = None  # An explicit null may mean something else than the architecture's default.
            continue
        require(type(value) is int and low <= value <= high, Reason.BAD_CONFIG, range_message(key, value, low, high))
        known[key] = value
    for key, (least, most) in members.numbers.items():
        if config.get(key) is not None:
            known[key] = bounded(key, config[key], least, most)
        elif key in config:
            known[key] = None
    for key in members.flags & config.keys():
        require(
            isinstance(config[key], bool),
            Reason.BAD_CONFIG,
            f"config.json: {key} is {quote(config[key])}, not a boolean",
        )
        known[key] = config[key]
    return known


def renamed(config: Mapping[str, Any], aliases: Mapping[str, str]) -> Mapping[str, Any]:
    """Return the configuration with other names of members replaced. Refuses two names with two values (BadConfig)."""
    renamed = dict(config)
    for alias, name in aliases.items():
        if config.get(alias) is None:
            continue
        require(
            config.get(name) in (None, config[alias]),
            Reason.BAD_CONFIG,
            f"config.json: {name} is {quote(config.get(name))}, and {alias} is {quote(config[alias])}",
        )
        renamed[name] = config[alias]
    return renamed


def layer_members(config: Mapping[str, Any], members: Members, layers: int) -> dict[str, Any]:
    """Return the lists that say something of each of the layers."""
    known: dict[str, Any] = {}
    for key in members.flag_per_layer | members.layer_lists:
        value = config.get(key)
        if value is None:
            continue
        each = key in members.flag_per_layer
        sound = isinstance(value, list) and (len(value) == layers if each else len(value) <= layers)
        most = 1 if each else layers - 1
        sound = sound and all(type(number) is int and 0 <= number <= most for number in value)
        what = f"0 or 1 for each of the {layers} layers" if each else f"numbers of the {layers} layers"
        require(sound, Reason.BAD_CONFIG, f"config.json: {key} is {quote(value)}, allowed {what}")
        known[key] = value
    return known


def range_message(key: str, value: object, low: float, high: float) -> str:
    """Return what is said of a value outside its bounds."""
    remedy = ""
    if isinstance(value, str):
        remedy = ": write it without quotation marks"
    elif isinstance(value, float) and isinstance(low, int) and value.is_integer() and low <= value <= high:
        remedy = ": write it as an integer"
    return f"config.json: {key} is {quote(value)}, allowed {low} to {high}{remedy}"


def bounded(key: str, value: object, low: float, high: float) -> float:
    """Return a number within its bounds. Refuses other values (BadConfig)."""
    sound = isinstance(value, int | float) and not isinstance(value, bool) and low <= value <= high
    require(sound, Reason.BAD_CONFIG, range_message(key, value, low, high))
    return float(value) if isinstance(value, float) else int(value)  # type: ignore[call-overload]


def one_of(key: str, value: object, allowed: frozenset[str]) -> str:
    """Return a text that is one of those allowed. Refuses other values (BadConfig)."""
    sound = isinstance(value, str) and value in allowed
    require(sound, Reason.BAD_CONFIG, f"config.json: {key} is {quote(value)}, allowed {', '.join(sorted(allowed))}")
    return str(value)
