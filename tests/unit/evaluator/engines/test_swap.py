"""Which models a running engine can load, the headroom for them, and the exchange of weights."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bitagent_crds.minermodel import EngineChoices
from bitagent_evaluator.engines.head import HeadSource
from bitagent_evaluator.engines.plan import EnginePlan, Hardware, plan_engine
from bitagent_evaluator.engines.swap import (
    Footprint,
    SwapFailed,
    architecture_family,
    footprint,
    incompatibility,
    swap_weights,
    with_headroom,
)
from bitagent_evaluator.models.validation.weights import Tensor

CONFIG: dict[str, Any] = {
    "architectures": ["Qwen2ForCausalLM"],
    "hidden_size": 96,
    "num_hidden_layers": 3,
    "num_attention_heads": 3,
    "num_key_value_heads": 3,
    "vocab_size": 640,
    "max_position_embeddings": 160,
    "rope_theta": 10000.0,
    "eos_token_id": 2,
    "dtype": "bfloat16",
}
ARGUMENTS: dict[str, Any] = {"dtype": "bfloat16", "max_model_len": 160, "kv_cache_memory_bytes": 1000, "seed": 0}
YARN = {"rope_scaling": {"rope_type": "yarn", "factor": 4.0}}
QUANTISED = {"quantization_config": {"quant_method": "gptq"}}
NORM = {"model.norm.weight": ("BF16", (96,))}
TIED = HeadSource.TIED
RUNNING = Footprint({"model.embed_tokens.weight": ("BF16", (640, 96)), **NORM}, CONFIG, ARGUMENTS, TIED)


def changed(
    of: Footprint = RUNNING,
    *,
    tensors: dict[str, tuple[str, tuple[int, ...]]] | None = None,
    config: dict[str, Any] | None = None,
    arguments: dict[str, Any] | None = None,
    head: HeadSource = TIED,
) -> Footprint:
    return Footprint(
        {**of.tensors, **(tensors or {})}, {**of.config, **(config or {})}, {**of.arguments, **(arguments or {})}, head
    )


@pytest.mark.parametrize(
    ("running", "expected"),
    [
        pytest.param(RUNNING, RUNNING, id="equal"),
        pytest.param(RUNNING, changed(arguments={"max_model_len": 100}), id="shorter prompts"),
        pytest.param(RUNNING, changed(arguments={"kv_cache_memory_bytes": 999}), id="smaller cache"),
        pytest.param(RUNNING, changed(config={"max_position_embeddings": 100}), id="another table of positions"),
        pytest.param(
            RUNNING, changed(config={"bos_token_id": 7, "pad_token_id": 9}), id="tokens that only tokenizers use"
        ),
        pytest.param(RUNNING, changed(config={"dtype": "float16"}), id="what the configuration calls its format"),
    ],
)
def test_engine_is_kept(running: Footprint, expected: Footprint) -> None:
    assert incompatibility(running, expected) == ""


@pytest.mark.parametrize(
    ("running", "expected", "reason"),
    [
        pytest.param(changed(tensors={"x": ("BF16", (1,))}), RUNNING, "tensors differ, such as x", id="tensor missing"),
        pytest.param(RUNNING, changed(tensors={"x": ("BF16", (1,))}), "tensors differ, such as x", id="surplus tensor"),
        pytest.param(
            RUNNING, changed(tensors={"model.norm.weight": ("BF16", (97,))}), "model.norm.weight", id="another shape"
        ),
        pytest.param(
            RUNNING, changed(tensors={"model.norm.weight": ("F32", (96,))}), "model.norm.weight", id="another dtype"
        ),
        pytest.param(RUNNING, changed(config={"rope_theta": 1e6}), "rope_theta", id="another rotation"),
        pytest.param(RUNNING, changed(config={"eos_token_id": 3}), "eos_token_id", id="another end of answers"),
        pytest.param(RUNNING, changed(config={"head_dim": None}), "head_dim", id="a member more"),
        pytest.param(
            changed(config=YARN),
            changed(config=YARN | {"max_position_embeddings": 100}),
            "max_position_embeddings",
            id="positions that are computed with",
        ),
        pytest.param(RUNNING, changed(arguments={"dtype": "float32"}), "arguments differ: dtype", id="number format"),
        pytest.param(RUNNING, changed(arguments={"max_model_len": 161}), "too small: max_model_len", id="longer"),
        pytest.param(
            RUNNING, changed(arguments={"kv_cache_memory_bytes": 1001}), "too small: kv_cache", id="larger cache"
        ),
        pytest.param(RUNNING, changed(head=HeadSource.EQUAL), "head", id="another head"),
        pytest.param(changed(head=HeadSource.EQUAL), changed(head=HeadSource.OWN), "head", id="its own head"),
        pytest.param(changed(config=QUANTISED), changed(config=QUANTISED), "quantised", id="both quantised"),
        pytest.param(
            changed(arguments={"tensor_parallel_size": 2}),
            changed(arguments={"tensor_parallel_size": 2}),
            "several GPUs",
            id="split over GPUs",
        ),
    ],
)
def test_fresh_engine_is_started(running: Footprint, expected: Footprint, reason: str) -> None:
    assert reason in incompatibility(running, expected)


def test_footprint_is_of_headers_and_plan() -> None:
    plan = EnginePlan({"dtype": "bfloat16"}, {"hidden_size": 96}, "bfloat16")
    made = footprint({"a": Tensor("BF16", (2, 3), 10, 22), "b": Tensor("F32", (1,), 22, 26)}, plan, TIED)
    assert made == Footprint({"a": ("BF16", (2, 3)), "b": ("F32", (1,))}, plan.config, plan.arguments, TIED)


def planned(lengths: list[int], **config: Any) -> EnginePlan:
    return plan_engine(
        {**CONFIG, "max_position_embeddings": 2048, **config},
        EngineChoices(),
        Hardware(0, "CPU"),
        lengths=lengths,
        max_tokens=64,
    )


@pytest.mark.parametrize(
    ("lengths", "config", "length", "positions"),
    [
        pytest.param([100], {}, 512, 512, id="rounded up"),
        pytest.param([448], {}, 512, 512, id="already whole"),
        pytest.param([449], {}, 1024, 1024, id="one more"),
        pytest.param([100], YARN, 512, 2048, id="positions that are computed with stay"),
        pytest.param([100], YARN | {"max_position_embeddings": 300}, 300, 300, id="and bound the length"),
    ],
)
def test_headroom(lengths: list[int], config: dict[str, Any], length: int, positions: int) -> None:
    plan = with_headroom(planned(lengths, **config))
    assert (plan.arguments["max_model_len"], plan.config["max_position_embeddings"]) == (length, positions)


def test_an_engine_with_headroom_loads_models_with_longer_prompts() -> None:
    first, second = planned([100] * 400), planned([130] * 400)
    tight, roomy = (Footprint({}, plan.config, plan.arguments, TIED) for plan in (first, with_headroom(first)))
    expected = Footprint({}, second.config, second.arguments, TIED)
    assert "too small" in incompatibility(tight, expected)
    assert incompatibility(roomy, expected) == ""


def test_headroom_stays_within_the_bounds_of_a_cpus_cache() -> None:
    large = planned([100] * 4000, num_hidden_layers=48, num_attention_heads=32, num_key_value_heads=32, head_dim=128)
    assert large.arguments["kv_cache_memory_bytes"] == 4 << 30
    assert with_headroom(large).arguments["kv_cache_memory_bytes"] == 4 << 30


def test_family_is_what_may_share_an_engine() -> None:
    same = replace(
        EnginePlan({}, CONFIG, "bfloat16"), config={**CONFIG, "max_position_embeddings": 9, "pad_token_id": 5}
    )
    assert architecture_family(same.config) == architecture_family(CONFIG)
    assert architecture_family({**CONFIG, "num_hidden_layers": 4}) != architecture_family(CONFIG)


class FakeVllm:
    """What a swap asks of vLLM."""

    def __init__(self, *, names: list[str], idle: bool = True, error: Exception | None = None) -> None:
        self.names, self.idle, self.error = names, idle, error
        self.calls: list[str] = []

    def collective_rpc(self, method: str, args: tuple[list[str]]) -> list[list[str]]:
        self.calls.append(method)
        assert [Path(file).name for file in args[0]] == ["model.safetensors"]
        if self.error is not None:
            raise self.error
        return [self.names]

    def reset_prefix_cache(self) -> bool:
        self.calls.append("reset_prefix_cache")
        return self.idle


EXPECTED = Footprint({"a": ("BF16", (1,)), "b": ("BF16", (1,))}, {}, {}, TIED)


def test_prefixes_are_forgotten_after_the_weights_changed(models: Path) -> None:
    engine = FakeVllm(names=["b", "a"])
    swap_weights(engine, models / "tiny-fc-250", EXPECTED)
    assert engine.calls == ["swap_weights", "reset_prefix_cache"]


@pytest.mark.parametrize(
    ("engine", "reason"),
    [
        pytest.param(FakeVllm(names=["a"]), "changed while", id="a tensor was not read"),
        pytest.param(FakeVllm(names=["a", "b"], idle=False), "in use", id="requests are running"),
        pytest.param(FakeVllm(names=[], error=AssertionError("shape")), "AssertionError: shape", id="vLLM fails"),
    ],
)
def test_engine_is_lost_when_a_swap_is_not_whole(models: Path, engine: FakeVllm, reason: str) -> None:
    with pytest.raises(SwapFailed, match=reason):
        swap_weights(engine, models / "tiny-fc-250", EXPECTED)
