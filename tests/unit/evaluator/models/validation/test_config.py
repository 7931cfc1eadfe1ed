"""The configuration: proportions, numbers that the engine gets, the dtype of the weights."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bitagent_crds.conditions import Reason
from bitagent_evaluator.models.validation.architectures import ARCHITECTURES
from bitagent_evaluator.models.validation.config import HEAD_SIZES
from bitagent_evaluator.sandbox.protocol import Refused


@given(
    st.integers(32, 512),
    st.integers(32, 512),
    st.integers(1, 32),
    st.integers(1, 4),
    st.integers(1, 16),
    st.sampled_from(sorted(HEAD_SIZES)),
)
def test_parameters_bound_the_cache(
    synthetic: Any, hidden: int, inner: int, layers: int, groups: int, heads: int, head: int
) -> None:
    """What admission relies on: keys and values of a token are at most sqrt(2 * layers * parameters) numbers."""
    changes = {
        "hidden_size": hidden, "intermediate_size": inner, "num_hidden_layers": layers, "head_dim": head,
        "num_key_value_heads": heads, "num_attention_heads": heads * groups,
    }  # fmt: skip
    if heads * groups * head > 4 * hidden or heads * head > 2 * hidden or inner > 16 * hidden:
        with pytest.raises(Refused) as refused:
            synthetic.reduced("Qwen3ForCausalLM", **changes)
        assert "width of the" in refused.value.message
        return
    config = synthetic.reduced("Qwen3ForCausalLM", **changes)
    shapes = ARCHITECTURES["Qwen3ForCausalLM"].expected_tensors(config).required.values()
    assert 2 * layers * heads * head <= math.sqrt(2 * layers * sum(map(math.prod, shapes)))


@pytest.mark.parametrize(
    ("hidden", "inner", "heads", "groups", "head"),
    [
        (896, 4864, 14, 2, 64),
        (1024, 3072, 16, 8, 128),
        (2560, 9728, 32, 8, 128),
        (4096, 11008, 32, 32, 128),
        (5120, 14336, 32, 8, 128),
    ],
    ids=["Qwen2.5 0.5B", "Qwen3 0.6B", "Qwen3 4B", "Llama 2 7B", "Mistral Nemo"],
)
def test_known_proportions(synthetic: Any, hidden: int, inner: int, heads: int, groups: int, head: int) -> None:
    changes = {"num_attention_heads": heads, "num_key_value_heads": groups, "head_dim": head}
    synthetic.reduced("Qwen3ForCausalLM", hidden_size=hidden, intermediate_size=inner, **changes)


def test_a_default_head_size_counts_like_a_stated_one(synthetic: Any) -> None:
    """256 heads of 128 are 4 times as wide as a model of 8192; beside 1024 they are refused, not read as heads of 4."""
    changes = {"hidden_size": 1024, "intermediate_size": 1024, "num_attention_heads": 256, "num_key_value_heads": 256}
    with pytest.raises(Refused, match="width of the queries is 32768, allowed 4096"):
        synthetic.reduced("Qwen3ForCausalLM", **changes)


@pytest.mark.parametrize(
    ("changes", "resolved"),
    [
        ({}, {"num_key_value_heads": 2, "head_dim": 32}),
        ({"num_key_value_heads": None, "head_dim": None}, {"num_key_value_heads": 4, "head_dim": 32}),
        ({"head_dim": 64}, {"num_key_value_heads": 2, "head_dim": 64}),
    ],
    ids=["one stated", "none stated", "both stated"],
)
def test_the_engine_gets_the_numbers_that_were_checked(
    synthetic: Any, changes: dict[str, Any], resolved: dict[str, int]
) -> None:
    """Engines have defaults of their own: 32 or 8 key-value heads, heads of 128."""
    found = synthetic.reduced("LlamaForCausalLM", **changes)
    assert {key: found[key] for key in resolved} == resolved


@pytest.mark.parametrize(
    ("stored", "stated", "used"),
    [
        ("BF16", "float32", "bfloat16"),
        ("F16", "float32", "float16"),
        ("F32", "float32", "float32"),
        ("F32", "bfloat16", "bfloat16"),
    ],
)
def test_the_dtype_is_no_wider_than_the_stored_one(synthetic: Any, stored: str, stated: str, used: str) -> None:
    config = synthetic.config("Qwen2ForCausalLM", dtype=stated)
    found = synthetic.validate(config, synthetic.tensors(config, stored)).config
    assert found is not None and found["dtype"] == used


WINDOWS: dict[str, tuple[str, dict[str, Any], bool]] = {
    "types of both kinds": (
        "Qwen2ForCausalLM",
        {"layer_types": ["full_attention", "sliding_attention"], "sliding_window": 16, "max_window_layers": 1},
        False,
    ),
    "types of both kinds in qwen3": (
        "Qwen3ForCausalLM",
        {"layer_types": ["full_attention", "sliding_attention"], "sliding_window": 16},
        False,
    ),
    "from a layer on": (
        "Qwen2ForCausalLM",
        {"use_sliding_window": True, "sliding_window": 16, "max_window_layers": 1},
        False,
    ),
    "not in use": (
        "Qwen2ForCausalLM",
        {"use_sliding_window": False, "sliding_window": 16, "max_window_layers": 1},
        True,
    ),
    "in no layer": (
        "Qwen2ForCausalLM",
        {"use_sliding_window": True, "sliding_window": 16, "max_window_layers": 2},
        True,
    ),
    "in all layers": ("Qwen2ForCausalLM", {"layer_types": ["full_attention"] * 2, "max_window_layers": 0}, True),
    "both kinds where the engine has them": (
        "LlamaForCausalLM",
        {"layer_types": ["full_attention", "sliding_attention"], "sliding_window": 16},
        True,
    ),
}


@pytest.mark.parametrize(("architecture", "members", "sound"), WINDOWS.values(), ids=WINDOWS)
def test_windows_in_some_layers_are_refused_where_the_engine_does(
    synthetic: Any, architecture: str, members: dict[str, Any], sound: bool
) -> None:
    config = synthetic.config(architecture, **members)
    refusal = synthetic.validate(config, synthetic.tensors(config)).refusal
    assert (refusal is None) is sound
    assert sound or (refusal[0] is Reason.BAD_CONFIG and "sliding window" in refusal[1])


@pytest.mark.parametrize("base", [3580165449.0, 45_430_292_480, 1e12], ids=["million", "four million", "more"])
@pytest.mark.parametrize("member", ["rope_theta", "rope_parameters", "rope_scaling"])
def test_bases_of_long_contexts(synthetic: Any, base: float, member: str) -> None:
    value = base if member == "rope_theta" else {"rope_theta": base, "rope_type": "default"}
    config = synthetic.config(**{member: value})
    assert synthetic.validate(config, synthetic.tensors(config)).refusal is None
