"""Mixtures of experts. Sources: the families' published configurations, transformers 5.19 and vLLM 0.32.

Checkpoints have the tensors of each expert under its number, as transformers saves them; engines join them when they
load. All experts count as parameters and in memory, although a token passes a few of them.
"""

from __future__ import annotations

from bitagent_evaluator.models.validation.architectures.family import Architecture, Members, Windows
from bitagent_evaluator.models.validation.architectures.layout import Experts, Layout, QkNorm

_EXPERT = ("gate_proj", "up_proj", "down_proj")
_COUNT = (2, 1024)
_WIDTH = (32, 65_536)
_CHOSEN = {"num_experts_per_tok": (1, 64)}

MIXTURES = (
    Architecture(
        "MixtralForCausalLM",
        "mixtral",
        "Mixtral",
        Layout(
            rotary_buffers=True,
            experts=Experts("block_sparse_moe", ("w1", "w3", "w2"), "num_local_experts", "intermediate_size"),
        ),
        defaults={"num_local_experts": 8, "num_experts_per_tok": 2},
        members=Members(
            integers={**_CHOSEN, "num_local_experts": _COUNT}, aliases={"num_experts": "num_local_experts"}
        ),
        windows=Windows.ALL,
    ),
    Architecture(
        "Qwen2MoeForCausalLM",
        "qwen2_moe",
        "Qwen1.5-MoE and Qwen2 (A14B)",
        Layout(
            qkv_bias=True,
            experts=Experts(
                *("mlp", _EXPERT, "num_experts", "moe_intermediate_size", "shared_expert_intermediate_size"),
                some_layers=True,
            ),
        ),
        members=Members(
            integers={
                **_CHOSEN,
                "num_experts": _COUNT,
                "moe_intermediate_size": _WIDTH,
                "shared_expert_intermediate_size": _WIDTH,
                "decoder_sparse_step": (1, 160),
            },
            flags=frozenset({"norm_topk_prob"}),
            required=frozenset(
                {"num_experts", "num_experts_per_tok", "moe_intermediate_size", "shared_expert_intermediate_size"}
            ),
            layer_lists=frozenset({"mlp_only_layers"}),
        ),
        windows=Windows.ONE_KIND,
        free_heads=False,
    ),
    Architecture(
        "Qwen3MoeForCausalLM",
        "qwen3_moe",
        "Qwen3 (A3B, A22B)",
        Layout(
            qk_norm=QkNorm.HEAD,
            experts=Experts("mlp", _EXPERT, "num_experts", "moe_intermediate_size", some_layers=True),
        ),
        members=Members(
            integers={
                **_CHOSEN,
                "num_experts": _COUNT,
                "moe_intermediate_size": _WIDTH,
                "decoder_sparse_step": (1, 160),
            },
            flags=frozenset({"norm_topk_prob"}),
            required=frozenset({"num_experts", "num_experts_per_tok", "moe_intermediate_size"}),
            layer_lists=frozenset({"mlp_only_layers"}),
            aliases={"num_local_experts": "num_experts"},
        ),
        windows=Windows.ONE_KIND,
    ),
)
"""Architectures whose layers have experts."""
