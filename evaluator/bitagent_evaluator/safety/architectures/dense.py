"""The common shape of a dense decoder: embeddings, blocks of attention and gated MLP, a final norm, a head."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

Shape = tuple[int, ...]


@dataclass(frozen=True)
class Expected:
    """The tensors of a checkpoint."""

    required: Mapping[str, Shape]
    optional: Mapping[str, Shape]
    """Tensors that some writers add and engines ignore."""
    linear: frozenset[str]
    """Names of the required weights that a quantisation may replace."""


@dataclass(frozen=True)
class Variant:
    """In what an architecture differs from the others."""

    qkv_bias: bool = False
    output_bias: bool = False
    mlp_bias: bool = False
    qk_norm: bool = False


def head_dim(config: Mapping[str, Any]) -> int:
    """Size of one attention head."""
    return int(config.get("head_dim") or config["hidden_size"] // config["num_attention_heads"])


def key_value_heads(config: Mapping[str, Any]) -> int:
    """Number of key-value heads."""
    return int(config.get("num_key_value_heads") or config["num_attention_heads"])


def expected_tensors(config: Mapping[str, Any], variant: Variant) -> Expected:
    """The tensors that a checkpoint with this configuration has."""
    hidden, inner, vocabulary = config["hidden_size"], config["intermediate_size"], config["vocab_size"]
    head = head_dim(config)
    query, key_value = config["num_attention_heads"] * head, key_value_heads(config) * head
    required: dict[str, Shape] = {"model.embed_tokens.weight": (vocabulary, hidden), "model.norm.weight": (hidden,)}
    optional: dict[str, Shape] = {}
    (optional if config.get("tie_word_embeddings", False) else required)["lm_head.weight"] = (vocabulary, hidden)
    linear: set[str] = set()
    for layer in range(config["num_hidden_layers"]):
        prefix = f"model.layers.{layer}."
        required |= {
            prefix + "input_layernorm.weight": (hidden,),
            prefix + "post_attention_layernorm.weight": (hidden,),
        }
        projections = {
            "self_attn.q_proj": ((query, hidden), variant.qkv_bias),
            "self_attn.k_proj": ((key_value, hidden), variant.qkv_bias),
            "self_attn.v_proj": ((key_value, hidden), variant.qkv_bias),
            "self_attn.o_proj": ((hidden, query), variant.output_bias),
            "mlp.gate_proj": ((inner, hidden), variant.mlp_bias),
            "mlp.up_proj": ((inner, hidden), variant.mlp_bias),
            "mlp.down_proj": ((hidden, inner), variant.mlp_bias),
        }
        for name, (shape, bias) in projections.items():
            required[f"{prefix}{name}.weight"] = shape
            linear.add(f"{prefix}{name}.weight")
            if bias:
                required[f"{prefix}{name}.bias"] = shape[:1]
        if variant.qk_norm:
            required |= {prefix + "self_attn.q_norm.weight": (head,), prefix + "self_attn.k_norm.weight": (head,)}
        optional[prefix + "self_attn.rotary_emb.inv_freq"] = (head // 2,)
    return Expected(required, optional, frozenset(linear))
