"""Which models may take a running engine over, and how large it is made for them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from bitagent_crds.minermodel import Engine as EngineChoices
from bitagent_evaluator.engine.compatible import Footprint, family, footprint, obstacle, with_headroom
from bitagent_evaluator.engine.plan import EnginePlan, Hardware, plan_engine
from bitagent_evaluator.safety.headers import Tensor

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
RUNNING = Footprint({"model.embed_tokens.weight": ("BF16", (640, 96)), **NORM}, CONFIG, ARGUMENTS)


def changed(
    of: Footprint = RUNNING,
    *,
    tensors: dict[str, tuple[str, tuple[int, ...]]] | None = None,
    config: dict[str, Any] | None = None,
    arguments: dict[str, Any] | None = None,
) -> Footprint:
    return Footprint(
        {**of.tensors, **(tensors or {})}, {**of.config, **(config or {})}, {**of.arguments, **(arguments or {})}
    )


@pytest.mark.parametrize(
    ("running", "wanted"),
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
def test_engine_is_kept(running: Footprint, wanted: Footprint) -> None:
    assert obstacle(running, wanted) == ""


@pytest.mark.parametrize(
    ("running", "wanted", "reason"),
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
        pytest.param(changed(config=QUANTISED), changed(config=QUANTISED), "quantised", id="both quantised"),
        pytest.param(
            changed(arguments={"tensor_parallel_size": 2}),
            changed(arguments={"tensor_parallel_size": 2}),
            "several GPUs",
            id="split over GPUs",
        ),
    ],
)
def test_fresh_engine_is_started(running: Footprint, wanted: Footprint, reason: str) -> None:
    assert reason in obstacle(running, wanted)


def test_footprint_is_of_headers_and_plan() -> None:
    plan = EnginePlan({"dtype": "bfloat16"}, {"hidden_size": 96}, "bfloat16")
    made = footprint({"a": Tensor("BF16", (2, 3), 10, 22), "b": Tensor("F32", (1,), 22, 26)}, plan)
    assert made == Footprint({"a": ("BF16", (2, 3)), "b": ("F32", (1,))}, plan.config, plan.arguments)


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


def test_an_engine_with_headroom_takes_over_models_with_longer_prompts() -> None:
    first, second = planned([100] * 400), planned([130] * 400)
    tight, roomy = (Footprint({}, plan.config, plan.arguments) for plan in (first, with_headroom(first)))
    wanted = Footprint({}, second.config, second.arguments)
    assert "too small" in obstacle(tight, wanted)
    assert obstacle(roomy, wanted) == ""


def test_headroom_stays_within_the_bounds_of_a_cpus_cache() -> None:
    large = planned([100] * 4000, num_hidden_layers=48, num_attention_heads=32, num_key_value_heads=32, head_dim=128)
    assert large.arguments["kv_cache_memory_bytes"] == 4 << 30
    assert with_headroom(large).arguments["kv_cache_memory_bytes"] == 4 << 30


def test_family_is_what_may_share_an_engine() -> None:
    same = replace(
        EnginePlan({}, CONFIG, "bfloat16"), config={**CONFIG, "max_position_embeddings": 9, "pad_token_id": 5}
    )
    assert family(same.config) == family(CONFIG)
    assert family({**CONFIG, "num_hidden_layers": 4}) != family(CONFIG)
