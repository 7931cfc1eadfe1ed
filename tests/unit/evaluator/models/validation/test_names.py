"""What tensor names say about how a checkpoint was saved."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from bitagent_crds.conditions import Reason
from bitagent_evaluator.models.validation.names import explain_names

LINEAR = [f"model.layers.{i}.self_attn.{part}_proj.weight" for i in range(3) for part in "qkvo"]
NAMES = ["model.embed_tokens.weight", "model.norm.weight", *LINEAR]

PREFIXES: dict[str, tuple[Callable[[str], str], str]] = {
    "peft": (lambda name: "base_model.model." + name, "merge_and_unload"),
    "compiled": (lambda name: "_orig_mod." + name, "torch.compile"),
    "data parallel": (lambda name: "module." + name, "model.module"),
    "compiled and parallel": (lambda name: "module._orig_mod." + name, "'module._orig_mod.'"),
    "multimodal parent": (lambda name: name.replace("model.", "model.language_model.", 1), "language model"),
    "older multimodal parent": (lambda name: "language_model." + name, "language model"),
    "value head": (lambda name: "pretrained_model." + name, "value head"),
    "no head": (lambda name: name.removeprefix("model."), "lack 'model.'"),
    "unknown wrapper": (lambda name: "inner.x." + name, "'inner.x.'"),
}


@pytest.mark.parametrize(("rename", "said"), PREFIXES.values(), ids=PREFIXES)
def test_prefix_of_a_wrapper_is_named(rename: Callable[[str], str], said: str) -> None:
    found = explain_names(NAMES, [rename(name) for name in NAMES])
    assert found is not None and found[0] is Reason.CORRUPT_WEIGHTS
    assert said in found[1]


PARTS = {
    "adapter not merged": (".weight", ".base_layer.weight", Reason.CORRUPT_WEIGHTS),
    "gptq without settings": (".weight", ".qweight", Reason.UNSUPPORTED_QUANTIZATION),
    "bitsandbytes": (".weight", ".weight.absmax", Reason.UNSUPPORTED_QUANTIZATION),
    "fp8": (".weight", ".weight_scale_inv", Reason.UNSUPPORTED_QUANTIZATION),
    "mlx": (".weight", ".biases", Reason.UNSUPPORTED_QUANTIZATION),
    "int8 of bitsandbytes": (".weight", ".SCB", Reason.UNSUPPORTED_QUANTIZATION),
    "fp8 with scales": (".weight", ".weight_scale", Reason.UNSUPPORTED_QUANTIZATION),
    "compressed-tensors without settings": (".weight", ".weight_packed", Reason.UNSUPPORTED_QUANTIZATION),
    "hqq": (".weight", ".W_q", Reason.UNSUPPORTED_QUANTIZATION),
    "aqlm": (".weight", ".codes", Reason.UNSUPPORTED_QUANTIZATION),
    "torchao": (".weight", ".weight_qdata", Reason.UNSUPPORTED_QUANTIZATION),
    "mxfp4": (".weight", ".weight_blocks", Reason.UNSUPPORTED_QUANTIZATION),
    "dora": (".weight", ".lora_magnitude_vector", Reason.CORRUPT_WEIGHTS),
    "modules to save": (".weight", ".modules_to_save.default.weight", Reason.CORRUPT_WEIGHTS),
    "pruning": (".weight", ".weight_mask", Reason.CORRUPT_WEIGHTS),
    "parametrisation": (".weight", ".parametrizations.weight.original", Reason.CORRUPT_WEIGHTS),
    "joined projections": (".q_proj.", ".qkv_proj.", Reason.CORRUPT_WEIGHTS),
    "another architecture": ("model.layers.", "transformer.h.", Reason.CORRUPT_WEIGHTS),
    "scales of the cache": (".weight", ".k_scale", Reason.UNSUPPORTED_QUANTIZATION),
}


@pytest.mark.parametrize(("old", "new", "reason"), PARTS.values(), ids=PARTS)
def test_names_of_another_form_are_named(old: str, new: str, reason: Reason) -> None:
    found = explain_names(LINEAR, [name.replace(old, new) for name in LINEAR])
    assert found is not None and found[0] is reason


@pytest.mark.parametrize("part", ["_fsdp_wrapped_module", "_checkpoint_wrapped_module", "_orig_mod"])
def test_wrappers_inside_the_names_are_named(part: str) -> None:
    found = explain_names(LINEAR, [name.replace(".self_attn", f".{part}.self_attn") for name in LINEAR])
    assert found is not None and found[0] is Reason.CORRUPT_WEIGHTS and "wrappers of training" in found[1]


LAYER = [f"model.layers.7.part{part}.weight" for part in range(9)]


@pytest.mark.parametrize(("missing", "surplus"), [(LAYER, []), ([], LAYER)], ids=["too few layers", "too many"])
def test_another_number_of_layers_is_named(missing: list[str], surplus: list[str]) -> None:
    found = explain_names(missing, surplus)
    assert found is not None and found[0] is Reason.CORRUPT_WEIGHTS
    assert "layers 7 to 7" in found[1] and "num_hidden_layers" in found[1]


def test_further_tensors_of_layers_that_are_there_say_nothing_of_their_number() -> None:
    assert explain_names([], [name.replace("part", "other") for name in LAYER], known=LAYER) is None


@pytest.mark.parametrize("number", ["9" * 5000, "٣"], ids=["more digits than Python reads", "digits of another script"])
def test_what_is_no_number_of_a_layer_explains_nothing(number: str) -> None:
    assert explain_names([], [f"model.layers.{number}.part{part}.weight" for part in range(9)]) is None


@pytest.mark.parametrize("missing", [LAYER[:3], [*LAYER, "model.layers.8.part0.weight"], [*LAYER, "lm_head.weight"]])
def test_a_part_of_a_layer_says_nothing_of_their_number(missing: list[str]) -> None:
    assert explain_names(missing, []) is None


HEADS = {
    "trl": ("v_head.summary.weight", "pretrained_model"),
    "trl, in a wrapper": ("pretrained_model.v_head.summary.bias", "pretrained_model"),
    "reward model": ("score.weight", "a head for other purposes"),
    "medusa": ("medusa_head.0.0.linear.weight", "a head for other purposes"),
    "draft layers": ("mtp.layers.0.input_layernorm.weight", "MTP"),
    "state of Transformer Engine": ("model.layers.0.mlp.up_proj._extra_state", "_extra_state"),
    "soft prompt": ("prompt_encoder.default.embedding.weight", "merge_and_unload"),
    "images": ("visual.blocks.0.attn.qkv.weight", "multimodal"),
    "projector": ("multi_modal_projector.linear_1.weight", "multimodal"),
}


@pytest.mark.parametrize(("name", "said"), HEADS.values(), ids=HEADS)
def test_other_parts_beside_a_sound_model_are_named(name: str, said: str) -> None:
    found = explain_names([], [name])
    assert found is not None and found[0] is Reason.CORRUPT_WEIGHTS and said in found[1]


@pytest.mark.parametrize("joined", ["mlp.experts.gate_up_proj", "block_sparse_moe.experts.w13_weight"])
def test_experts_in_one_tensor_are_named(joined: str) -> None:
    missing = [
        f"model.layers.0.mlp.experts.{number}.{part}_proj.weight" for number in range(3) for part in ("up", "down")
    ]
    found = explain_names(missing, [f"model.layers.0.{joined}"])
    assert found is not None and found[0] is Reason.CORRUPT_WEIGHTS and "in one tensor" in found[1]


@pytest.mark.parametrize("surplus", [[], ["a.b"], ["x." + NAMES[0]]], ids=["none", "unrelated", "too few"])
def test_other_names_say_nothing(surplus: list[str]) -> None:
    assert explain_names(NAMES, surplus) is None
