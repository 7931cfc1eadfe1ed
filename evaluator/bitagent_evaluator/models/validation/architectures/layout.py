"""How a family names and shapes the tensors of its layers, as data, and the tensors that follow from it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

Shape = tuple[int, ...]
HEAD = "lm_head.weight"


class QkNorm(StrEnum):
    """Normalisation of queries and keys; the empty one is none."""

    NONE = ""
    HEAD = "head"
    """A weight of one head's size, which all heads share."""
    WIDTH = "width"
    """A weight for the whole width of all heads."""


@dataclass(frozen=True)
class ExpectedTensors:
    """The tensors of a checkpoint, before quantisation."""

    required: Mapping[str, Shape]
    optional: Mapping[str, Shape]
    """Tensors that some writers add: those that engines ignore, and a head beside tied embeddings (see `head`)."""
    linear: frozenset[str]
    """Names of the required weights that a quantisation may replace."""


@dataclass(frozen=True)
class Experts:
    """The experts of a mixture: several MLPs in one layer, of which a router selects a few for each token."""

    block: str
    """Name of the block in a layer: it has `gate`, the router, and `experts.N`."""
    projections: tuple[str, str, str]
    """Names of an expert's gate, up and down projections."""
    count: str
    """Member of the configuration with the number of experts."""
    width: str
    """Member with the inner width of one expert."""
    shared: str = ""
    """Member with the inner width of an expert that every token passes, beside the selected ones; 0 for none."""
    some_layers: bool = False
    """Whether `decoder_sparse_step` and `mlp_only_layers` make layers with a dense MLP, `mlp`, of
    `intermediate_size`."""

    @property
    def routers(self) -> tuple[str, ...]:
        """Names of the layers that no quantisation replaces."""
        return ("gate", "shared_expert_gate") if self.shared else ("gate",)

    def in_layer(self, config: Mapping[str, Any], layer: int) -> bool:
        """Return whether a layer has experts, not a dense MLP."""
        if not self.some_layers:
            return True
        step = config.get("decoder_sparse_step") or 1
        return layer not in (config.get("mlp_only_layers") or ()) and (layer + 1) % step == 0


