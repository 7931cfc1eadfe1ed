"""Published configurations of well-known models, as far as the tensors depend on them, and their numbers of parameters.

Numbers are facts from the models' public pages, one of them rounded to a hundred million.
"""

from __future__ import annotations

from typing import Any


def _sizes(
    hidden: int, inner: int, layers: int, heads: int, groups: int, vocabulary: int, positions: int, **others: Any
) -> dict[str, Any]:
    return {
        "hidden_size": hidden,
        "intermediate_size": inner,
        "num_hidden_layers": layers,
        "num_attention_heads": heads,
        "num_key_value_heads": groups,
        "vocab_size": vocabulary,
        "max_position_embeddings": positions,
        **others,
    }


_TIED = {"tie_word_embeddings": True}
_TANH = "gelu_pytorch_tanh"
_GEMMA_2 = {"head_dim": 256, "query_pre_attn_scalar": 256, "sliding_window": 4096, "attn_logit_softcapping": 50.0,
            "final_logit_softcapping": 30.0, "hidden_activation": _TANH, "hidden_act": _TANH}  # fmt: skip
_GEMMA_3 = {"head_dim": 256, "query_pre_attn_scalar": 256, "sliding_window_pattern": 6, "rope_theta": 1000000,
            "rope_local_base_freq": 10000, "attn_logit_softcapping": None, "final_logit_softcapping": None,
            "hidden_activation": "gelu_pytorch_tanh", "rope_scaling": None, "sliding_window": 512}  # fmt: skip
_FAR = {**_GEMMA_3, "rope_scaling": {"factor": 8.0, "rope_type": "linear"}, "sliding_window": 1024}
_LONGROPE = {"type": "longrope", "short_factor": [1.0] * 48, "long_factor": [1.0, *[30.5] * 47]}
_MULTIPLIERS = {"embedding_multiplier": 12.0, "residual_multiplier": 0.22, "attention_bias": False, "mlp_bias": False}
_MOE = {"decoder_sparse_step": 1, "output_router_logits": False, "router_aux_loss_coef": 0.001}
_QWEN = {"rope_theta": 1000000.0, "use_sliding_window": False, "sliding_window": None}
_A3B: dict[str, Any] = {
    **_MOE, **_QWEN, "head_dim": 128, "num_experts": 128, "num_experts_per_tok": 8, "norm_topk_prob": True,
    "mlp_only_layers": [], "attention_bias": False,
}  # fmt: skip
_ROPE_3 = {"rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
           "original_max_position_embeddings": 8192}  # fmt: skip
_YARN = {"rope_type": "yarn", "factor": 8.0, "attention_factor": 1.2079441541679836, "beta_fast": 32.0,
         "beta_slow": 1.0, "original_max_position_embeddings": 8192}  # fmt: skip
_WINDOW_OF_FOUR = ["sliding_attention", "sliding_attention", "sliding_attention", "full_attention"]

