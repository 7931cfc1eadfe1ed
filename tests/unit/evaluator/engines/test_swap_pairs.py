"""Every ordered pair of tiny variants: which of them may share an engine, decided from their files."""

from __future__ import annotations

import functools
import itertools
import json
from pathlib import Path
from typing import Any

import pytest

from bitagent_crds.minermodel import EngineChoices
from bitagent_evaluator.engines.head import HeadSource, head_source
from bitagent_evaluator.engines.plan import Hardware, plan_engine
from bitagent_evaluator.engines.swap import Footprint, footprint, incompatibility, with_headroom
from bitagent_evaluator.models.checkpoint import model_tensors
from bitagent_evaluator.models.values import stored_tensors

SHARING = (
    {"tied", "tied, other weights"},
    {"equal head", "equal head, other weights"},
    {"own head", "own head, other weights"},
    {"untied", "untied, equal head"},
)
"""Variants that may share an engine; all others have one of their own."""


def equal(model: Path) -> bool:
    """Whether head and embeddings are equal bit for bit."""
    head, embeddings = (
        b"".join(part.tobytes() for part in stored_tensors(model)[name].parts())
        for name in ("lm_head.weight", "model.embed_tokens.weight")
    )
    return head == embeddings


@pytest.fixture(scope="session")
def footprints(variants: dict[str, Path]) -> dict[str, Footprint]:
    found = {}
    for name, model in variants.items():
        config = json.loads((model / "config.json").read_text())
        plan = plan_engine(config, EngineChoices(), Hardware(0, "CPU"), lengths=[100], max_tokens=60)
        tensors = model_tensors(model)
        found[name] = footprint(tensors, plan, head_source(tensors, config, functools.partial(equal, model)))
    return found


def test_only_variants_of_which_the_engine_decides_alike_share_it(footprints: dict[str, Footprint]) -> None:
    pairs = itertools.product(footprints, repeat=2)
    allowed = {(one, other) for one, other in pairs if not incompatibility(footprints[one], footprints[other])}
    assert allowed == {(one, other) for group in SHARING for one in group for other in group} | {
        (name, name) for name in footprints if name != "GPTQ" and not any(name in group for group in SHARING)
    }


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("tied", HeadSource.TIED), ("equal head", HeadSource.EQUAL), ("own head", HeadSource.OWN),
        ("untied", HeadSource.UNTIED), ("untied, equal head", HeadSource.UNTIED), ("GPTQ", HeadSource.TIED),
    ],
)  # fmt: skip
def test_source_of_the_head(footprints: dict[str, Footprint], name: str, expected: HeadSource) -> None:
    assert footprints[name].head is expected


def test_values_are_read_only_where_they_decide(variants: dict[str, Path]) -> None:
    def fails() -> bool:
        raise AssertionError("it was asked")

    for name in ("tied", "untied", "untied, equal head", "GPTQ"):
        config = json.loads((variants[name] / "config.json").read_text())
        head_source(model_tensors(variants[name]), config, fails)


@pytest.mark.parametrize(
    "member",
    [
        # Of all families: factors of logits and layers, windows, rotary positions, experts.
        "attention_bias", "attention_multiplier", "attn_logit_softcapping", "embedding_multiplier", "eos_token_id",
        "final_logit_softcapping", "hidden_act", "layer_types", "logits_scaling", "max_window_layers", "mlp_bias",
        "model_type", "no_rope_layers", "norm_topk_prob", "num_experts_per_tok", "partial_rotary_factor",
        "query_pre_attn_scalar", "residual_multiplier", "rms_norm_eps", "rope_local_base_freq", "rope_parameters",
        "rope_scaling", "rope_theta", "sliding_window", "sliding_window_pattern", "tie_word_embeddings",
        "use_sliding_window",
    ],
)  # fmt: skip
def test_every_member_that_an_engine_reads_when_it_starts_counts(footprints: dict[str, Footprint], member: str) -> None:
    tied = footprints["tied"]
    other = Footprint(tied.tensors, {**tied.config, member: {"changed": 1}}, tied.arguments, tied.head)
    assert member in incompatibility(tied, other) and member in incompatibility(other, tied)


LONGROPE = {"rope_type": "longrope", "short_factor": [1.0] * 16, "long_factor": [2.0] * 16}


@pytest.mark.parametrize(
    ("config", "depends"),
    [
        pytest.param({"rope_scaling": LONGROPE}, True, id="longrope"),
        pytest.param({"rope_parameters": LONGROPE}, True, id="longrope, new name"),
        pytest.param({"rope_parameters": {"full_attention": LONGROPE}}, True, id="longrope in some layers"),
        pytest.param({"rope_parameters": {"rope_type": "unheard of"}}, True, id="unknown"),
        pytest.param({"rope_scaling": {"rope_type": "llama3", "factor": 8.0}}, False, id="llama3"),
        pytest.param(
            {"rope_parameters": {"full_attention": {"rope_type": "linear"}}}, False, id="linear in some layers"
        ),
    ],
)
def test_a_length_that_scales_rotary_positions_is_no_limit(config: dict[str, Any], depends: bool) -> None:
    """The engine takes longrope's short or long factors by `max_model_len`, once: headroom would change the answers."""
    shape = {
        "architectures": ["Phi3ForCausalLM"], "hidden_size": 96, "intermediate_size": 288, "num_hidden_layers": 3,
        "num_attention_heads": 3, "vocab_size": 640, "max_position_embeddings": 2048,
    }  # fmt: skip
    short, long = (
        plan_engine(shape | config, EngineChoices(), Hardware(1, "GPU"), lengths=[length], max_tokens=60)
        for length in (100, 300)
    )
    running, other = (footprint({}, plan, HeadSource.UNTIED) for plan in (long, short))
    assert (incompatibility(running, other) != "") is depends
    assert (with_headroom(short) == short) is depends


def test_experts_have_an_engine_of_their_own(footprints: dict[str, Footprint]) -> None:
    """Kernels for experts store weights in an order of their own, which cannot be compared with the files."""
    tied = footprints["tied"]
    tensors = {**tied.tensors, "model.layers.0.mlp.experts.0.up_proj.weight": ("BF16", (288, 96))}
    mixture = Footprint(tensors, tied.config, tied.arguments, tied.head)
    assert "experts" in incompatibility(mixture, mixture)
