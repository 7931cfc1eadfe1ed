"""The tensors that each quantisation method leaves, and settings that are refused, by headers alone."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

import pytest

from bitagent_crds.conditions import Reason
from bitagent_evaluator.models.layer_weights import shape_of
from bitagent_evaluator.models.validation.quantization import METHODS, find_method, method_name, with_settings
from bitagent_evaluator.sandbox.protocol import Refused

LINEAR = {"q_proj": (128, 128), "k_proj": (64, 128), "v_proj": (64, 128), "o_proj": (128, 128)} | {
    "gate_proj": (256, 128),
    "up_proj": (256, 128),
    "down_proj": (128, 256),
}
Tensors = dict[str, tuple[str, tuple[int, ...]]]


def gptq_of(*, bits: int = 4, group: int = 32) -> Callable[[int, int], Tensors]:
    def tensors(outputs: int, inputs: int) -> Tensors:
        groups = 1 if group == -1 else inputs // group
        return {
            "qweight": ("I32", (inputs * bits // 32, outputs)),
            "qzeros": ("I32", (groups, outputs * bits // 32)),
            "scales": ("F16", (groups, outputs)),
            "g_idx": ("I32", (inputs,)),
        }

    return tensors


def awq(outputs: int, inputs: int) -> Tensors:
    return {
        "qweight": ("I32", (inputs, outputs // 8)),
        "qzeros": ("I32", (inputs // 32, outputs // 8)),
        "scales": ("F16", (inputs // 32, outputs)),
    }


def packed(outputs: int, inputs: int) -> Tensors:
    return {
        "weight_packed": ("I32", (outputs, inputs // 8)),
        "weight_scale": ("BF16", (outputs, inputs // 32)),
        "weight_shape": ("I64", (2,)),
    }


def int8(outputs: int, inputs: int) -> Tensors:
    return {"weight": ("I8", (outputs, inputs)), "weight_scale": ("BF16", (outputs, 1))}


def scheme(form: str, weights: dict[str, Any], activations: dict[str, Any] | None) -> dict[str, Any]:
    group = {"targets": ["Linear"], "weights": weights, "input_activations": activations}
    return {
        "quant_method": "compressed-tensors",
        "format": form,
        "ignore": ["lm_head"],
        "config_groups": {"group_0": group},
    }


W4 = {"num_bits": 4, "type": "int", "symmetric": True, "strategy": "group", "group_size": 32, "actorder": None}
W8 = {"num_bits": 8, "type": "int", "symmetric": True, "strategy": "channel", "actorder": None}
A8 = {"num_bits": 8, "type": "int", "symmetric": True, "strategy": "token", "dynamic": True}
GPTQ = {"quant_method": "gptq", "bits": 4, "group_size": 32, "sym": True, "desc_act": False}
AWQ = {"quant_method": "awq", "bits": 4, "group_size": 32, "zero_point": True, "version": "gemm"}
QUANTISED = {
    "gptq": (gptq_of(), GPTQ),
    "gptq in groups of 64": (gptq_of(group=64), {**GPTQ, "group_size": 64}),
    "gptq of 8 bits": (gptq_of(bits=8), {**GPTQ, "bits": 8}),
    "gptq with one group": (gptq_of(group=-1), {**GPTQ, "group_size": -1}),
    "gptq with one group in activation order": (gptq_of(group=-1), {**GPTQ, "group_size": -1, "desc_act": True}),
    "awq": (awq, AWQ),
    "w4a16": (packed, scheme("pack-quantized", W4, None)),
    "w8a8": (int8, scheme("int-quantized", W8, A8)),
}


def quantised(synthetic: Any, config: Mapping[str, Any], pack: Any) -> Tensors:
    tensors: Tensors = {}
    for name, (dtype, shape) in synthetic.tensors(config).items():
        layer = name.split(".")[-2]
        if layer in LINEAR and name.endswith(".weight"):
            assert shape == LINEAR[layer]
            tensors |= {name.removesuffix("weight") + key: value for key, value in pack(*shape).items()}
        else:
            tensors[name] = (dtype, shape)
    return tensors


@pytest.mark.parametrize(("pack", "settings"), QUANTISED.values(), ids=QUANTISED.keys())
def test_quantisation(synthetic: Any, pack: Any, settings: dict[str, Any]) -> None:
    config = synthetic.config(quantization_config=settings)
    result = synthetic.validate(config, quantised(synthetic, config, pack))
    assert result.refusal is None
    assert result.quantization == settings["quant_method"]
    # Packed weights count unpacked: as many parameters as the plain model.
    assert result.parameters == synthetic.validate(synthetic.config(), synthetic.tensors(config)).parameters
    assert result.config is not None and result.config["quantization_config"] == settings


def test_every_method_has_a_case() -> None:
    assert {settings["quant_method"] for _, settings in QUANTISED.values()} == set(METHODS)


REFUSED = {
    "gptq group of 48": {**GPTQ, "group_size": 48},
    "gptq quantised head": {**GPTQ, "lm_head": True},
    "gptq per module": {**GPTQ, "dynamic": {"-:.*": {}}},
    "gptq bits true": {**GPTQ, "bits": True},
    "awq gemv": {**AWQ, "version": "gemv"},
    "awq skips a module": {**AWQ, "modules_to_not_convert": ["mlp"]},
    "two groups": {**scheme("pack-quantized", W4, None), "config_groups": {"a": {}, "b": {}}},
    "8-bit cache": {**scheme("pack-quantized", W4, None), "kv_cache_scheme": {"num_bits": 8}},
    "4-bit with activations": scheme("pack-quantized", W4, A8),
    "8-bit without activations": scheme("int-quantized", W8, None),
    "static activations": scheme("int-quantized", W8, {**A8, "dynamic": False}),
    "nothing ignored": {**scheme("pack-quantized", W4, None), "ignore": []},
    "no object": "gptq",
}


@pytest.mark.parametrize("settings", REFUSED.values(), ids=REFUSED.keys())
def test_settings_without_a_kernel(synthetic: Any, settings: Any) -> None:
    config = synthetic.config(quantization_config=settings)
    refusal = synthetic.validate(config, synthetic.tensors(config)).refusal
    assert refusal is not None and refusal[0] is Reason.UNSUPPORTED_QUANTIZATION


@pytest.mark.parametrize("member", ["desc", "modules_in_block_to_quantize", "CUDA"])
@pytest.mark.parametrize("name", ["gptq", "awq", "w4a16", "w8a8"])
def test_the_engine_gets_only_settings_that_were_checked(synthetic: Any, name: str, member: str) -> None:
    pack, settings = QUANTISED[name]
    deep: Any = "CUDA"
    for _ in range(500):
        deep = [deep]
    more = json.loads(json.dumps({**settings, member: deep}))
    for group in more.get("config_groups", {}).values():
        group |= {member: deep, "format": "dense"}
        group["weights"] |= {member: deep, "dynamic": True}
    config = synthetic.config(quantization_config=more)
    found = synthetic.validate(config, quantised(synthetic, config, pack)).config
    assert found is not None and found["quantization_config"] == settings


@pytest.mark.parametrize("bits", [8, [], "x", 10**400], ids=["eight", "list", "text", "large"])
def test_bits_of_a_method_without_a_choice_do_not_count(synthetic: Any, bits: Any) -> None:
    """They halved the number of parameters that a round admits, or ended the fetch by an exception."""
    pack, settings = QUANTISED["w4a16"]
    config = synthetic.config(quantization_config={**settings, "bits": bits})
    result = synthetic.validate(config, quantised(synthetic, config, pack))
    assert result.parameters == synthetic.validate(synthetic.config(), synthetic.tensors(config)).parameters
    assert result.refusal is None and shape_of(config).packing.bits == 4


GPTQ_FILE = {"bits": 4, "group_size": 128, "sym": True, "desc_act": False, "damp_percent": 0.01}
AWQ_FILE = {"zero_point": True, "q_group_size": 128, "w_bit": 4, "version": "GEMM"}
PACKED, PLAIN = ("model.layers.0.mlp.up_proj.qweight",), ("model.layers.0.mlp.up_proj.weight",)
SETTINGS: dict[str, tuple[dict[str, Any], dict[str, Any], tuple[str, ...], str | None, str]] = {
    "gptq's file": ({}, {"quantize_config.json": GPTQ_FILE}, PACKED, "gptq", "quantize_config.json"),
    "awq's file": ({}, {"quant_config.json": AWQ_FILE}, PACKED, "awq", "quant_config.json"),
    "a file with its method": (
        {},
        {"quantize_config.json": {**GPTQ_FILE, "quant_method": "gptq", "checkpoint_format": "gptq"}},
        PACKED,
        "gptq",
        "quantize_config.json",
    ),
    "config.json first": (
        {"quantization_config": {"quant_method": "gptq", **GPTQ_FILE}},
        {"quantize_config.json": {"bits": 2}},
        PACKED,
        "gptq",
        "config.json",
    ),
    "plain weights": ({}, {"quantize_config.json": GPTQ_FILE}, PLAIN, None, ""),
    "no file": ({}, {}, PACKED, None, ""),
}


@pytest.mark.parametrize(("config", "files", "tensors", "method", "source"), SETTINGS.values(), ids=SETTINGS)
def test_settings_in_a_file_of_their_own(
    config: dict[str, Any], files: dict[str, Any], tensors: tuple[str, ...], method: str | None, source: str
) -> None:
    small = {name: json.dumps(content).encode() for name, content in files.items()}
    complete, found = with_settings(config, small, tensors)
    assert found == source
    chosen = find_method(complete)  # whose settings are accepted
    assert (chosen.name if chosen else None) == method


def test_mlx_is_named() -> None:
    for member in ("quantization", "quantization_config"):
        config = {member: {"group_size": 64, "bits": 4}}
        with pytest.raises(Refused, match="MLX"):
            find_method(config)


@pytest.mark.parametrize(
    ("config", "name"),
    [
        pytest.param({}, "", id="plain"),
        pytest.param({"quantization_config": {"quant_method": "gptq", "bits": 4}}, "gptq", id="named"),
        pytest.param({"quantization": {"group_size": 64, "bits": 4}}, "mlx", id="MLX, older"),
        pytest.param({"quantization_config": {"group_size": 64, "bits": 4, "mode": "affine"}}, "mlx", id="MLX"),
        pytest.param({"quantization_config": {"load_in_4bit": True}}, "bitsandbytes", id="bitsandbytes without a name"),
        pytest.param({"quantization_config": {"quant_algo": "FP8"}}, "modelopt", id="ModelOpt without a name"),
        pytest.param({"compression_config": {"format": "pack-quantized"}}, "compressed-tensors", id="an old form"),
        pytest.param({"quantization_config": {"x": 1}}, "unknown", id="settings of nothing known"),
    ],
)
def test_the_name_of_the_method(config: dict[str, Any], name: str) -> None:
    assert method_name(config) == name
