"""vLLM's OpenAI server for a Validator's rewriter: its arguments and environment, decided from the model. Pure.

A model that is split over GPUs gets as many as its shape is divisible by; on a CPU nothing is compiled, and the cache
of keys and values is bounded (see `plan`). The server loads safetensors only and runs no code of the model.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from bitagent_crds.minermodel import EngineChoices
from bitagent_evaluator.engines.plan import (
    CPU_BLOCK_TOKENS,
    cpu_cache_bytes,
    engine_dtype,
    tensor_parallel_size,
    token_limit,
)
from bitagent_evaluator.engines.preload import SMALL_MODEL_BYTES

MODULE = "vllm.entrypoints.openai.api_server"
DEFAULT_LENGTH = 16_384
"""Tokens of prompt and answer together, unless the Validator says otherwise: the longest rewording is 8,192."""
CPU_SEQUENCES = 16
"""Requests at the same time for which the cache on a CPU has room."""

ENVIRONMENT: Mapping[str, str] = {
    "VLLM_NO_USAGE_STATS": "1",
    "DO_NOT_TRACK": "1",
    "HF_HUB_OFFLINE": "1",
    "TOKENIZERS_PARALLELISM": "false",
}
"""Variables of every server."""


def server_command(
    model_dir: Path, config: Mapping[str, Any], choices: EngineChoices, *, names: Sequence[str], port: int, gpus: int
) -> list[str]:
    """Return the command that serves a model under these names; `config` is its checked configuration."""
    dtype = engine_dtype(config, choices)
    length = min(token_limit(config, choices), choices.max_model_length or DEFAULT_LENGTH)
    options: dict[str, object] = {
        "model": model_dir,
        "port": port,
        "dtype": dtype,
        "max-model-len": length,
        "load-format": "safetensors",
    }
    if gpus:
        options["tensor-parallel-size"] = tensor_parallel_size(config, gpus)
    else:
        options |= {
            "block-size": CPU_BLOCK_TOKENS,
            "kv-cache-memory-bytes": cpu_cache_bytes(config, dtype, length, CPU_SEQUENCES),
        }
    command = [sys.executable, "-m", MODULE, *(f"--{option}={value}" for option, value in options.items())]
    command += ["--served-model-name", *names]
    return command if gpus else [*command, "--enforce-eager"]


def server_environment(weight_bytes: int, *, gpus: int) -> dict[str, str]:
    """Return the variables of the server. On a CPU one thread is faster for a small model."""
    small = not gpus and weight_bytes < SMALL_MODEL_BYTES
    return dict(ENVIRONMENT) | ({"OMP_NUM_THREADS": "1"} if small else {})