@dataclass(frozen=True)
class Layout:
    """The tensors of one layer, as far as families differ."""

    qkv_bias: bool = False
    """Whether query, key and value always have biases."""
    attention_bias_member: bool = False
    """Whether `attention_bias` of the configuration adds biases to query, key and value."""
    output_bias_member: bool = False
    """Whether it adds one to the output projection, too."""
    mlp_bias_member: bool = False
    """Whether `mlp_bias` of the configuration adds biases to the MLP."""
    qk_norm: QkNorm = QkNorm.NONE
    norms: tuple[str, ...] = ("input_layernorm", "post_attention_layernorm")
    """Norms of the hidden state."""
    read_by: tuple[str, str] | None = ("input_layernorm", "post_attention_layernorm")
    """Norms whose output attention and MLP read; None if they read the hidden state itself."""
    norm_offset: float = 0.0
    """What is added to the weights of norms."""
    fused_qkv: bool = False
    """Whether query, key and value are one tensor."""
    fused_gate_up: bool = False
    """Whether gate and up projections are one tensor."""
    rotary_buffers: bool = False
    """Whether old writers saved `rotary_emb.inv_freq`, which engines ignore."""
    experts: Experts | None = None

    def expected_tensors(self, config: Mapping[str, Any]) -> ExpectedTensors:
        """Return the tensors of a checkpoint with this configuration, which must have been checked."""
        hidden, vocabulary = config["hidden_size"], config["vocab_size"]
        required: dict[str, Shape] = {"model.embed_tokens.weight": (vocabulary, hidden), "model.norm.weight": (hidden,)}
        optional: dict[str, Shape] = {}
        tied = config.get("tie_word_embeddings", False)
        (optional if tied else required)[HEAD] = (vocabulary, hidden)
        linear: set[str] = set()
        attention = list(self._attention(config))
        norms = dict.fromkeys(self.norms, (hidden,)) | self._head_norms(config)
        for layer in range(config["num_hidden_layers"]):
            prefix = f"model.layers.{layer}."
            required |= {f"{prefix}{name}.weight": shape for name, shape in norms.items()}
            for name, shape, bias in (*attention, *self._mlp(config, layer)):
                required[f"{prefix}{name}.weight"] = shape
                linear.add(f"{prefix}{name}.weight")
                if bias:
                    required[f"{prefix}{name}.bias"] = shape[:1]
            required |= {f"{prefix}{name}.weight": shape for name, shape in self._routers(config, layer)}
            if self.rotary_buffers:
                optional[f"{prefix}self_attn.rotary_emb.inv_freq"] = (head_dim(config) // 2,)
        return ExpectedTensors(required, optional, frozenset(linear))

    def _attention(self, config: Mapping[str, Any]) -> Iterator[tuple[str, Shape, bool]]:
        """Yield name, shape and whether there is a bias, of each projection."""
        hidden, (query, key_value) = config["hidden_size"], _widths(config)
        stated = bool(config.get("attention_bias"))
        bias = self.qkv_bias or (self.attention_bias_member and stated)
        if self.fused_qkv:
            yield "self_attn.qkv_proj", (query + 2 * key_value, hidden), bias
        else:
            yield "self_attn.q_proj", (query, hidden), bias
            yield "self_attn.k_proj", (key_value, hidden), bias
            yield "self_attn.v_proj", (key_value, hidden), bias
        yield "self_attn.o_proj", (hidden, query), self.output_bias_member and stated

    def _head_norms(self, config: Mapping[str, Any]) -> dict[str, Shape]:
        query, key_value = _widths(config) if self.qk_norm is QkNorm.WIDTH else (head_dim(config),) * 2
        return {"self_attn.q_norm": (query,), "self_attn.k_norm": (key_value,)} if self.qk_norm else {}

    def _mlp(self, config: Mapping[str, Any], layer: int) -> Iterator[tuple[str, Shape, bool]]:
        experts, hidden = self.experts, config["hidden_size"]
        if experts is None or not experts.in_layer(config, layer):
            bias = self.mlp_bias_member and bool(config.get("mlp_bias"))
            yield from _projections("mlp", config["intermediate_size"], hidden, bias=bias, fused=self.fused_gate_up)
            return
        gate, up, down = experts.projections
        width = config[experts.width]
        for number in range(config[experts.count]):
            expert = f"{experts.block}.experts.{number}"
            yield f"{expert}.{gate}", (width, hidden), False
            yield f"{expert}.{up}", (width, hidden), False
            yield f"{expert}.{down}", (hidden, width), False
        if experts.shared and config[experts.shared]:
            yield from _projections(f"{experts.block}.shared_expert", config[experts.shared], hidden)

    def _routers(self, config: Mapping[str, Any], layer: int) -> Iterator[tuple[str, Shape]]:
        experts, hidden = self.experts, config["hidden_size"]
        if experts is None or not experts.in_layer(config, layer):
            return
        yield f"{experts.block}.gate", (config[experts.count], hidden)
        if experts.shared and config[experts.shared]:
            yield f"{experts.block}.shared_expert_gate", (1, hidden)

    def inner_width(self, config: Mapping[str, Any]) -> int:
        """Return the widest inner layer that a token passes; in a mixture that of the selected experts together."""
        experts = self.experts
        if experts is None:
            return int(config["intermediate_size"])
        width = config["num_experts_per_tok"] * config[experts.width]
        return int(width + (config[experts.shared] if experts.shared else 0))

    def split_widths(self, config: Mapping[str, Any]) -> list[int]:
        """Return the inner widths that an engine splits over devices, each of which must be divisible."""
        experts = self.experts
        if experts is None:
            return [config["intermediate_size"]]
        layers = range(config["num_hidden_layers"])
        dense = [] if all(experts.in_layer(config, layer) for layer in layers) else [config["intermediate_size"]]
        shared = [config[experts.shared]] if experts.shared and config[experts.shared] else []
        return [config[experts.width], *shared, *dense]


def _projections(
    block: str, inner: int, hidden: int, *, bias: bool = False, fused: bool = False
) -> Iterator[tuple[str, Shape, bool]]:
    if fused:
        yield f"{block}.gate_up_proj", (2 * inner, hidden), bias
    else:
        yield f"{block}.gate_proj", (inner, hidden), bias
        yield f"{block}.up_proj", (inner, hidden), bias
    yield f"{block}.down_proj", (hidden, inner), bias


def _widths(config: Mapping[str, Any]) -> tuple[int, int]:
    """Return the widths of all queries, and of all keys or values."""
    head = head_dim(config)
    return config["num_attention_heads"] * head, key_value_heads(config) * head


def head_dim(config: Mapping[str, Any]) -> int:
    """Return the size of one attention head."""
    return int(config.get("head_dim") or config["hidden_size"] // config["num_attention_heads"])


def key_value_heads(config: Mapping[str, Any]) -> int:
    """Return the number of key-value heads."""
    return int(config.get("num_key_value_heads") or config["num_attention_heads"])
