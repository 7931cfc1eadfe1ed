"""Tiny configurations of every architecture, as transformers writes them, in all variants that change the tensors."""

from __future__ import annotations

from typing import Any

SIZES: dict[str, Any] = {
    "hidden_size": 64,
    "intermediate_size": 96,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "num_key_value_heads": 1,
    "vocab_size": 320,
    "max_position_embeddings": 256,
    "bos_token_id": 1,
    "eos_token_id": 2,
    "pad_token_id": 0,
}
_HEAD = {"head_dim": 32}
_WIDE = {"head_dim": 64}
_BIASES = {"attention_bias": True}
_UNTIED = {"tie_word_embeddings": False}
_TIED = {"tie_word_embeddings": True}
_EXPERTS = {"num_experts": 3, "num_experts_per_tok": 2, "moe_intermediate_size": 32}
_SHARED = {"shared_expert_intermediate_size": 160}

VARIANTS: dict[str, tuple[str, dict[str, Any]]] = {
    "llama": ("LlamaForCausalLM", {}),
    "llama, wide heads": ("LlamaForCausalLM", _WIDE),
    "llama, biases, tied": ("LlamaForCausalLM", _BIASES | _TIED | {"mlp_bias": True}),
    "mistral": ("MistralForCausalLM", _WIDE),
    "qwen2": ("Qwen2ForCausalLM", {}),
    "qwen2, tied": ("Qwen2ForCausalLM", _TIED),
    "qwen3": ("Qwen3ForCausalLM", _WIDE),
    "qwen3, heads by default": ("Qwen3ForCausalLM", {"num_attention_heads": 1}),
    "gemma": ("GemmaForCausalLM", _HEAD),
    "gemma 2": ("Gemma2ForCausalLM", _HEAD),
    "gemma 2, biases": ("Gemma2ForCausalLM", _HEAD | _BIASES),
    "gemma 3": ("Gemma3ForCausalLM", _HEAD),
    "gemma 3, biases, untied": ("Gemma3ForCausalLM", _HEAD | _BIASES | _UNTIED),
    "phi 3": ("Phi3ForCausalLM", {}),
    "phi 3, tied, part of a head": ("Phi3ForCausalLM", _TIED | {"partial_rotary_factor": 0.75}),
    "granite": ("GraniteForCausalLM", {}),
    "granite, biases, tied": ("GraniteForCausalLM", _BIASES | _TIED | {"mlp_bias": True}),
    "smollm 3": ("SmolLM3ForCausalLM", {}),
    "smollm 3, biases, untied": ("SmolLM3ForCausalLM", _BIASES | _UNTIED | {"mlp_bias": True}),
    "olmo 2": ("Olmo2ForCausalLM", {}),
    "olmo 2, biases, tied": ("Olmo2ForCausalLM", _BIASES | _TIED),
    "olmo 3": ("Olmo3ForCausalLM", {}),
    "olmo 3, biases": ("Olmo3ForCausalLM", _BIASES),
    "glm 4": ("Glm4ForCausalLM", _HEAD),
    "glm 4, no biases, tied": ("Glm4ForCausalLM", _HEAD | _TIED | {"attention_bias": False}),
    "mixtral": ("MixtralForCausalLM", {"num_local_experts": 3, "num_experts_per_tok": 2}),
    "mixtral, tied, wide heads": ("MixtralForCausalLM", _TIED | _WIDE | {"num_local_experts": 2}),
    "qwen2 moe": ("Qwen2MoeForCausalLM", _EXPERTS | _SHARED),
    "qwen2 moe, tied, every second layer": (
        "Qwen2MoeForCausalLM",
        _EXPERTS | _SHARED | _TIED | {"decoder_sparse_step": 2},
    ),
    "qwen3 moe": ("Qwen3MoeForCausalLM", _EXPERTS | _HEAD),
    "qwen3 moe, tied, first layer dense": ("Qwen3MoeForCausalLM", _EXPERTS | _TIED | {"mlp_only_layers": [0]}),
}
"""Architecture and what is stated beside `SIZES`, by name of the variant."""


def stated_config(architecture: Any, changes: dict[str, Any]) -> dict[str, Any]:
    """The members that the configuration of a variant states."""
    return {**SIZES, "architectures": [architecture.name], "model_type": architecture.model_type, **changes}
