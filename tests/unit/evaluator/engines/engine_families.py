"""A program for tests: a tiny random model of each family, answered by vLLM and by transformers.

python engine_families.py TOKENIZER_DIR FOLDER [NAME…]     prints what each answered, by family, or how it failed
"""

from __future__ import annotations

import gc
import json
import os
import shutil
import sys
import traceback
from pathlib import Path
from typing import Any

from bitagent_crds.minermodel import DType, EngineChoices
from bitagent_evaluator.engines.base import CompletionRequest
from bitagent_evaluator.engines.plan import plan_engine
from bitagent_evaluator.engines.vllm import VllmBackend
from bitagent_evaluator.models.validation.validate import validate_directory

SIZES: dict[str, Any] = {
    "hidden_size": 64, "intermediate_size": 96, "num_hidden_layers": 3, "num_attention_heads": 2,
    "num_key_value_heads": 1, "vocab_size": 640, "max_position_embeddings": 512, "bos_token_id": 1, "eos_token_id": 2,
    "pad_token_id": 0,
}  # fmt: skip
_HEAD = {"head_dim": 32}
_WINDOW = {"layer_types": ["sliding_attention", "full_attention", "sliding_attention"], "sliding_window": 16}
_LONGROPE = {
    "rope_type": "longrope", "rope_theta": 10000.0, "partial_rotary_factor": 0.75,
    "short_factor": [1.0 + 0.1 * number for number in range(12)], "long_factor": [2.0] * 12,
}  # fmt: skip
_EXPERTS = {"num_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 32, "norm_topk_prob": True}
FAMILIES: dict[str, tuple[str, dict[str, Any]]] = {
    "llama": ("llama", {"attention_bias": True, "mlp_bias": True}),
    "gemma": ("gemma", _HEAD),
    "gemma 2": ("gemma2", _HEAD | _WINDOW | {"query_pre_attn_scalar": 48, "attn_logit_softcapping": 20.0,
                                             "final_logit_softcapping": 30.0}),
    "gemma 3": ("gemma3_text", _HEAD | _WINDOW | {"query_pre_attn_scalar": 48, "rope_parameters": {
        "full_attention": {"rope_type": "linear", "factor": 2.0, "rope_theta": 500000.0},
        "sliding_attention": {"rope_type": "default", "rope_theta": 100.0}}}),
    "phi": ("phi3", {"original_max_position_embeddings": 256, "rope_parameters": _LONGROPE, "sliding_window": 16,
                     "tie_word_embeddings": True}),
    "glm 4": ("glm4", _HEAD | {"partial_rotary_factor": 0.5}),
    "granite": ("granite", {"embedding_multiplier": 3.0, "logits_scaling": 2.0, "residual_multiplier": 0.5,
                            "attention_multiplier": 0.3}),
    "smollm 3": ("smollm3", {"no_rope_layers": [1, 0, 1]}),
    "olmo 2": ("olmo2", {"attention_bias": True}),
    "olmo 3": ("olmo3", _WINDOW),
    "mixtral": ("mixtral", {"num_local_experts": 4, "num_experts_per_tok": 2}),
    "qwen2 moe": ("qwen2_moe", _EXPERTS | {"shared_expert_intermediate_size": 64, "decoder_sparse_step": 2}),
    "qwen3 moe": ("qwen3_moe", _EXPERTS | _HEAD | {"mlp_only_layers": [1], "norm_topk_prob": False}),
}  # fmt: skip
"""`model_type` and members that matter to the answers, by family."""
PROMPTS = [[1, 5 + number, *range(40, 70), 300 + number] for number in range(4)]
"""Longer than the windows."""
TOKENS = 12
NO_STOP = 639


def make(family: str, folder: Path, tokenizer: Path) -> Any:
    """A model of random weights, saved by transformers."""
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    kind, changes = FAMILIES[family]
    torch.manual_seed(7)
    model = AutoModelForCausalLM.from_config(
        AutoConfig.for_model(kind, **(SIZES | changes)), attn_implementation="eager"
    )
    model = model.float().eval()
    with torch.no_grad():
        for parameter in model.parameters():
            noise = torch.randn_like(parameter)
            parameter.copy_(noise * 0.2 if parameter.dim() > 1 else parameter + noise * 0.2)
    model.save_pretrained(folder)
    (folder / "generation_config.json").unlink(missing_ok=True)
    for name in ("tokenizer.json", "tokenizer_config.json"):
        shutil.copyfile(tokenizer / name, folder / name)
    return model


def answers_of_transformers(model: Any) -> list[list[int]]:
    """Greedy answers."""
    import torch

    with torch.no_grad():
        made = model.generate(
            torch.tensor(PROMPTS), do_sample=False, max_new_tokens=TOKENS, min_new_tokens=TOKENS, eos_token_id=NO_STOP
        )
    return [list(row[len(PROMPTS[0]) :]) for row in made.tolist()]


def answers_of_vllm(folder: Path, backend: VllmBackend) -> list[list[int]]:
    """Greedy answers of a model that was admitted."""
    checked = validate_directory(folder, max_bytes=1 << 30)
    if checked.config is None:
        raise ValueError(f"refused: {checked.refusal}")
    backend.prepare(folder)
    lengths = [len(prompt) for prompt in PROMPTS]
    plan = plan_engine(
        checked.config, EngineChoices(dtype=DType.FLOAT32), backend.hardware(), lengths=lengths, max_tokens=TOKENS
    )
    requests = [CompletionRequest(str(number), prompt, TOKENS) for number, prompt in enumerate(PROMPTS)]
    found: dict[str, list[int]] = {}
    with backend.start(folder, plan) as engine:
        for finished in engine.generate(requests, [NO_STOP]):
            found |= {completion.key: list(completion.token_ids) for completion in finished}
    return [found[request.key] for request in requests]


def main() -> None:
    """Answer with every family."""
    tokenizer, folder, names = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3:] or list(FAMILIES)
    backend = VllmBackend()
    outcome: dict[str, Any] = {}
    for family in names:
        try:
            made = make(family, folder / family, tokenizer)
            # In this order: vLLM changes classes of transformers that it computes with.
            expected = answers_of_transformers(made)
            outcome[family] = {"vllm": answers_of_vllm(folder / family, backend), "transformers": expected}
        except Exception:  # noqa: BLE001 - reported
            outcome[family] = {"failed": traceback.format_exc()[-1500:]}
        backend._close_engine()
        gc.freeze()  # what was imported: the collections of the next engine took most of the time
    sys.stdout.write("\n" + json.dumps(outcome) + "\n")
    sys.stdout.flush()
    os._exit(0)


if __name__ == "__main__":
    main()
