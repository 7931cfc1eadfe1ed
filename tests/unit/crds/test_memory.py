"""What models of known families need, which shapes a round refuses, and both sides of the line."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bitagent_crds.evaluation import BuiltinScorer, Evaluation, LossNormalization, LossParameters, RunSpec
from bitagent_crds.jobs import MemoryLimits
from bitagent_crds.memory import (
    CACHE_PER_PARAMETERS,
    SMALL_CACHE_NUMBERS,
    excess,
    known_cache_numbers,
    longest_sequence,
    memory_need,
    number_bytes,
)
from bitagent_crds.minermodel import DType, EngineChoices, MemoryShape

GIB = 1 << 30
AUTO, FLOAT32, BFLOAT16 = (EngineChoices(dtype=dtype) for dtype in (DType.AUTO, DType.FLOAT32, DType.BFLOAT16))
EVALUATION = Evaluation()


@dataclass(frozen=True)
class Published:
    """The shape of a published model, from its config.json."""

    parameters: int
    hidden: int
    inner: int
    layers: int
    heads: int
    key_value_heads: int
    head: int
    vocabulary: int
    positions: int

    def shape(self, size: int = 2) -> MemoryShape:
        return MemoryShape(
            numbers=self.parameters,
            number_bytes=size,
            cache_numbers=2 * self.layers * self.key_value_heads * self.head,
            layer_width=self.hidden + self.inner,
            vocabulary=self.vocabulary,
            positions=self.positions,
        )


# fmt: off
PUBLISHED = {
    # full attention (MHA)
    "Llama-68M": Published(68_000_000, 768, 3072, 2, 12, 12, 64, 32_000, 2048),
    "Llama-160M": Published(162_000_000, 768, 3072, 12, 12, 12, 64, 32_000, 2048),
    "AMD-Llama-135M": Published(134_000_000, 768, 2048, 12, 12, 12, 64, 32_000, 2048),
    "Qwen1.5-0.5B": Published(464_000_000, 1024, 2816, 24, 16, 16, 64, 151_936, 32_768),
    "Qwen1.5-1.8B": Published(1_837_000_000, 2048, 5504, 24, 16, 16, 128, 151_936, 32_768),
    "Qwen1.5-4B": Published(3_950_000_000, 2560, 6912, 40, 20, 20, 128, 151_936, 32_768),
    "Qwen1.5-7B": Published(7_721_000_000, 4096, 11008, 32, 32, 32, 128, 151_936, 32_768),
    "Qwen1.5-14B": Published(14_167_000_000, 5120, 13696, 40, 40, 40, 128, 152_064, 32_768),
    "SmolLM2-1.7B": Published(1_711_000_000, 2048, 8192, 24, 32, 32, 64, 49_152, 8192),
    "DeepSeek-Coder-1.3B": Published(1_346_000_000, 2048, 5504, 24, 16, 16, 128, 32_256, 16_384),
    "DeepSeek-LLM-7B": Published(6_910_000_000, 4096, 11008, 30, 32, 32, 128, 102_400, 4096),
    "CroissantLLM-1.3B": Published(1_345_000_000, 2048, 5504, 24, 16, 16, 128, 32_000, 2048),
    "Phi-3-mini": Published(3_821_000_000, 3072, 8192, 32, 32, 32, 96, 32_064, 131_072),
    "Llama-2-7B": Published(6_738_000_000, 4096, 11008, 32, 32, 32, 128, 32_000, 4096),
    "Llama-2-13B": Published(13_016_000_000, 5120, 13824, 40, 40, 40, 128, 32_000, 4096),
    # grouped queries (GQA)
    "SmolLM2-135M": Published(134_500_000, 576, 1536, 30, 9, 3, 64, 49_152, 8192),
    "SmolLM2-360M": Published(361_800_000, 960, 2560, 32, 15, 5, 64, 49_152, 8192),
    "TinyLlama-1.1B": Published(1_100_000_000, 2048, 5632, 22, 32, 4, 64, 32_000, 2048),
    "Llama-3.2-1B": Published(1_236_000_000, 2048, 8192, 16, 32, 8, 64, 128_256, 131_072),
    "Llama-3.2-3B": Published(3_213_000_000, 3072, 8192, 28, 24, 8, 128, 128_256, 131_072),
    "Llama-3.1-8B": Published(8_030_000_000, 4096, 14336, 32, 32, 8, 128, 128_256, 131_072),
    "Llama-3.1-70B": Published(70_554_000_000, 8192, 28672, 80, 64, 8, 128, 128_256, 131_072),
    "Mistral-7B-v0.3": Published(7_248_000_000, 4096, 14336, 32, 32, 8, 128, 32_768, 32_768),
    "Mistral-Nemo-12B": Published(12_248_000_000, 5120, 14336, 40, 32, 8, 128, 131_072, 131_072),
    "Mistral-Large-123B": Published(122_610_000_000, 12288, 28672, 88, 96, 8, 128, 32_768, 131_072),
    "SOLAR-10.7B": Published(10_732_000_000, 4096, 14336, 48, 32, 8, 128, 32_000, 4096),
    "Yi-34B": Published(34_389_000_000, 7168, 20480, 60, 56, 8, 128, 64_000, 4096),
    "Qwen2.5-0.5B": Published(494_000_000, 896, 4864, 24, 14, 2, 64, 151_936, 32_768),
    "Qwen2.5-1.5B": Published(1_544_000_000, 1536, 8960, 28, 12, 2, 128, 151_936, 32_768),
    "Qwen2.5-7B": Published(7_616_000_000, 3584, 18944, 28, 28, 4, 128, 152_064, 32_768),
    "Qwen2.5-32B": Published(32_764_000_000, 5120, 27648, 64, 40, 8, 128, 152_064, 32_768),
    "Qwen3-0.6B": Published(596_000_000, 1024, 3072, 28, 16, 8, 128, 151_936, 40_960),
    "Qwen3-1.7B": Published(1_721_000_000, 2048, 6144, 28, 16, 8, 128, 151_936, 40_960),
    "Qwen3-4B": Published(4_022_000_000, 2560, 9728, 36, 32, 8, 128, 151_936, 40_960),
    "Qwen3-8B": Published(8_191_000_000, 4096, 12288, 36, 32, 8, 128, 151_936, 40_960),
    "Qwen3-32B": Published(32_762_000_000, 5120, 25600, 64, 64, 8, 128, 151_936, 40_960),
    # one key-value head (MQA), and mixtures of experts, for families that may come
    "Gemma-2B": Published(2_506_000_000, 2048, 16384, 18, 8, 1, 256, 256_000, 8192),
    "Mixtral-8x7B": Published(46_703_000_000, 4096, 14336, 32, 32, 8, 128, 32_000, 32_768),
    "Qwen3-30B-A3B": Published(30_532_000_000, 2048, 6144, 48, 32, 4, 128, 151_936, 40_960),
}
# fmt: on
WITHOUT_LIMITS = MemoryLimits()


@pytest.mark.parametrize("size", [2, 4], ids=["16 bits", "float32"])
@pytest.mark.parametrize("name", PUBLISHED)
def test_no_published_model_is_refused_for_its_shape(name: str, size: int) -> None:
    model = PUBLISHED[name]
    shape = model.shape(size)
    for limits in (WITHOUT_LIMITS, MemoryLimits(max_parameters=model.parameters)):
        for choices in (AUTO, FLOAT32, BFLOAT16):
            for run in (EVALUATION, Evaluation(scorer=BuiltinScorer.LOSS), Evaluation(max_prompt_tokens=131_072)):
                assert excess(shape, model.parameters, choices, run, limits) == ""
    without_embeddings = model.parameters - model.vocabulary * model.hidden
    assert shape.cache_numbers <= known_cache_numbers(without_embeddings), "a smaller vocabulary is not another shape"


def test_known_shapes_have_room() -> None:
    densest = {n: m.shape().cache_numbers / m.parameters ** (2 / 3) for n, m in PUBLISHED.items()}
    assert max(densest.values()) < CACHE_PER_PARAMETERS / 1.5, densest


@given(
    layers=st.integers(1, 160),
    width=st.integers(32, 16_384).map(lambda width: 32 * (width // 32)),
    share=st.sampled_from([1, 2, 4, 8]),
)
def test_every_shape_of_known_proportions_is_admitted(layers: int, width: int, share: int) -> None:
    """A dense decoder with full attention or less of it, at least 28 times as wide as deep."""
    if width < 28 * layers:
        return
    parameters = 12 * layers * width * width
    assert 2 * layers * width // share <= known_cache_numbers(parameters)


HUNGRY = MemoryShape(
    numbers=50_000_000,
    number_bytes=4,
    cache_numbers=2 * 160 * 6 * 64,
    layer_width=192 + 384,
    vocabulary=320,
    positions=65_536,
)
"""160 layers of width 192 with six key-value heads of 64."""


@pytest.mark.parametrize(
    ("shape", "limits", "refused"),
    [
        pytest.param(HUNGRY, WITHOUT_LIMITS, True, id="no known model of this size takes as much"),
        pytest.param(HUNGRY, MemoryLimits(max_parameters=100_000_000), True, id="nor one of the admitted size"),
        pytest.param(HUNGRY, MemoryLimits(max_parameters=8_000_000_000), False, id="less than large models may take"),
        pytest.param(HUNGRY, MemoryLimits(max_memory_bytes=24 * GIB), True, id="more than the GPUs of the round"),
        pytest.param(HUNGRY, MemoryLimits(max_memory_bytes=40 * GIB), False, id="within the GPUs of the round"),
        pytest.param(
            HUNGRY.model_copy(update={"positions": 2048}), WITHOUT_LIMITS, False, id="its own limit keeps it small"
        ),
        pytest.param(
            PUBLISHED["Llama-3.1-8B"].shape(), MemoryLimits(max_memory_bytes=20 * GIB), True, id="honest, and too large"
        ),
        pytest.param(PUBLISHED["Llama-3.1-8B"].shape(), MemoryLimits(max_memory_bytes=27 * GIB), False, id="honest"),
    ],
)
def test_what_a_round_allows(shape: MemoryShape, limits: MemoryLimits, refused: bool) -> None:
    assert bool(excess(shape, shape.numbers, AUTO, EVALUATION, limits)) is refused


def test_a_limit_is_exact() -> None:
    shape = PUBLISHED["Qwen3-0.6B"].shape()
    need = memory_need(shape, AUTO, EVALUATION).total
    assert not excess(shape, 1, AUTO, EVALUATION, MemoryLimits(max_memory_bytes=need))
    assert excess(shape, 1, AUTO, EVALUATION, MemoryLimits(max_memory_bytes=need - 1))


def test_the_need_is_a_minimal_batch() -> None:
    shape = MemoryShape(
        numbers=1000, packed_bytes=0, cache_numbers=10, layer_width=7, vocabulary=100, positions=1 << 20
    )
    run = Evaluation(max_prompt_tokens=1000, max_tokens=24)
    need = memory_need(shape, AUTO, run)
    assert (need.weights, need.cache, need.step) == (2000, 10 * 1024 * 2, 8192 * 2 * 7 * 2 + 256 * 100 * 4)
    assert need.total == need.weights + need.cache + need.step
    assert memory_need(shape, FLOAT32, run).cache == 2 * need.cache
    assert memory_need(shape, EngineChoices(max_model_length=256), run).cache == 10 * 256 * 2
    assert memory_need(shape.model_copy(update={"positions": 512}), AUTO, run).cache == 10 * 512 * 2
    packed = shape.model_copy(update={"packed_bytes": 77})
    assert memory_need(packed, AUTO, run).weights == 2077


@pytest.mark.parametrize(
    ("prompt", "kept"),
    [
        pytest.param(1000, 1001, id="shorter than a window and a step"),
        pytest.param(20_000, 512 + 8192, id="longer"),
    ],
)
def test_a_layer_with_a_window_keeps_the_window_and_one_step(prompt: int, kept: int) -> None:
    """Gemma 3 1B: 22 of 26 layers see 512 tokens."""
    per_layer = 2 * 256
    shape = MemoryShape(
        numbers=1_000_000_000,
        cache_numbers=26 * per_layer,
        windowed_numbers=22 * per_layer,
        window=512,
        layer_width=1,
        vocabulary=1,
        positions=1 << 20,
    )
    run = Evaluation(max_prompt_tokens=prompt, max_tokens=1)
    tokens = prompt + 1
    assert memory_need(shape, AUTO, run).cache == (4 * tokens + 22 * kept) * per_layer * 2
    plain = shape.model_copy(update={"windowed_numbers": 0, "window": 0})
    assert memory_need(plain, AUTO, run).cache == 26 * tokens * per_layer * 2, "facts without windows are as before"


@pytest.mark.parametrize(
    ("stored", "packed", "choices", "scorer", "size"),
    [
        pytest.param(2, 0, AUTO, BuiltinScorer.BFCL, 2, id="as stored"),
        pytest.param(4, 0, AUTO, BuiltinScorer.BFCL, 4, id="as stored, in 32 bits"),
        pytest.param(4, 0, BFLOAT16, BuiltinScorer.BFCL, 2, id="16 bits chosen"),
        pytest.param(2, 0, FLOAT32, BuiltinScorer.BFCL, 4, id="32 bits chosen"),
        pytest.param(2, 0, BFLOAT16, BuiltinScorer.LOSS, 4, id="losses are measured in 32 bits"),
        pytest.param(2, 9, FLOAT32, BuiltinScorer.LOSS, 2, id="kernels of quantised weights know 16 bits only"),
    ],
)
def test_the_number_format(stored: int, packed: int, choices: EngineChoices, scorer: BuiltinScorer, size: int) -> None:
    shape = HUNGRY.model_copy(update={"number_bytes": stored, "packed_bytes": packed})
    assert number_bytes(shape, choices, Evaluation(scorer=scorer)) == size


def test_the_longest_sequence() -> None:
    run = RunSpec(repo="m", task_set_digest="sha256:" + "1" * 64, max_tokens=10)
    assert longest_sequence(run) is None
    assert longest_sequence(run.model_copy(update={"max_prompt_tokens": 500})) == 510
    thinking = {"max_prompt_tokens": 500, "max_thought_tokens": 90}
    assert longest_sequence(run.model_copy(update=thinking)) == 600
    by_token = LossParameters(normalization=LossNormalization.TOKEN, sequence_length=64)
    by_byte = LossParameters(reference_bytes=200)
    for loss, tokens in ((by_token, 64), (by_byte, 700)):
        losses = {"scorer": BuiltinScorer.LOSS, "loss": loss, "max_prompt_tokens": 500}
        assert longest_sequence(run.model_copy(update=losses)) == tokens
    assert memory_need(HUNGRY, AUTO, run).cache == HUNGRY.cache_numbers * HUNGRY.positions * 4


def test_small_caches_are_never_refused() -> None:
    assert known_cache_numbers(1) == known_cache_numbers(1_000_000) == SMALL_CACHE_NUMBERS
