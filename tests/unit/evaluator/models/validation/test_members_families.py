"""Members of configurations that one family has: bounds, what the engine gets, what is refused or left out."""

from __future__ import annotations

import json
from typing import Any

import pytest

from bitagent_crds.conditions import Reason
from bitagent_evaluator.models.validation.config import MOST_EXPERTS

_GLOBAL, _LOCAL = {"rope_type": "linear", "factor": 8.0, "rope_theta": 1e6}, {"rope_type": "default", "rope_theta": 1e4}
_FACTORS = {"short_factor": [1.0] * 16, "long_factor": [1.5] * 16}
_LONGROPE = {"type": "longrope", **_FACTORS}
_HEAD = {"head_dim": 32}
_TANH = {"hidden_activation": "gelu_pytorch_tanh", "tie_word_embeddings": True}
_BY_TYPE = {"rope_parameters": {"full_attention": _GLOBAL, "sliding_attention": _LOCAL}}
_MIX = {"num_local_experts": 4, "num_experts_per_tok": 2}
_MOE = {"num_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 64, "head_dim": 32}
_SHARED = {**_MOE, "shared_expert_intermediate_size": 64}

KEPT: dict[str, tuple[str, dict[str, Any], dict[str, Any]]] = {
    "gemma: exact GELU is the approximation": (
        "GemmaForCausalLM",
        {"hidden_act": "gelu", "hidden_activation": None, **_HEAD},
        _TANH,
    ),
    "gemma 2: a null cap is no cap": (
        "Gemma2ForCausalLM",
        {"head_dim": 32, "attn_logit_softcapping": None, "final_logit_softcapping": 30},
        {"attn_logit_softcapping": None, "final_logit_softcapping": 30},
    ),
    "gemma 3: positions for each type": ("Gemma3ForCausalLM", _HEAD | _BY_TYPE, _BY_TYPE),
    "gemma 3: members of older files": (
        "Gemma3ForCausalLM",
        {"head_dim": 32, "rope_local_base_freq": 10000, "_sliding_window_pattern": 6},
        {"rope_local_base_freq": 10000, "sliding_window_pattern": 6},
    ),
    "phi 3: su is longrope": (
        "Phi3ForCausalLM",
        {"rope_scaling": {**_LONGROPE, "type": "su"}},
        {"rope_scaling": {"rope_type": "longrope", **_FACTORS}},
    ),
    "phi 3: part of a head": ("Phi3ForCausalLM", {"partial_rotary_factor": 0.75}, {"partial_rotary_factor": 0.75}),
    "granite: factors": (
        "GraniteForCausalLM",
        {"logits_scaling": 16.0, "attention_multiplier": 0.0078125},
        {"logits_scaling": 16.0, "attention_multiplier": 0.0078125},
    ),
    "smollm 3: layers without positions": (
        "SmolLM3ForCausalLM",
        {"no_rope_layers": [1, 0]},
        {"no_rope_layers": [1, 0]},
    ),
    "mixtral: other name": (
        "MixtralForCausalLM",
        {"num_experts": 4},
        {"num_local_experts": 4, "num_experts_per_tok": 2},
    ),
    "mixtral: null is the default": (
        "MixtralForCausalLM",
        {"num_local_experts": None, "num_experts_per_tok": None},
        {"num_local_experts": 8, "num_experts_per_tok": 2},
    ),
    "qwen 3 moe: other name": (
        "Qwen3MoeForCausalLM",
        {**_MOE, "num_experts": None, "num_local_experts": 4},
        {"num_experts": 4},
    ),
    "qwen 2 moe: a window of 0 is none": (
        "Qwen2MoeForCausalLM",
        {**_SHARED, "sliding_window": 0},
        {"sliding_window": None},
    ),
}

LEFT_OUT: dict[str, tuple[str, dict[str, Any], str]] = {
    "null for a divisor": (
        "Gemma2ForCausalLM",
        {"head_dim": 32, "query_pre_attn_scalar": None},
        "query_pre_attn_scalar",
    ),
    "null for a factor": ("GraniteForCausalLM", {"logits_scaling": None}, "logits_scaling"),
    "null for a step": ("Qwen3MoeForCausalLM", {**_MOE, "decoder_sparse_step": None}, "decoder_sparse_step"),
    "null for a number of layers": ("Qwen2ForCausalLM", {"max_window_layers": None}, "max_window_layers"),
    "biases that mistral has not": ("MistralForCausalLM", {"attention_bias": True}, "attention_bias"),
    "biases that qwen 3 has not": ("Qwen3ForCausalLM", {"attention_bias": True, "head_dim": 32}, "attention_bias"),
    "a window of granite": ("GraniteForCausalLM", {"sliding_window": 64}, "sliding_window"),
    "types of layers of granite": ("GraniteForCausalLM", {"layer_types": ["full_attention"] * 2}, "layer_types"),
    "training of routers": ("MixtralForCausalLM", {**_MIX, "router_aux_loss_coef": 0.001}, "router_aux_loss_coef"),
    "factors of another family": ("LlamaForCausalLM", {"logits_scaling": 4.0}, "logits_scaling"),
}

REFUSED: dict[str, tuple[str, dict[str, Any], str]] = {
    "gemma: another activation": (
        "GemmaForCausalLM",
        {"head_dim": 32, "hidden_activation": "gelu"},
        "hidden_activation",
    ),
    "gemma 2: a head of its own": ("Gemma2ForCausalLM", {"head_dim": 32, "tie_word_embeddings": False}, "tie_word"),
    "gemma 2: cap of nothing": ("Gemma2ForCausalLM", {"head_dim": 32, "final_logit_softcapping": 0.0}, "final_logit"),
    "gemma 3: heads do not divide": ("Gemma3ForCausalLM", {"head_dim": 32, "num_attention_heads": 6}, "6 heads"),
    "phi 3: short list": ("Phi3ForCausalLM", {"rope_scaling": {**_LONGROPE, "long_factor": [1.0] * 15}}, "long_factor"),
    "phi 3: factor of text": ("Phi3ForCausalLM", {"rope_scaling": {**_LONGROPE, "short_factor": ["1"] * 16}}, "short_"),
    "phi 3: endless factor": ("Phi3ForCausalLM", {"rope_scaling": {**_LONGROPE, "short_factor": [1e9] * 16}}, "short_"),
    "phi 3: share of a head": ("Phi3ForCausalLM", {"partial_rotary_factor": 0.7}, "partial_rotary_factor"),
    "phi 3: other heads": ("Phi3ForCausalLM", {"head_dim": 64}, "head_dim"),
    "qwen 2: other heads": ("Qwen2ForCausalLM", {"head_dim": 64}, "head_dim"),
    "llama: longrope": ("LlamaForCausalLM", {"rope_scaling": _LONGROPE}, "longrope"),
    "granite: division by nothing": ("GraniteForCausalLM", {"logits_scaling": 0}, "logits_scaling"),
    "smollm 3: a layer too few": ("SmolLM3ForCausalLM", {"no_rope_layers": [1]}, "no_rope_layers"),
    "smollm 3: true is no number": ("SmolLM3ForCausalLM", {"no_rope_layers": [True, False]}, "no_rope_layers"),
    "mixtral: more chosen than there are": ("MixtralForCausalLM", {**_MIX, "num_experts_per_tok": 5}, "num_experts"),
    "mixtral: two names, two values": ("MixtralForCausalLM", {**_MIX, "num_experts": 8}, "num_experts"),
    "qwen 3 moe: no width": ("Qwen3MoeForCausalLM", {**_MOE, "moe_intermediate_size": None}, "moe_intermediate_size"),
    "qwen 3 moe: a layer beyond the last": ("Qwen3MoeForCausalLM", {**_MOE, "mlp_only_layers": [2]}, "mlp_only_layers"),
    "qwen 3 moe: wide choice": (
        "Qwen3MoeForCausalLM",
        {**_MOE, "num_experts": 64, "num_experts_per_tok": 40},
        "inner layer is 2560",
    ),
    "qwen 3 moe: too many": (
        "Qwen3MoeForCausalLM",
        {**_MOE, "num_experts": 1024, "num_hidden_layers": 17},
        str(MOST_EXPERTS),
    ),
    "qwen 2 moe: windows in some layers": (
        "Qwen2MoeForCausalLM",
        {**_SHARED, "layer_types": ["full_attention", "sliding_attention"], "sliding_window": 16},
        "sliding window",
    ),
}


@pytest.mark.parametrize(("name", "members", "kept"), KEPT.values(), ids=KEPT)
def test_the_engine_gets(synthetic: Any, name: str, members: dict[str, Any], kept: dict[str, Any]) -> None:
    config = synthetic.config(name, **members)
    found = synthetic.validate(config, synthetic.tensors(config))
    assert found.refusal is None
    assert {key: found.config[key] for key in kept} == kept


@pytest.mark.parametrize(("name", "members", "member"), LEFT_OUT.values(), ids=LEFT_OUT)
def test_the_engine_does_not_get(synthetic: Any, name: str, members: dict[str, Any], member: str) -> None:
    config = synthetic.config(name, **members)
    found = synthetic.validate(config, synthetic.tensors(config))
    assert found.refusal is None and member not in found.config


@pytest.mark.parametrize(("name", "members", "named"), REFUSED.values(), ids=REFUSED)
def test_refused(synthetic: Any, name: str, members: dict[str, Any], named: str) -> None:
    config = synthetic.config(name, **members)
    refusal = synthetic.validate(config, {"any": ("BF16", (2,))}).refusal
    assert refusal is not None and refusal[0] is Reason.BAD_CONFIG and named in refusal[1]


def test_no_head_where_the_engine_has_none(synthetic: Any) -> None:
    """In vLLM, Gemma 2 has no head at all, and loading one fails; Gemma 3 has one."""
    for name, sound in (("Gemma2ForCausalLM", False), ("Gemma3ForCausalLM", True)):
        config = synthetic.config(name, head_dim=32)
        tensors = synthetic.tensors(config) | {"lm_head.weight": ("BF16", (640, 128))}
        assert (synthetic.validate(config, tensors).refusal is None) is sound


@pytest.mark.parametrize(
    ("name", "token", "sound"),
    [
        ("Gemma3ForCausalLM", "<image_soft_token>", True),
        ("Gemma3ForCausalLM", "<other_token>", False),
        ("Gemma2ForCausalLM", "<image_soft_token>", False),
    ],
)
def test_a_token_beyond_the_vocabulary(synthetic: Any, name: str, token: str, sound: bool) -> None:
    content = json.loads(synthetic.tokenizer["tokenizer.json"])
    content["added_tokens"].append({**content["added_tokens"][-1], "id": 640, "content": token})
    other = type(synthetic)({**synthetic.tokenizer, "tokenizer.json": json.dumps(content).encode()})
    config = other.config(name, head_dim=32)
    refusal = other.validate(config, other.tensors(config)).refusal
    assert (refusal is None) is sound
    assert sound or (refusal[0] is Reason.BAD_TOKENIZER and "640" in refusal[1])
