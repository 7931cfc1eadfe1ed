"""Dense decoders. Sources: the families' published configurations, transformers 5.19 and vLLM 0.32.

OLMo and SmolLM3 have no model of their own in vLLM; it runs that of transformers.
"""

from __future__ import annotations

from bitagent_evaluator.models.validation.architectures.family import (
    GELU,
    MULTIPLIER,
    SOFT_CAP,
    Architecture,
    Members,
    Rope,
    Windows,
)
from bitagent_evaluator.models.validation.architectures.layout import Layout, QkNorm

_FOUR_NORMS = (
    *("input_layernorm", "post_attention_layernorm"),
    *("pre_feedforward_layernorm", "post_feedforward_layernorm"),
)
_READ_BY_FOUR = ("input_layernorm", "pre_feedforward_layernorm")
_NORMS_AFTER = ("post_attention_layernorm", "post_feedforward_layernorm")
_GLM_NORMS = ("input_layernorm", "post_self_attn_layernorm", "post_attention_layernorm", "post_mlp_layernorm")
_GEMMA_DEFAULTS = {"head_dim": 256, "tie_word_embeddings": True}
_LONGROPE = frozenset({"default", "longrope"})

DENSE = (
    Architecture(
        "LlamaForCausalLM",
        "llama",
        "Llama 2 and 3, Falcon 3, SmolLM2",
        Layout(
            attention_bias_member=True,
            output_bias_member=True,
            mlp_bias_member=True,
            rotary_buffers=True,
        ),
        windows=Windows.LAYERS,
        heads_divide=True,
    ),
    Architecture(
        "MistralForCausalLM",
        "mistral",
        "Mistral",
        Layout(rotary_buffers=True),
        windows=Windows.LAYERS,
    ),
    Architecture(
        "Qwen2ForCausalLM",
        "qwen2",
        "Qwen2 and Qwen2.5",
        Layout(qkv_bias=True, rotary_buffers=True),
        windows=Windows.ONE_KIND,
        free_heads=False,
    ),
    Architecture(
        "Qwen3ForCausalLM",
        "qwen3",
        "Qwen3",
        Layout(qk_norm=QkNorm.HEAD, rotary_buffers=True),
        defaults={"head_dim": 128},
        windows=Windows.ONE_KIND,
    ),
    Architecture(
        "GemmaForCausalLM",
        "gemma",
        "Gemma",
        Layout(norm_offset=1.0),
        defaults=_GEMMA_DEFAULTS,
        # The first upload said "gelu", which engines read as the approximation that the model was trained with.
        activations={"hidden_act": ("gelu_pytorch_tanh", "gelu"), **GELU},
    ),
    Architecture(
        "Gemma2ForCausalLM",
        "gemma2",
        "Gemma 2",
        Layout(
            attention_bias_member=True,
            output_bias_member=True,
            norms=_FOUR_NORMS,
            read_by=_READ_BY_FOUR,
            norm_offset=1.0,
        ),
        defaults=_GEMMA_DEFAULTS,
        members=Members(
            integers={"query_pre_attn_scalar": (1, 4096)},
            numbers={"attn_logit_softcapping": SOFT_CAP, "final_logit_softcapping": SOFT_CAP},
        ),
        activations=GELU,
        windows=Windows.LAYERS,
        default_window=4096,
        full_every=2,
        heads_divide=True,
        always_tied=True,
        float16=False,
    ),
    Architecture(
        "Gemma3ForCausalLM",
        "gemma3_text",
        "Gemma 3 (text)",
        Layout(
            attention_bias_member=True,
            output_bias_member=True,
            norms=_FOUR_NORMS,
            read_by=_READ_BY_FOUR,
            norm_offset=1.0,
            qk_norm=QkNorm.HEAD,
        ),
        defaults=_GEMMA_DEFAULTS,
        members=Members(
            integers={"query_pre_attn_scalar": (1, 4096), "sliding_window_pattern": (1, 160)},
            numbers={"final_logit_softcapping": SOFT_CAP, "rope_local_base_freq": (10.0, 1e13)},
            aliases={"_sliding_window_pattern": "sliding_window_pattern"},
        ),
        activations=GELU,
        windows=Windows.LAYERS,
        default_window=4096,
        full_every=6,
        rope=Rope(by_layer_type=True),
        heads_divide=True,
        float16=False,
        # One tokenizer for all sizes; those without images have 262,144 rows, one less than it has tokens.
        tokens_beyond=frozenset({"<image_soft_token>"}),
    ),
    Architecture(
        "Phi3ForCausalLM",
        "phi3",
        "Phi-3, Phi-3.5 and Phi-4",
        Layout(fused_qkv=True, fused_gate_up=True),
        members=Members(
            integers={"original_max_position_embeddings": (128, 1 << 20)},
            numbers={"partial_rotary_factor": (0.25, 1.0)},
        ),
        windows=Windows.ALL,
        rope=Rope(types=_LONGROPE, aliases={"su": "longrope", "yarn": "longrope"}, least_share=0.25),
        free_heads=False,
    ),
    Architecture(
        "GraniteForCausalLM",
        "granite",
        "Granite 3",
        Layout(attention_bias_member=True, output_bias_member=True, mlp_bias_member=True),
        members=Members(
            numbers=dict.fromkeys(
                ("embedding_multiplier", "logits_scaling", "residual_multiplier", "attention_multiplier"), MULTIPLIER
            )
        ),
    ),
    Architecture(
        "SmolLM3ForCausalLM",
        "smollm3",
        "SmolLM3",
        Layout(attention_bias_member=True, output_bias_member=True, mlp_bias_member=True),
        defaults={"tie_word_embeddings": True},
        members=Members(integers={"no_rope_layer_interval": (1, 160)}, flag_per_layer=frozenset({"no_rope_layers"})),
        windows=Windows.LAYERS,
    ),
    Architecture(
        "Olmo2ForCausalLM",
        "olmo2",
        "OLMo 2",
        Layout(
            attention_bias_member=True, output_bias_member=True, norms=_NORMS_AFTER, read_by=None, qk_norm=QkNorm.WIDTH
        ),
    ),
    Architecture(
        "Olmo3ForCausalLM",
        "olmo3",
        "OLMo 3",
        Layout(
            attention_bias_member=True, output_bias_member=True, norms=_NORMS_AFTER, read_by=None, qk_norm=QkNorm.WIDTH
        ),
        windows=Windows.LAYERS,
        default_window=4096,
        full_every=4,
        rope=Rope(by_layer_type=True),
    ),
    Architecture(
        "Glm4ForCausalLM",
        "glm4",
        "GLM-4 (0414)",
        Layout(attention_bias_member=True, norms=_GLM_NORMS, fused_gate_up=True),
        defaults={"attention_bias": True, "head_dim": 128},
        members=Members(numbers={"partial_rotary_factor": (0.25, 1.0)}),
        rope=Rope(least_share=0.25),
        float16=False,
    ),
)
"""Architectures whose layers have one MLP."""
