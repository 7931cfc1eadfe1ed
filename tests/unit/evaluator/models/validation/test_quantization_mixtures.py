"""Quantised mixtures of experts, by headers alone: every expert is packed, and the routers are not."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from bitagent_crds.conditions import Reason
from bitagent_evaluator.models.validation.architectures import ARCHITECTURES
from bitagent_evaluator.models.validation.config import reduce_config
from bitagent_evaluator.models.validation.files import INDEX, SMALL_FILES
from bitagent_evaluator.models.validation.weights import MAX_HEADERS_BYTES, MAX_TENSORS

MIXTRAL = ("MixtralForCausalLM", {"num_local_experts": 2, "num_experts_per_tok": 2})
QWEN_2 = (
    "Qwen2MoeForCausalLM",
    {"num_experts": 2, "num_experts_per_tok": 1, "moe_intermediate_size": 64, "shared_expert_intermediate_size": 128},
)
QWEN_3 = (
    "Qwen3MoeForCausalLM",
    {"num_experts": 2, "num_experts_per_tok": 1, "moe_intermediate_size": 64, "head_dim": 32, "mlp_only_layers": [0]},
)
FAMILIES = {"mixtral": MIXTRAL, "qwen2 moe": QWEN_2, "qwen3 moe": QWEN_3}
_LAYERS = {"q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj", "w1", "w2", "w3"}


def gptq(outputs: int, inputs: int) -> dict[str, Any]:
    return {
        "qweight": ("I32", (inputs // 8, outputs)),
        "qzeros": ("I32", (inputs // 32, outputs // 8)),
        "scales": ("F16", (inputs // 32, outputs)),
        "g_idx": ("I32", (inputs,)),
    }


def awq(outputs: int, inputs: int) -> dict[str, Any]:
    return {
        "qweight": ("I32", (inputs, outputs // 8)),
        "qzeros": ("I32", (inputs // 32, outputs // 8)),
        "scales": ("F16", (inputs // 32, outputs)),
    }


def packed(outputs: int, inputs: int) -> dict[str, Any]:
    return {
        "weight_packed": ("I32", (outputs, inputs // 8)),
        "weight_scale": ("BF16", (outputs, inputs // 32)),
        "weight_shape": ("I64", (2,)),
    }


GPTQ = {"quant_method": "gptq", "bits": 4, "group_size": 32, "sym": True, "desc_act": False}
AWQ = {"quant_method": "awq", "bits": 4, "group_size": 32, "zero_point": True, "version": "gemm"}
_WEIGHTS = {"num_bits": 4, "type": "int", "symmetric": True, "strategy": "group", "group_size": 32}
_GROUP = {"targets": ["Linear"], "weights": _WEIGHTS, "input_activations": None}
W4A16 = {"quant_method": "compressed-tensors", "format": "pack-quantized", "config_groups": {"group_0": _GROUP}}
SETTINGS: dict[str, tuple[Any, dict[str, Any]]] = {
    "gptq": (gptq, GPTQ),
    "gptq, rule for the router": (gptq, {**GPTQ, "dynamic": {r"-:.*\.gate$": {}}}),
    "awq": (awq, AWQ),
    "awq, router named": (awq, {**AWQ, "modules_to_not_convert": ["gate"]}),
    "awq, router and head": (awq, {**AWQ, "modules_to_not_convert": ["lm_head", "model.layers.1.mlp.gate"]}),
    "w4a16": (packed, {**W4A16, "ignore": ["lm_head", r"re:.*\.gate$"]}),
    "w4a16, other pattern": (packed, {**W4A16, "ignore": ["re:.*lm_head", "re:.*block_sparse_moe.gate"]}),
}


def quantised(synthetic: Any, config: Mapping[str, Any], pack: Any) -> dict[str, Any]:
    """The tensors of a checkpoint whose layers are packed."""
    tensors: dict[str, Any] = {}
    for name, (dtype, shape) in synthetic.tensors(config).items():
        if name.split(".")[-2] in _LAYERS and name.endswith(".weight"):
            tensors |= {name.removesuffix("weight") + key: value for key, value in pack(*shape).items()}
        else:
            tensors[name] = (dtype, shape)
    return tensors


@pytest.mark.parametrize(("architecture", "sizes"), FAMILIES.values(), ids=FAMILIES)
@pytest.mark.parametrize(("pack", "settings"), SETTINGS.values(), ids=SETTINGS)
def test_experts_are_packed_and_routers_are_not(
    synthetic: Any, architecture: str, sizes: dict[str, Any], pack: Any, settings: dict[str, Any]
) -> None:
    config = synthetic.config(architecture, **sizes, quantization_config=settings)
    tensors = quantised(synthetic, config, pack)
    result = synthetic.validate(config, tensors)
    assert result.refusal is None
    plain = {key: value for key, value in config.items() if key != "quantization_config"}
    assert result.parameters == synthetic.validate(plain, synthetic.tensors(config)).parameters
    assert result.config is not None
    kept = result.config["quantization_config"]
    assert "dynamic" not in kept and "modules_to_not_convert" not in kept
    if "ignore" in settings:
        assert kept["ignore"] == ["lm_head", r"re:.*\.gate$", r"re:.*\.shared_expert_gate$"]
    expert = next(name for name in tensors if ".experts.1." in name)
    del tensors[expert]
    refusal = synthetic.validate(config, tensors).refusal
    assert refusal is not None and refusal[0] is Reason.CORRUPT_WEIGHTS and expert[:48] in refusal[1]


REFUSED = {
    "gptq leaves out experts": {**GPTQ, "dynamic": {r"-:.*experts.*": {}}},
    "gptq changes the router": {**GPTQ, "dynamic": {r"+:.*\.gate$": {"bits": 8}}},
    "awq leaves out projections": {**AWQ, "modules_to_not_convert": ["gate", "gate_proj"]},
    "w4a16 leaves out projections": {**W4A16, "ignore": ["lm_head", "re:.*gate_proj$"]},
    "w4a16 with a quantised head": {**W4A16, "ignore": ["re:.*gate$"]},
}


@pytest.mark.parametrize("settings", REFUSED.values(), ids=REFUSED)
def test_rules_for_other_layers_are_refused(synthetic: Any, settings: dict[str, Any]) -> None:
    config = synthetic.config(MIXTRAL[0], **MIXTRAL[1], quantization_config=settings)
    refusal = synthetic.validate(config, synthetic.tensors(config)).refusal
    assert refusal is not None and refusal[0] is Reason.UNSUPPORTED_QUANTIZATION


def test_a_dense_model_has_no_router(synthetic: Any) -> None:
    config = synthetic.config(quantization_config={**AWQ, "modules_to_not_convert": ["gate"]})
    refusal = synthetic.validate(config, synthetic.tensors(config)).refusal
    assert refusal is not None and refusal[0] is Reason.UNSUPPORTED_QUANTIZATION


def test_the_largest_mixture_in_gptq_fits_the_bounds_of_headers_and_index() -> None:
    """Qwen3-235B-A22B: each expert has four tensors for each of three projections."""
    config = {
        **{"hidden_size": 4096, "intermediate_size": 12288, "num_hidden_layers": 94, "num_attention_heads": 64},
        **{"num_key_value_heads": 4, "head_dim": 128, "vocab_size": 151_936, "max_position_embeddings": 40_960},
        **{"num_experts": 128, "num_experts_per_tok": 8, "moe_intermediate_size": 1536},
    }
    architecture = ARCHITECTURES["Qwen3MoeForCausalLM"]
    linear = architecture.expected_tensors(reduce_config(config, architecture)).linear
    prefixes = sum(len(name.removesuffix("weight")) for name in linear)
    suffixes = ("qweight", "qzeros", "scales", "g_idx")
    names = len(suffixes) * prefixes + sum(map(len, suffixes)) * len(linear)
    entry = '"":{"dtype":"I32","shape":[4096,12288],"data_offsets":[1234567890,1234567890]},'
    line = '    "": "model-00001-of-00016.safetensors",\n'
    assert names + len(suffixes) * len(linear) * len(entry) < MAX_HEADERS_BYTES
    assert names + len(suffixes) * len(linear) * len(line) < SMALL_FILES[INDEX]
    assert len(suffixes) * len(linear) < MAX_TENSORS
