"""Supported quantisation methods: settings that the engine's kernels accept, and the tensors of each method.

A method names the tensors that replace a linear layer's weight. Settings on which an engine fails only after it has
loaded the weights are refused here.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, NamedTuple

from bitagent_crds.conditions import Reason
from bitagent_evaluator.models.validation.architectures import ARCHITECTURES
from bitagent_evaluator.models.validation.files import (
    CONFIG,
    QUANT_CONFIG,
    QUANTIZE_CONFIG,
    parse_object,
    quote,
    require,
)

SCALE_DTYPES = frozenset({"F16", "BF16", "F32"})
INT32 = frozenset({"I32"})
WORD_BITS = 32
"""Bits of the integers that weights are packed into."""
GROUP_SIZES = (32, 64, 128)
HEAD = "lm_head"
_EVERY_ROUTER = (r"re:.*\.gate$", r"re:.*\.shared_expert_gate$")
"""Patterns of the layers of mixtures that are not quantised, as compressed-tensors writes them."""


class TensorSpec(NamedTuple):
    """What one tensor must look like."""

    dtypes: frozenset[str]
    """Allowed dtypes."""
    shape: tuple[int, ...]


@dataclass(frozen=True)
class PackedLayer:
    """The tensors that replace the weight of one linear layer, by the suffix that replaces `weight`."""

    required: Mapping[str, TensorSpec]
    optional: Mapping[str, TensorSpec] = field(default_factory=dict)


class QuantizationMethod(ABC):
    """One quantisation method."""

    name: ClassVar[str]
    """`quant_method` of the configuration."""

    @abstractmethod
    def check(self, settings: Mapping[str, Any], routers: Collection[str] = ()) -> None:
        """Refuse settings that are not known to work (UnsupportedQuantization).

        `routers` are the layers of a mixture of experts that stay as they are, by the last part of their names.
        """

    @abstractmethod
    def reduce(self, settings: Mapping[str, Any]) -> dict[str, Any]:
        """Return the members of checked settings that were looked at; engines act on others, too."""

    @abstractmethod
    def layer(self, settings: Mapping[str, Any], *, outputs: int, inputs: int) -> PackedLayer:
        """Return the tensors for a weight of this size under checked settings. Refuses sizes that do not divide."""


def require_supported(condition: object, message: str) -> None:
    """Refuse the quantisation (UnsupportedQuantization) unless `condition` holds."""
    require(condition, Reason.UNSUPPORTED_QUANTIZATION, f"quantization_config: {message}")


def require_setting(settings: Mapping[str, Any], key: str, allowed: tuple[object, ...]) -> Any:
    """Return the value of one setting, which must be one of `allowed` and of its type: 1 does not count as True."""
    value = settings.get(key)
    known = any(type(value) is type(choice) and value == choice for choice in allowed)
    require_supported(known, f"{key} is {quote(value)}, supported: {', '.join(map(str, allowed))}")
    return value


def require_groups(inputs: int, group: int) -> None:
    """Refuse an input size that groups, or the kernels' tiles of 32, do not divide."""
    require_supported(
        inputs % group == 0 and inputs % 32 == 0, f"an input size of {inputs} does not divide into groups of {group}"
    )


def are_left_out(names: object, routers: Collection[str]) -> bool:
    """Return whether a list names or matches the head and these routers only; `re:` begins a regular expression."""
    return isinstance(names, list) and all(
        isinstance(name, str) and _last_part(name) in (HEAD, *routers) for name in names
    )


def _last_part(name: str) -> str:
    """Return the last part of a layer's name, or of a regular expression for such names."""
    return name.removeprefix("re:").rstrip("$").replace("\\", "").rpartition(".")[2].lstrip("*^")


def pick(settings: Mapping[str, Any], *members: str) -> dict[str, Any]:
    """Return these members of the settings, as far as they exist."""
    return {member: settings[member] for member in members if member in settings}


