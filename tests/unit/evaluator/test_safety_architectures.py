"""The tensors that each architecture and each quantisation calls for, judged from headers alone."""

from __future__ import annotations

import json
import math
import struct
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bitagent_crds.conditions import Reason
from bitagent_evaluator.bounded.worker import Refused
from bitagent_evaluator.safety.architectures.registry import ARCHITECTURES
from bitagent_evaluator.safety.configuration import HEAD_SIZES, checked
from bitagent_evaluator.safety.evidence import Evidence
from bitagent_evaluator.safety.headers import ITEM_BYTES
from bitagent_evaluator.safety.judge import judge

BASE = {
    "hidden_size": 128,
    "intermediate_size": 256,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "vocab_size": 640,
    "max_position_embeddings": 2048,
}
LINEAR = {"q_proj": (128, 128), "k_proj": (64, 128), "v_proj": (64, 128), "o_proj": (128, 128)} | {
    "gate_proj": (256, 128),
    "up_proj": (256, 128),
    "down_proj": (128, 256),
}
Tensors = dict[str, tuple[str, tuple[int, ...]]]


def evidence(models: Path, config: Mapping[str, Any], tensors: Tensors) -> Evidence:
    entries, at = {}, 0
    for name, (dtype, shape) in tensors.items():
        size = ITEM_BYTES[dtype] * math.prod(shape)
        entries[name] = {"dtype": dtype, "shape": shape, "data_offsets": [at, at + size]}
        at += size
    text = json.dumps(entries).encode()
    header = struct.pack("<Q", len(text)) + text
    small = {
        name: (models / "tiny-fc-1200" / name).read_bytes() for name in ("tokenizer.json", "tokenizer_config.json")
    }
    small["config.json"] = json.dumps(config).encode()
    return Evidence({"model.safetensors": len(header) + at}, small, {"model.safetensors": header})


def named(architecture: str, **changes: Any) -> dict[str, Any]:
    found = ARCHITECTURES[architecture]
    return {**BASE, "architectures": [found.name], "model_type": found.model_type, **changes}


def plain(config: Mapping[str, Any], dtype: str = "BF16") -> Tensors:
    architecture = ARCHITECTURES[config["architectures"][0]]
    expected = architecture.tensors(checked({**architecture.defaults, **config}))
    return {name: (dtype, shape) for name, shape in expected.required.items()}


CASES = {
    # architecture, changes, tensors per layer (2 norms, 7 projections, biases and head norms), tied
    "qwen2": ("Qwen2ForCausalLM", {}, 12),
    "qwen2 tied": ("Qwen2ForCausalLM", {"tie_word_embeddings": True}, 12),
    "llama": ("LlamaForCausalLM", {}, 9),
    "llama with biases": ("LlamaForCausalLM", {"attention_bias": True, "mlp_bias": True}, 16),
    "mistral": ("MistralForCausalLM", {"sliding_window": None}, 9),
    "qwen3": ("Qwen3ForCausalLM", {"head_dim": 32}, 11),
}


@given(
    st.integers(32, 512),
    st.integers(32, 512),
    st.integers(1, 32),
    st.integers(1, 4),
    st.integers(1, 16),
    st.sampled_from(sorted(HEAD_SIZES)),
)
def test_parameters_bound_the_cache(hidden: int, inner: int, layers: int, groups: int, heads: int, head: int) -> None:
    """What admission relies on: keys and values of a token are at most sqrt(2 * layers * parameters) numbers."""
    changes = {
        "hidden_size": hidden, "intermediate_size": inner, "num_hidden_layers": layers, "head_dim": head,
        "num_key_value_heads": heads, "num_attention_heads": heads * groups,
    }  # fmt: skip
    if heads * groups * head > 4 * hidden or heads * head > 2 * hidden or inner > 16 * hidden:
        with pytest.raises(Refused) as refused:
            checked(named("Qwen3ForCausalLM", **changes))
        assert "width of the" in refused.value.message
        return
    config = checked(named("Qwen3ForCausalLM", **changes))
    shapes = ARCHITECTURES["Qwen3ForCausalLM"].tensors(config).required.values()
    assert 2 * layers * heads * head <= math.sqrt(2 * layers * sum(map(math.prod, shapes)))


@pytest.mark.parametrize(
    ("hidden", "inner", "heads", "groups", "head"),
    [(896, 4864, 14, 2, 64), (1024, 3072, 16, 8, 128), (2560, 9728, 32, 8, 128), (4096, 11008, 32, 32, 128), (5120, 14336, 32, 8, 128)],
    ids=["Qwen2.5 0.5B", "Qwen3 0.6B", "Qwen3 4B", "Llama 2 7B", "Mistral Nemo"],
)  # fmt: skip
def test_known_proportions(hidden: int, inner: int, heads: int, groups: int, head: int) -> None:
    changes = {"num_attention_heads": heads, "num_key_value_heads": groups, "head_dim": head}
    checked(named("Qwen3ForCausalLM", hidden_size=hidden, intermediate_size=inner, **changes))


@pytest.mark.parametrize(
    ("stored", "said", "used"),
    [("BF16", "float32", "bfloat16"), ("F16", "float32", "float16"), ("F32", "float32", "float32"), ("F32", "bfloat16", "bfloat16")],
)  # fmt: skip
def test_the_number_format_is_no_wider_than_what_is_stored(models: Path, stored: str, said: str, used: str) -> None:
    config = named("Qwen2ForCausalLM", dtype=said)
    found = judge(evidence(models, config, plain(config, stored))).config
    assert found is not None and found["dtype"] == used


