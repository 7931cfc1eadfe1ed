"""What tensor names say about how a checkpoint was saved, when they are not those of its architecture.

Wrappers put a prefix before every name (PEFT, torch.compile, data parallelism, a multimodal parent), quantisation and
other frameworks have names of their own. Only the message depends on this: the model is refused either way.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Mapping

from bitagent_crds.conditions import Reason
from bitagent_evaluator.models.validation.files import quote

_PREFIXES: Mapping[str, str] = {
    "base_model.model.": "PEFT's wrapper: save what merge_and_unload() returns",
    "_orig_mod.": "torch.compile: save model._orig_mod",
    "_fsdp_wrapped_module.": "FSDP: save the full state dict of the inner module",
    "ema_model.": "averaged weights: save the inner model with save_pretrained",
    "_forward_module.": "a trainer: save the inner model with save_pretrained",
    "module.": "data parallelism: save model.module",
    "pretrained_model.": "a value head's wrapper: save model.pretrained_model",
    "language_model.": "a multimodal parent: save its language model as a model of its own",
    "text_model.": "a multimodal parent: save its language model as a model of its own",
}
"""What a part of a prefix comes from, and the remedy."""

_PARTS: tuple[tuple[tuple[str, ...], Reason, str], ...] = (
    (
        (
            ".lora_A.",
            ".lora_B.",
            ".base_layer.",
            ".lora_embedding_A",
            ".lora_magnitude_vector",
            ".modules_to_save.",
            ".original_module.",
            "prompt_encoder.",
            ".ia3_l.",
        ),
        Reason.CORRUPT_WEIGHTS,
        "layers of an adapter are not merged: save what merge_and_unload() returns",
    ),
    (
        ("v_head.",),
        Reason.CORRUPT_WEIGHTS,
        "a value head of TRL was saved with the model (AutoModelForCausalLMWithValueHead): save model.pretrained_model",
    ),
    (
        ("score.weight", "classifier.weight", "reward_head.", "medusa_head", "regression_layer."),
        Reason.CORRUPT_WEIGHTS,
        "a head for other purposes was saved with the model (a classifier, a reward or a draft): save the "
        "...ForCausalLM without it",
    ),
    (
        ("vision_tower.", "visual.", "vision_model.", "multi_modal_projector.", "audio_tower."),
        Reason.CORRUPT_WEIGHTS,
        "the parts for images or sound of a multimodal model are there: save its language model as a model of its own",
    ),
    (
        (".quant_state.", ".absmax", ".quant_map", ".SCB"),
        Reason.UNSUPPORTED_QUANTIZATION,
        "the weights are quantised by bitsandbytes: merge into and save the model in 16 bits",
    ),
    (
        (".codes", ".codebooks", ".W_q", "_qdata", ".weight_blocks", "_blocks", "_scales", ".SU", ".Qidxs", ".trellis"),
        Reason.UNSUPPORTED_QUANTIZATION,
        "the weights are quantised by a method that is not read here (AQLM, HQQ, torchao, MXFP4 and others have such "
        "names): save the model in 16 bits, or quantise it by a method of docs/formats.md",
    ),
    (
        (".weight_orig", ".weight_mask"),
        Reason.CORRUPT_WEIGHTS,
        "the masks of a pruning are not applied: call torch.nn.utils.prune.remove on each layer, and save again",
    ),
    (
        (".parametrizations.",),
        Reason.CORRUPT_WEIGHTS,
        "parametrisations are not applied: call torch.nn.utils.parametrize.remove_parametrizations, and save again",
    ),
    (
        ("._extra_state",),
        Reason.CORRUPT_WEIGHTS,
        "states of Transformer Engine were saved with the model: leave out what ends in _extra_state",
    ),
    (
        ("mtp.", "mtp_layers.", "eagle.", ".enorm.", ".hnorm.", ".eh_proj."),
        Reason.CORRUPT_WEIGHTS,
        "layers that predict further tokens (MTP, EAGLE) were saved with the model: save it without them",
    ),
    (
        ("transformer.h.", "gpt_neox.", "decoder.layers.", "transformer.wte."),
        Reason.CORRUPT_WEIGHTS,
        "the names are those of another architecture (GPT-2, NeoX, Megatron): convert the weights to the architecture "
        "of config.json, or correct config.json",
    ),
    (
        (".k_scale", ".v_scale", ".kv_scale"),
        Reason.UNSUPPORTED_QUANTIZATION,
        "scales of an 8-bit key-value cache were saved with the model: save it without them",
    ),
    (
        (".qweight", ".qzeros"),
        Reason.UNSUPPORTED_QUANTIZATION,
        "the weights are packed as GPTQ and AWQ do, and neither quantization_config in config.json, nor "
        "quantize_config.json or quant_config.json says how: upload the settings of the quantisation",
    ),
    (
        (".weight_packed", ".weight_shape"),
        Reason.UNSUPPORTED_QUANTIZATION,
        "the weights are packed by compressed-tensors, and config.json has no quantization_config: upload the one that "
        "was saved with them",
    ),
    (
        (".scales", ".biases"),
        Reason.UNSUPPORTED_QUANTIZATION,
        "the weights are packed by MLX: dequantise with `mlx_lm.convert --dequantize`, and upload that",
    ),
    (
        (".experts.gate_up_proj", ".experts.down_proj", ".experts.w13", ".experts.w2_"),
        Reason.CORRUPT_WEIGHTS,
        "all experts of a layer are in one tensor: save with save_pretrained, which writes each under its number",
    ),
    (
        (".attention.wq.", "tok_embeddings."),
        Reason.CORRUPT_WEIGHTS,
        "the names are those of Mistral's or Meta's own code: convert the weights with the script of transformers",
    ),
    (
        ("blk.", "token_embd."),
        Reason.CORRUPT_WEIGHTS,
        "the names are those of llama.cpp: upload the model that was converted, in safetensors",
    ),
    (
        (".weight_scale_inv", ".input_scale", ".weight_scale"),
        Reason.UNSUPPORTED_QUANTIZATION,
        "the weights are quantised to 8 bits or fewer: save the model in 16 bits",
    ),
    (
        (".qkv_proj.", ".gate_up_proj."),
        Reason.CORRUPT_WEIGHTS,
        "projections are joined, as engines and training kernels have them, and this architecture has them apart: save "
        "the model with save_pretrained of transformers",
    ),
)
"""Parts of names, and what they mean: reason and message. The first that a surplus name has counts."""

_SHARE = 0.8
"""Share of the missing names that must be there under another prefix."""


def explain_names(
    missing: Collection[str], surplus: Collection[str], known: Collection[str] = ()
) -> tuple[Reason, str] | None:
    """Return why names are missing while others belong to no layer, with the remedy; None if that cannot be said.

    `known` are the names that the configuration calls for.
    """
    for parts, reason, message in _PARTS:
        found = sorted(name for name in surplus if any(part in name for part in parts))
        if found:
            return reason, f"{message} ({len(found)} tensors, such as {quote(found[0])})"
    prefix = _prefix(missing, surplus)
    if prefix is None:
        return _inner_wrappers(surplus) or _other_layers(missing, surplus, known)
    if not prefix:
        remedy = "the model without its head was saved: save the ...ForCausalLM that holds it"
        return Reason.CORRUPT_WEIGHTS, f"the names lack 'model.' at the front: {remedy}"
    remedy = next((text for part, text in _PREFIXES.items() if part in prefix), "save the inner model")
    return Reason.CORRUPT_WEIGHTS, f"the names begin with {quote(prefix)}, the prefix of a wrapper or parent; {remedy}"


_INNER_WRAPPERS = ("._fsdp_wrapped_module.", "._checkpoint_wrapped_module.", "._orig_mod.")
"""Wrappers of parts of a model, within the names."""


def _inner_wrappers(surplus: Collection[str]) -> tuple[Reason, str] | None:
    found = next((part for name in sorted(surplus) for part in _INNER_WRAPPERS if part in name), None)
    if found is None:
        return None
    advice = "save the model without them, such as with accelerator.unwrap_model(model).save_pretrained"
    return Reason.CORRUPT_WEIGHTS, f"wrappers of training are in the names ({found.strip('.')}): {advice}"


_LAYER = re.compile(r"model\.layers\.([0-9]{1,6})\.")
_LEAST_OF_A_LAYER = 6
"""Least number of names that are taken for all of a layer's."""