class Awq(QuantizationMethod):
    """AWQ: 4 bits with zero points, GEMM layout. Eight outputs of one weight row share an int32."""

    name = "awq"

    def check(self, settings: Mapping[str, Any], routers: Collection[str] = ()) -> None:
        """Refuse settings other than the GEMM layout's (UnsupportedQuantization)."""
        require_setting(settings, "bits", (4,))
        require_setting(settings, "zero_point", (True,))
        require_setting(settings, "group_size", GROUP_SIZES)
        require_setting(settings, "version", ("gemm", "GEMM", None))
        skipped = settings.get("modules_to_not_convert")
        require_supported(
            skipped is None or are_left_out(skipped, routers),
            f"modules_to_not_convert is {quote(skipped)}, supported: {', '.join((HEAD, *routers))}",
        )

    def reduce(self, settings: Mapping[str, Any]) -> dict[str, Any]:
        """Return the members that were checked.

        Without names of routers: engines compare parts of names, and `gate` is one of `gate_proj`. They find out from
        the tensors what is packed.
        """
        skipped = settings.get("modules_to_not_convert")
        kept = pick(settings, "modules_to_not_convert") if skipped in (None, [], [HEAD]) else {}
        return pick(settings, "quant_method", "bits", "zero_point", "group_size", "version") | kept

    def layer(self, settings: Mapping[str, Any], *, outputs: int, inputs: int) -> PackedLayer:
        """Return packed weights and zero points, and a scale for each group and output."""
        group = settings["group_size"]
        require_groups(inputs, group)
        words = outputs // (WORD_BITS // 4)
        return PackedLayer(
            {
                "qweight": TensorSpec(INT32, (inputs, words)),
                "qzeros": TensorSpec(INT32, (inputs // group, words)),
                "scales": TensorSpec(SCALE_DTYPES, (inputs // group, outputs)),
            },
            {"bias": TensorSpec(SCALE_DTYPES, (outputs,))},
        )


class Gptq(QuantizationMethod):
    """GPTQ: 4 or 8 bits, symmetric, in groups of inputs or one group for each output (group size -1).

    Weights of one output share an int32, as many as fit. Activation order makes kernels look groups up by input, which
    vLLM stopped doing (0.32: "no longer supported"); with one group for each output it changes nothing, and is
    accepted. 8 bits have kernels on GPUs only.
    """

    name = "gptq"
    _ALL_INPUTS = -1

    def check(self, settings: Mapping[str, Any], routers: Collection[str] = ()) -> None:
        """Refuse settings that vLLM has no kernel for (UnsupportedQuantization)."""
        require_setting(settings, "bits", (4, 8))
        require_setting(settings, "sym", (True,))
        group = require_setting(settings, "group_size", (self._ALL_INPUTS, *GROUP_SIZES))
        ordered = require_setting(settings, "desc_act", (False, True))
        require_supported(
            not ordered or group == self._ALL_INPUTS,
            f"desc_act with groups of {group} is not run by vLLM: quantise with static activation order, or desc_act "
            "false",
        )
        require_setting(settings, "lm_head", (False, None))
        require_setting(settings, "checkpoint_format", ("gptq", "", None))
        dynamic = settings.get("dynamic")
        require_supported(
            not dynamic or self._leaves_out(dynamic, routers),
            f"dynamic is {quote(dynamic)}, supported: {', '.join(f'-:{router}' for router in routers) or 'none'}",
        )

    @staticmethod
    def _leaves_out(dynamic: object, routers: Collection[str]) -> bool:
        """Return whether rules for single layers leave out routers, and do nothing else."""
        return isinstance(dynamic, dict) and all(
            rule.startswith("-:") and not value and any(router in rule for router in routers)
            for rule, value in dynamic.items()
        )

    def reduce(self, settings: Mapping[str, Any]) -> dict[str, Any]:
        """Return the members that were checked."""
        return pick(settings, "quant_method", "bits", "sym", "group_size", "desc_act", "lm_head", "checkpoint_format")

    def layer(self, settings: Mapping[str, Any], *, outputs: int, inputs: int) -> PackedLayer:
        """Return packed weights and zero points, and a scale for each group and output."""
        packed = WORD_BITS // int(settings["bits"])
        group = inputs if settings["group_size"] == self._ALL_INPUTS else settings["group_size"]
        require_groups(inputs, group)
        return PackedLayer(
            {
                "qweight": TensorSpec(INT32, (inputs // packed, outputs)),
                "qzeros": TensorSpec(INT32, (inputs // group, outputs // packed)),
                "scales": TensorSpec(SCALE_DTYPES, (inputs // group, outputs)),
            },
            {"g_idx": TensorSpec(INT32, (inputs,)), "bias": TensorSpec(SCALE_DTYPES, (outputs,))},
        )


class CompressedTensors(QuantizationMethod):
    """compressed-tensors in two schemes: W4A16, packed in groups, and W8A8 with dynamic activations."""

    name = "compressed-tensors"
    _PACKED, _INT8 = "pack-quantized", "int-quantized"
    _SCHEME = ("num_bits", "type", "strategy", "symmetric")

    def check(self, settings: Mapping[str, Any], routers: Collection[str] = ()) -> None:
        """Refuse other schemes, and anything but one group of all linear layers (UnsupportedQuantization)."""
        format_ = require_setting(settings, "format", (self._PACKED, self._INT8))
        ignored = settings.get("ignore")
        require_supported(
            are_left_out(ignored, routers) and any(_last_part(name) == HEAD for name in ignored or ()),
            f"ignore is {quote(ignored)}, supported: {', '.join((HEAD, *routers))}",
        )
        for unused in ("kv_cache_scheme", "sparsity_config", "transform_config"):
            require_supported(not settings.get(unused), f"{unused} is not supported")
        group = self._group(settings)
        weights, activations = group["weights"], group.get("input_activations")
        require_setting(weights, "type", ("int",))
        require_setting(weights, "symmetric", (True,))
        require_setting(weights, "actorder", (None, False))
        if format_ == self._PACKED:
            require_setting(weights, "num_bits", (4,))
            require_setting(weights, "strategy", ("group",))
            require_setting(weights, "group_size", GROUP_SIZES)
            require_supported(activations is None, "4-bit weights go with unquantised activations only")
            return
        require_setting(weights, "num_bits", (8,))
        require_setting(weights, "strategy", ("channel",))
        require_supported(isinstance(activations, dict), "8-bit weights go with 8-bit dynamic activations only")
        for key, value in {
            "num_bits": 8,
            "type": "int",
            "strategy": "token",
            "dynamic": True,
            "symmetric": True,
        }.items():
            require_setting(activations or {}, key, (value,))

    def reduce(self, settings: Mapping[str, Any]) -> dict[str, Any]:
        """Return the members that were checked."""
        group = self._group(settings)
        weights, activations = group["weights"], group.get("input_activations")
        grouped = ("group_size",) if settings["format"] == self._PACKED else ()
        schemes = {
            "weights": pick(weights, *self._SCHEME, "actorder", *grouped),
            "input_activations": pick(activations, *self._SCHEME, "dynamic") if activations is not None else None,
        }
        kept = pick(settings, "quant_method", "format")
        ignored = settings["ignore"] if settings["ignore"] == [HEAD] else [HEAD, *_EVERY_ROUTER]
        return kept | {"ignore": ignored} | {"config_groups": {"group_0": {"targets": group["targets"], **schemes}}}

    def layer(self, settings: Mapping[str, Any], *, outputs: int, inputs: int) -> PackedLayer:
        """Return 8-bit weights with a scale for each output, or packed weights with a scale for each group."""
        if settings["format"] == self._INT8:
            return PackedLayer(
                {
                    "weight": TensorSpec(frozenset({"I8"}), (outputs, inputs)),
                    "weight_scale": TensorSpec(SCALE_DTYPES, (outputs, 1)),
                }
            )
        group = self._group(settings)["weights"]["group_size"]
        require_groups(inputs, group)
        return PackedLayer(
            {
                "weight_packed": TensorSpec(INT32, (outputs, inputs // (WORD_BITS // 4))),
                "weight_scale": TensorSpec(SCALE_DTYPES, (outputs, inputs // group)),
                "weight_shape": TensorSpec(frozenset({"I64", "I32"}), (2,)),
            }
        )

    @staticmethod
    def _group(settings: Mapping[str, Any]) -> Mapping[str, Any]:
        groups = settings.get("config_groups")
        single = isinstance(groups, dict) and len(groups) == 1
        require_supported(single, "config_groups must hold exactly one group")
        group = next(iter(settings["config_groups"].values()))
        require_supported(
            isinstance(group, dict) and group.get("targets") == ["Linear"], "the group must target Linear"
        )
        require_supported(isinstance(group.get("weights"), dict), "the group has no weights scheme")
        checked: Mapping[str, Any] = group
        return checked


USUAL_BITS = 4
"""Bits of a packed weight, by every method but GPTQ, which has a choice."""


def packed_bits(config: Mapping[str, Any]) -> int:
    """Return the bits of a packed weight. The configuration need not be valid.

    Other methods' settings may have a member `bits`, too: no engine and no check reads it.
    """
    settings = config.get("quantization_config")
    chosen = isinstance(settings, dict) and settings.get("quant_method") == Gptq.name and settings.get("bits") == 8
    return 8 if chosen else USUAL_BITS


METHODS: Mapping[str, QuantizationMethod] = {method.name: method for method in (Awq(), CompressedTensors(), Gptq())}
"""Methods by name."""


SETTINGS_FILES: Mapping[str, str] = {QUANTIZE_CONFIG: "gptq", QUANT_CONFIG: "awq"}
"""Files of the settings that AutoGPTQ and AutoAWQ wrote beside the configuration, and the method that they mean."""
_PACKED_NAMES = (".qweight", ".qzeros")
_OLD_MEMBERS: Mapping[str, str] = {"w_bit": "bits", "q_group_size": "group_size"}
"""Members of AutoAWQ's own file, and what they are called in config.json."""


def with_settings(
    config: Mapping[str, Any], small: Mapping[str, bytes], tensors: Iterable[str]
) -> tuple[dict[str, Any], str]:
    """Return the configuration with the quantisation's settings, and the name of the file that they are from.

    As in vLLM those of config.json count before those of a file of their own; one of these is read only if the names of
    the tensors say that the weights are packed. The name is empty without settings. Refuses a file of settings that is
    not a JSON object (UnsupportedQuantization).
    """
    if any(config.get(member) is not None for member in ("quantization_config", "compression_config", "quantization")):
        return dict(config), CONFIG
    file = next((name for name in SETTINGS_FILES if name in small), "")
    if not file or not any(name.endswith(_PACKED_NAMES) for name in tensors):
        return dict(config), ""
    read = parse_object(file, small[file], Reason.UNSUPPORTED_QUANTIZATION)
    settings = {_OLD_MEMBERS.get(member, member): value for member, value in read.items()}
    return {**config, "quantization_config": {"quant_method": SETTINGS_FILES[file], **settings}}, file


_MLX_MEMBERS = frozenset({"group_size", "bits"})


def _is_mlx(settings: object) -> bool:
    """Return whether settings are those that MLX writes: a group's size and bits, and no method."""
    return isinstance(settings, dict) and settings.keys() >= _MLX_MEMBERS


_OTHER_METHODS: Mapping[str, str] = {
    "load_in_4bit": "bitsandbytes",
    "load_in_8bit": "bitsandbytes",
    "weight_block_size": "fp8",
    "quant_algo": "modelopt",
}
"""Members of settings without a method that say which one it is."""


def method_name(config: Mapping[str, Any]) -> str:
    """Return the method that a configuration names, or that its settings are those of; empty for plain weights."""
    for member in ("quantization_config", "quantization", "compression_config"):
        settings = config.get(member)
        if not isinstance(settings, dict):
            continue
        name = settings.get("quant_method")
        if isinstance(name, str) and name:
            return name
        other = next((method for key, method in _OTHER_METHODS.items() if key in settings), "")
        if other or _is_mlx(settings):
            return other or "mlx"
        return "compressed-tensors" if member == "compression_config" else "unknown"
    return ""


def find_method(config: Mapping[str, Any]) -> QuantizationMethod | None:
    """Return the method of a configuration, with its settings checked; None for plain weights.

    Refuses an unknown method, and settings that are not supported (UnsupportedQuantization).
    """
    settings = config.get("quantization_config")
    if settings is None and _is_mlx(config.get("quantization")):
        settings = config["quantization"]
    if settings is None:
        require(
            not config.get("compression_config"),
            Reason.UNSUPPORTED_QUANTIZATION,
            "config.json: compression_config is an old form; write it as quantization_config",
        )
        return None
    name = settings.get("quant_method") if isinstance(settings, dict) else None
    require(
        name is not None or not _is_mlx(settings),
        Reason.UNSUPPORTED_QUANTIZATION,
        "the weights are quantised with MLX: dequantise them with `mlx_lm.convert --dequantize`, and upload that, or "
        f"quantise with one of {', '.join(sorted(METHODS))}",
    )
    known = isinstance(name, str) and name in METHODS
    supported = ", ".join(sorted(METHODS))
    what = "names no quant_method" if name is None else f"has the quant_method {quote(name)}"
    remedy = (
        "remove it if the weights are plain" if name is None else "save the model in 16 bits, or quantise it by one"
    )
    message = f"quantization_config in config.json {what}; supported: {supported}; {remedy}"
    require(known, Reason.UNSUPPORTED_QUANTIZATION, message)
    method = METHODS[str(name)]
    method.check(settings, _routers(config))
    return method


def _routers(config: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the routers of a configuration's architecture; it need not be a supported one."""
    named = config.get("architectures")
    first = named[0] if isinstance(named, list) and named and isinstance(named[0], str) else ""
    experts = ARCHITECTURES[first].layout.experts if first in ARCHITECTURES else None
    return experts.routers if experts is not None else ()