PUBLISHED: dict[str, tuple[str, dict[str, Any], int]] = {
    "Llama 3.1 8B": (
        "LlamaForCausalLM",
        _sizes(4096, 14336, 32, 32, 8, 128256, 131072, rope_theta=500000.0, rope_scaling=_ROPE_3),
        8_030_261_248,
    ),
    "Llama 3 8B for a million positions": (
        "LlamaForCausalLM",
        _sizes(4096, 14336, 32, 32, 8, 128256, 1048576, rope_theta=3580165449.0),
        8_030_261_248,
    ),
    "Falcon 3 1B": (
        "LlamaForCausalLM",
        _sizes(2048, 8192, 18, 8, 4, 131072, 8192, head_dim=256, rope_theta=1000042),
        1_669_408_768,
    ),
    "Falcon 3 7B": (
        "LlamaForCausalLM",
        _sizes(3072, 23040, 28, 12, 4, 131072, 32768, head_dim=256, rope_theta=1000042),
        7_455_550_464,
    ),
    "Mistral 7B": (
        "MistralForCausalLM",
        _sizes(4096, 14336, 32, 32, 8, 32000, 32768, sliding_window=4096),
        7_241_732_096,
    ),
    "Mistral Nemo": (
        "MistralForCausalLM",
        _sizes(5120, 14336, 40, 32, 8, 131072, 1024000, head_dim=128),
        12_247_782_400,
    ),
    "Qwen 2.5 7B": ("Qwen2ForCausalLM", _sizes(3584, 18944, 28, 28, 4, 152064, 32768, **_QWEN), 7_615_616_512),
    "Qwen 3 8B": (
        "Qwen3ForCausalLM",
        _sizes(4096, 12288, 36, 32, 8, 151936, 40960, head_dim=128, **_QWEN),
        8_190_735_360,
    ),
    "Gemma 2B": (
        "GemmaForCausalLM",
        _sizes(2048, 16384, 18, 8, 1, 256000, 8192, head_dim=256, hidden_act="gelu", hidden_activation=None),
        2_506_172_416,
    ),
    "Gemma 7B": (
        "GemmaForCausalLM",
        _sizes(3072, 24576, 28, 16, 16, 256000, 8192, head_dim=256, hidden_act="gelu_pytorch_tanh"),
        8_537_680_896,
    ),
    "Gemma 2 2B": ("Gemma2ForCausalLM", _sizes(2304, 9216, 26, 8, 4, 256000, 8192, **_GEMMA_2), 2_614_341_888),
    "Gemma 2 9B": ("Gemma2ForCausalLM", _sizes(3584, 14336, 42, 16, 8, 256000, 8192, **_GEMMA_2), 9_241_705_984),
    "Gemma 2 27B": (
        "Gemma2ForCausalLM",
        _sizes(4608, 36864, 46, 32, 16, 256000, 8192, **{**_GEMMA_2, "head_dim": 128, "query_pre_attn_scalar": 144}),
        27_227_128_320,
    ),
    "Gemma 3 270M": ("Gemma3ForCausalLM", _sizes(640, 2048, 18, 4, 1, 262144, 32768, **_GEMMA_3), 268_098_176),
    "Gemma 3 1B": ("Gemma3ForCausalLM", _sizes(1152, 6912, 26, 4, 1, 262144, 32768, **_GEMMA_3), 999_885_952),
    "Gemma 3 4B, text": ("Gemma3ForCausalLM", _sizes(2560, 10240, 34, 8, 4, 262208, 131072, **_FAR), 3_880_263_168),
    "Gemma 3 27B, text": (
        "Gemma3ForCausalLM",
        _sizes(5376, 21504, 62, 32, 16, 262208, 131072, **{**_FAR, "head_dim": 128, "query_pre_attn_scalar": 168}),
        27_009_346_304,
    ),
    "Phi 3 mini 4k": (
        "Phi3ForCausalLM",
        _sizes(3072, 8192, 32, 32, 32, 32064, 4096, sliding_window=2047, original_max_position_embeddings=4096),
        3_821_079_552,
    ),
    "Phi 3 mini 128k": (
        "Phi3ForCausalLM",
        _sizes(
            3072,
            8192,
            32,
            32,
            32,
            32064,
            131072,
            sliding_window=262144,
            original_max_position_embeddings=4096,
            rope_scaling={**_LONGROPE, "type": "su"},
        ),
        3_821_079_552,
    ),
    "Phi 4": (
        "Phi3ForCausalLM",
        _sizes(5120, 17920, 40, 40, 10, 100352, 16384, rope_theta=250000, original_max_position_embeddings=16384),
        14_659_507_200,
    ),
    "Phi 4 mini": (
        "Phi3ForCausalLM",
        _sizes(
            3072,
            8192,
            32,
            24,
            8,
            200064,
            131072,
            partial_rotary_factor=0.75,
            sliding_window=262144,
            original_max_position_embeddings=4096,
            rope_scaling=_LONGROPE,
            **_TIED,
        ),
        3_836_021_760,
    ),
    "Granite 3.3 8B": (
        "GraniteForCausalLM",
        _sizes(
            4096,
            12800,
            40,
            32,
            8,
            49159,
            131072,
            attention_multiplier=0.0078125,
            logits_scaling=16.0,
            rope_theta=10000000.0,
            **_MULTIPLIERS,
            **_TIED,
        ),
        8_170_864_640,
    ),
    "Granite 3.3 2B": (
        "GraniteForCausalLM",
        _sizes(
            2048,
            8192,
            40,
            32,
            8,
            49159,
            131072,
            attention_multiplier=0.015625,
            logits_scaling=8.0,
            rope_theta=10000000.0,
            **_MULTIPLIERS,
            **_TIED,
        ),
        2_533_539_840,
    ),
    "SmolLM3 3B": (
        "SmolLM3ForCausalLM",
        _sizes(
            2048,
            11008,
            36,
            16,
            4,
            128256,
            65536,
            rope_theta=5000000.0,
            no_rope_layers=[1, 1, 1, 0] * 9,
            no_rope_layer_interval=4,
            use_sliding_window=False,
            sliding_window=None,
            max_window_layers=28,
            layer_types=["full_attention"] * 36,
            rope_scaling=None,
        ),
        3_075_098_624,
    ),
    "OLMo 2 1B": ("Olmo2ForCausalLM", _sizes(2048, 8192, 16, 16, 16, 100352, 4096, rope_theta=500000), 1_484_916_736),
    "OLMo 2 7B": ("Olmo2ForCausalLM", _sizes(4096, 11008, 32, 32, 32, 100352, 4096, rope_theta=500000), 7_298_617_344),
    "OLMo 2 13B": (
        "Olmo2ForCausalLM",
        _sizes(5120, 13824, 40, 40, 40, 100352, 4096, rope_theta=500000),
        13_716_198_400,
    ),
    "OLMo 2 32B": ("Olmo2ForCausalLM", _sizes(5120, 27648, 64, 40, 8, 100352, 4096, rope_theta=500000), 32_234_279_936),
    "OLMo 3 7B": (
        "Olmo3ForCausalLM",
        _sizes(
            4096,
            11008,
            32,
            32,
            32,
            100278,
            65536,
            rope_theta=500000,
            rope_scaling=_YARN,
            sliding_window=4096,
            layer_types=_WINDOW_OF_FOUR * 8,
        ),
        7_298_011_136,
    ),
    "GLM 4 9B": (
        "Glm4ForCausalLM",
        _sizes(4096, 13696, 40, 32, 2, 151552, 32768, head_dim=128, attention_bias=True, partial_rotary_factor=0.5),
        9_400_279_040,
    ),
    "Mixtral 8x7B": (
        "MixtralForCausalLM",
        _sizes(
            4096,
            14336,
            32,
            32,
            8,
            32000,
            32768,
            num_local_experts=8,
            num_experts_per_tok=2,
            sliding_window=None,
            rope_theta=1000000.0,
        ),
        46_702_792_704,
    ),
    "Mixtral 8x22B": (
        "MixtralForCausalLM",
        _sizes(6144, 16384, 56, 48, 8, 32000, 65536, num_local_experts=8, num_experts_per_tok=2),
        140_620_634_112,
    ),
    "Qwen 1.5 MoE A2.7B": (
        "Qwen2MoeForCausalLM",
        _sizes(
            2048,
            5632,
            24,
            16,
            16,
            151936,
            8192,
            **_MOE,
            num_experts=60,
            num_experts_per_tok=4,
            moe_intermediate_size=1408,
            shared_expert_intermediate_size=5632,
            norm_topk_prob=False,
            max_window_layers=21,
            sliding_window=32768,
            use_sliding_window=False,
        ),
        14_315_784_192,
    ),
    "Qwen 2 57B A14B": (
        "Qwen2MoeForCausalLM",
        _sizes(
            3584,
            18944,
            28,
            28,
            4,
            151936,
            32768,
            **_MOE,
            num_experts=64,
            num_experts_per_tok=8,
            moe_intermediate_size=2560,
            shared_expert_intermediate_size=20480,
            norm_topk_prob=False,
        ),
        57_400_000_000,
    ),
    "Qwen 3 30B A3B": (
        "Qwen3MoeForCausalLM",
        _sizes(2048, 6144, 48, 32, 4, 151936, 40960, moe_intermediate_size=768, max_window_layers=48, **_A3B),
        30_532_122_624,
    ),
    "Qwen 3 235B A22B": (
        "Qwen3MoeForCausalLM",
        _sizes(4096, 12288, 94, 64, 4, 151936, 40960, moe_intermediate_size=1536, max_window_layers=94, **_A3B),
        235_093_634_560,
    ),
}
"""Architecture, members of config.json, and parameters with a tied head counted once, by model."""