@pytest.mark.parametrize(("architecture", "changes", "per_layer"), CASES.values(), ids=CASES.keys())
def test_architecture(models: Path, architecture: str, changes: dict[str, Any], per_layer: int) -> None:
    config = named(architecture, **changes)
    tensors = plain(config)
    assert len(tensors) == 2 * per_layer + (2 if changes.get("tie_word_embeddings") else 3)
    judgement = judge(evidence(models, config, tensors))
    assert judgement.refusal is None
    assert judgement.parameters == sum(math.prod(shape) for _, shape in tensors.values())
    for name in tensors:
        without = {key: value for key, value in tensors.items() if key != name}
        refusal = judge(evidence(models, config, without)).refusal
        assert refusal is not None and refusal[0] is Reason.CORRUPT_WEIGHTS, name


def test_tied_head_may_be_there_and_counts_once(models: Path) -> None:
    config = named("Qwen2ForCausalLM", tie_word_embeddings=True)
    tensors = plain(config)
    both = {**tensors, "lm_head.weight": ("BF16", (640, 128))}
    assert judge(evidence(models, config, both)).refusal is None
    assert judge(evidence(models, config, both)).parameters == judge(evidence(models, config, tensors)).parameters


def test_qwen3_head_size_defaults_to_128(models: Path) -> None:
    config = named("Qwen3ForCausalLM")
    assert plain(config)["model.layers.0.self_attn.q_norm.weight"] == ("BF16", (128,))
    assert judge(evidence(models, config, plain(config))).refusal is None


def test_a_default_head_size_counts_as_one_that_is_said() -> None:
    """256 heads of 128 beside a width of 8192 are 4 times as wide; with a width of 1024 they are refused, not taken for heads of 4."""
    defaults = ARCHITECTURES["Qwen3ForCausalLM"].defaults
    changes = {"hidden_size": 1024, "intermediate_size": 1024, "num_attention_heads": 256, "num_key_value_heads": 256}
    with pytest.raises(Refused, match="width of the queries is 32768, allowed 4096"):
        checked({**defaults, **named("Qwen3ForCausalLM", **changes)})


@pytest.mark.parametrize(
    ("changes", "resolved"),
    [
        ({}, {"num_key_value_heads": 2, "head_dim": 32}),
        ({"num_key_value_heads": None, "head_dim": None}, {"num_key_value_heads": 4, "head_dim": 32}),
        ({"head_dim": 64}, {"num_key_value_heads": 2, "head_dim": 64}),
    ],
    ids=["one said", "nothing said", "both said"],
)
def test_the_engine_gets_the_numbers_that_were_checked(changes: dict[str, Any], resolved: dict[str, int]) -> None:
    """Engines have defaults of their own: 32 or 8 key-value heads, heads of 128."""
    found = checked(named("LlamaForCausalLM", **changes))
    assert {key: found[key] for key in resolved} == resolved


@pytest.mark.parametrize("member", ["desc", "modules_in_block_to_quantize", "CUDA"])
@pytest.mark.parametrize("name", ["gptq", "awq", "w4a16", "w8a8"])
def test_the_engine_sees_no_quantisation_setting_that_was_not_checked(models: Path, name: str, member: str) -> None:
    pack, settings = QUANTISED[name]
    deep: Any = "CUDA"
    for _ in range(500):
        deep = [deep]
    more = json.loads(json.dumps({**settings, member: deep}))
    for group in more.get("config_groups", {}).values():
        group |= {member: deep, "format": "dense"}
        group["weights"] |= {member: deep, "dynamic": True}
    config = named("Qwen2ForCausalLM", quantization_config=more)
    found = judge(evidence(models, config, quantised(config, pack))).config
    assert found is not None and found["quantization_config"] == settings


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


def quantised(config: Mapping[str, Any], pack: Any) -> Tensors:
    tensors: Tensors = {}
    for name, (dtype, shape) in plain(config).items():
        layer = name.split(".")[-2]
        if layer in LINEAR and name.endswith(".weight"):
            assert shape == LINEAR[layer]
            tensors |= {name.removesuffix("weight") + key: value for key, value in pack(*shape).items()}
        else:
            tensors[name] = (dtype, shape)
    return tensors


@pytest.mark.parametrize(("pack", "settings"), QUANTISED.values(), ids=QUANTISED.keys())
def test_quantisation(models: Path, pack: Any, settings: dict[str, Any]) -> None:
    config = named("Qwen2ForCausalLM", quantization_config=settings)
    judgement = judge(evidence(models, config, quantised(config, pack)))
    assert judgement.refusal is None
    assert judgement.quantization == settings["quant_method"]
    # Packed weights count unpacked: as many parameters as the plain model.
    assert judgement.parameters == judge(evidence(models, named("Qwen2ForCausalLM"), plain(config))).parameters
    assert judgement.config is not None and judgement.config["quantization_config"] == settings


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
def test_settings_that_no_kernel_takes(models: Path, settings: Any) -> None:
    config = named("Qwen2ForCausalLM", quantization_config=settings)
    refusal = judge(evidence(models, config, plain(config))).refusal
    assert refusal is not None and refusal[0] is Reason.UNSUPPORTED_QUANTIZATION