def _other_layers(
    missing: Collection[str], surplus: Collection[str], known: Collection[str]
) -> tuple[Reason, str] | None:
    """Return an explanation if only the number of layers is another than that of config.json; None otherwise."""
    names = missing or surplus
    found = [_LAYER.match(name) for name in names]
    counts = Counter(int(match[1]) for match in found if match is not None)
    layers = sorted(counts)
    whole = len(set(counts.values())) == 1 and counts.total() == len(found) >= _LEAST_OF_A_LAYER * len(layers)
    if (missing and surplus) or not whole:
        return None
    if surplus and any(match is not None and int(match[1]) in counts for match in map(_LAYER.match, known)):
        return None  # They are further tensors of layers that are there.
    if missing:
        advice = "upload what is missing, or set num_hidden_layers in config.json to the number of layers"
        return Reason.CORRUPT_WEIGHTS, f"they are all of layers {layers[0]} to {layers[-1]}: {advice}"
    return Reason.CORRUPT_WEIGHTS, (
        f"they are all of layers {layers[0]} to {layers[-1]}, which num_hidden_layers in config.json does not count: "
        "correct it, or save the model without layers that predict further tokens (MTP)"
    )


def _prefix(missing: Collection[str], surplus: Collection[str]) -> str | None:
    """Return the prefix under which most of the missing names are there; None without one.

    It comes before a name, or replaces its `model.`.
    """
    inner = {name.removeprefix("model.") for name in missing if name.startswith("model.")}
    prefixes: Counter[str] = Counter()
    for name in surplus:
        parts = name.split(".")
        for cut in range(min(len(parts), 8)):
            if ".".join(parts[cut:]) in inner:
                prefixes[".".join(parts[:cut]) + "." if cut else ""] += 1
                break
    if not prefixes:
        return None
    prefix, count = prefixes.most_common(1)[0]
    if count < _SHARE * len(inner):
        return None
    # "x.model.layers" is the prefix "x." before whole names; "x.layers" replaces "model.".
    return prefix.removesuffix("model.") if prefix.endswith(".model.") else prefix
