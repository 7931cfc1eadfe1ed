"""The tensors that architectures call for, by headers alone; `architectures/` compares them with transformers."""

from __future__ import annotations

import math
from typing import Any

import pytest

from bitagent_crds.conditions import Reason
from bitagent_evaluator.models.validation.architectures import ARCHITECTURES, family_rows, find_architecture
from bitagent_evaluator.sandbox.protocol import Refused

CASES = {
    # architecture, changes, tensors per layer (2 norms, 7 projections, biases and head norms), tied
    "qwen2": ("Qwen2ForCausalLM", {}, 12),
    "qwen2 tied": ("Qwen2ForCausalLM", {"tie_word_embeddings": True}, 12),
    "llama": ("LlamaForCausalLM", {}, 9),
    "llama with biases": ("LlamaForCausalLM", {"attention_bias": True, "mlp_bias": True}, 16),
    "mistral": ("MistralForCausalLM", {"sliding_window": None}, 9),
    "qwen3": ("Qwen3ForCausalLM", {"head_dim": 32}, 11),
}


@pytest.mark.parametrize(("architecture", "changes", "per_layer"), CASES.values(), ids=CASES.keys())
def test_architecture(synthetic: Any, architecture: str, changes: dict[str, Any], per_layer: int) -> None:
    config = synthetic.config(architecture, **changes)
    tensors = synthetic.tensors(config)
    assert len(tensors) == 2 * per_layer + (2 if changes.get("tie_word_embeddings") else 3)
    result = synthetic.validate(config, tensors)
    assert result.refusal is None
    assert result.parameters == sum(math.prod(shape) for _, shape in tensors.values())
    for name in tensors:
        without = {key: value for key, value in tensors.items() if key != name}
        refusal = synthetic.validate(config, without).refusal
        assert refusal is not None and refusal[0] is Reason.CORRUPT_WEIGHTS, name


def test_a_head_may_be_beside_tied_embeddings_and_counts(synthetic: Any) -> None:
    config = synthetic.config("Qwen2ForCausalLM", tie_word_embeddings=True)
    tensors = synthetic.tensors(config)
    both = {**tensors, "lm_head.weight": ("BF16", (640, 128))}
    with_head, without = synthetic.validate(config, both), synthetic.validate(config, tensors)
    assert with_head.refusal is None and with_head.head_beside_tied and not without.head_beside_tied
    assert with_head.parameters == without.parameters + 640 * 128
    assert with_head.memory["numbers"] == without.memory["numbers"] + 640 * 128


def test_qwen3_head_size_defaults_to_128(synthetic: Any) -> None:
    config = synthetic.config("Qwen3ForCausalLM")
    assert synthetic.tensors(config)["model.layers.0.self_attn.q_norm.weight"] == ("BF16", (128,))
    assert synthetic.validate(config, synthetic.tensors(config)).refusal is None


def test_every_architecture_is_found_by_its_name_and_names_its_family() -> None:
    for name, architecture in ARCHITECTURES.items():
        assert find_architecture({"architectures": [name], "model_type": architecture.model_type}) is architecture
        assert architecture.family


@pytest.mark.parametrize("names", [None, [], "LlamaForCausalLM", ["LlamaForCausalLM"] * 2, [["LlamaForCausalLM"]]])
def test_other_forms_of_a_name_are_refused(names: Any) -> None:
    with pytest.raises(Refused) as refused:
        find_architecture({"architectures": names, "model_type": "llama"})
    assert refused.value.reason == Reason.UNSUPPORTED_ARCHITECTURE


def test_table_of_families_has_a_row_for_each() -> None:
    headings, *rows = family_rows()
    assert {len(row) for row in rows} == {len(headings)}
    assert [row[1] for row in rows] == list(ARCHITECTURES)
    assert ("Qwen3", "Qwen3ForCausalLM", "qwen3", "no", "AWQ, GPTQ, compressed-tensors") in rows
    assert {("on GPUs" in row[4], row[3]) for row in rows} == {(True, "yes"), (False, "no")}


def test_a_multimodal_model_is_told_what_to_save() -> None:
    with pytest.raises(Refused, match="save the language model") as refused:
        find_architecture({"architectures": ["Gemma3ForConditionalGeneration"], "model_type": "gemma3"})
    assert refused.value.reason == Reason.UNSUPPORTED_ARCHITECTURE
