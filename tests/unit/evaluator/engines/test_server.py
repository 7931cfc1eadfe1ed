"""The command of the rewriter's server."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from bitagent_crds.minermodel import DType, EngineChoices
from bitagent_evaluator.engines.server import server_command, server_environment

CONFIG: dict[str, Any] = {
    "architectures": ["LlamaForCausalLM"],
    "hidden_size": 4096,
    "num_hidden_layers": 2,
    "num_attention_heads": 32,
    "num_key_value_heads": 8,
    "head_dim": 128,
    "intermediate_size": 16_384,
    "vocab_size": 32_000,
    "max_position_embeddings": 131_072,
    "dtype": "bfloat16",
}


def options(*, gpus: int = 1, config: dict[str, Any] = CONFIG, **choices: Any) -> dict[str, str]:
    command = server_command(
        Path("/model"), config, EngineChoices(**choices), names=["rewriter", "rewriter@abc"], port=8000, gpus=gpus
    )
    assert command[1:3] == ["-m", "vllm.entrypoints.openai.api_server"]
    names = command.index("--served-model-name")
    assert command[names + 1 : names + 3] == ["rewriter", "rewriter@abc"]
    assert "--trust-remote-code" not in command
    return dict(each.removeprefix("--").partition("=")[::2] for each in command if each.startswith("--"))


@pytest.mark.parametrize(
    ("case", "option", "value"),
    [
        pytest.param({}, "max-model-len", "16384", id="not all that the model allows"),
        pytest.param({"max_model_length": 32768}, "max-model-len", "32768", id="chosen length"),
        pytest.param({"config": CONFIG | {"max_position_embeddings": 2048}}, "max-model-len", "2048", id="short model"),
        pytest.param({}, "dtype", "bfloat16", id="the checkpoint's format"),
        pytest.param({"dtype": DType.FLOAT32}, "dtype", "float32", id="chosen format"),
        pytest.param({"gpus": 4}, "tensor-parallel-size", "4", id="split"),
        pytest.param({"gpus": 3}, "tensor-parallel-size", "2", id="split as far as it divides"),
        pytest.param({}, "load-format", "safetensors", id="never a pickle"),
        pytest.param({}, "model", "/model", id="the model's files"),
        pytest.param({"gpus": 0}, "enforce-eager", "", id="nothing is compiled on a CPU"),
    ],
)
def test_options(case: dict[str, Any], option: str, value: str) -> None:
    assert options(**case)[option] == value


def test_memory_is_bounded_on_a_cpu_only() -> None:
    assert 0 < int(options(gpus=0)["kv-cache-memory-bytes"]) <= 4 << 30
    assert "kv-cache-memory-bytes" not in options(gpus=1)
    assert "tensor-parallel-size" not in options(gpus=0)


@pytest.mark.parametrize(
    ("size", "gpus", "one_thread"),
    [(1 << 20, 0, True), (8 << 30, 0, False), (1 << 20, 1, False)],
    ids=["small on a CPU", "large on a CPU", "GPU"],
)
def test_environment(size: int, gpus: int, one_thread: bool) -> None:
    found = server_environment(size, gpus=gpus)
    assert ("OMP_NUM_THREADS" in found) is one_thread
    assert found["HF_HUB_OFFLINE"] == "1"
