"""Which layers have a sliding window: compared with what transformers makes of the same configuration."""

from __future__ import annotations

from typing import Any

import pytest

from bitagent_evaluator.models.validation.windows import LayerWindows, layer_windows

FULL, WINDOWED = "full_attention", "sliding_attention"


@pytest.mark.parametrize(
    ("architecture", "config", "found"),
    [
        pytest.param("Gemma3ForCausalLM", {"num_hidden_layers": 26, "sliding_window": 512}, (22, 512), id="Gemma 3 1B"),
        pytest.param("Gemma3ForCausalLM", {"num_hidden_layers": 26}, (22, 4096), id="Gemma 3, all by default"),
        pytest.param(
            "Gemma3ForCausalLM",
            {"num_hidden_layers": 6, "sliding_window": 512, "sliding_window_pattern": 2},
            (3, 512),
            id="Gemma 3 with a pattern",
        ),
        pytest.param("Gemma2ForCausalLM", {"num_hidden_layers": 26, "sliding_window": 4096}, (13, 4096), id="Gemma 2"),
        pytest.param("Gemma2ForCausalLM", {"num_hidden_layers": 3}, (2, 4096), id="Gemma 2, an odd number"),
        pytest.param("Olmo3ForCausalLM", {"num_hidden_layers": 32, "sliding_window": 4096}, (24, 4096), id="OLMo 3"),
        pytest.param(
            "Gemma3ForCausalLM",
            {"num_hidden_layers": 3, "sliding_window": 512, "layer_types": [FULL, WINDOWED, FULL]},
            (1, 512),
            id="types of layers come first",
        ),
        pytest.param(
            "MistralForCausalLM", {"num_hidden_layers": 32, "sliding_window": 4096}, (32, 4096), id="Mistral 7B"
        ),
        pytest.param("MistralForCausalLM", {"num_hidden_layers": 32, "sliding_window": None}, (0, 0), id="Mistral 0.3"),
        pytest.param("MixtralForCausalLM", {"num_hidden_layers": 32, "sliding_window": 4096}, (32, 4096), id="Mixtral"),
        pytest.param("Phi3ForCausalLM", {"num_hidden_layers": 32, "sliding_window": 2047}, (32, 2047), id="Phi-3 mini"),
        pytest.param(
            "LlamaForCausalLM",
            {"num_hidden_layers": 4, "sliding_window": 64, "layer_types": [WINDOWED, FULL] * 2},
            (2, 64),
            id="Llama with types of layers",
        ),
        pytest.param("LlamaForCausalLM", {"num_hidden_layers": 4}, (0, 0), id="Llama"),
        pytest.param(
            "Qwen2ForCausalLM",
            {"num_hidden_layers": 4, "sliding_window": 64, "use_sliding_window": False},
            (0, 0),
            id="Qwen2, a window that is not in use",
        ),
        pytest.param(
            "Qwen2ForCausalLM",
            {"num_hidden_layers": 4, "sliding_window": 64, "use_sliding_window": True},
            (4, 64),
            id="Qwen2, all layers",
        ),
        pytest.param("GraniteForCausalLM", {"num_hidden_layers": 4, "sliding_window": 64}, (0, 0), id="never a window"),
    ],
)
def test_layers_with_a_window(architecture: str, config: dict[str, Any], found: tuple[int, int]) -> None:
    assert layer_windows({"architectures": [architecture]} | config) == LayerWindows(*found)


@pytest.mark.parametrize("name", ["Gemma2", "Gemma3Text", "Olmo3"])
@pytest.mark.parametrize("layers", [1, 5, 6, 7, 26])
def test_the_defaults_are_those_of_transformers(name: str, layers: int) -> None:
    transformers = pytest.importorskip("transformers")
    config = getattr(transformers, f"{name}Config")(num_hidden_layers=layers)
    architecture = {"Gemma2": "Gemma2ForCausalLM", "Gemma3Text": "Gemma3ForCausalLM", "Olmo3": "Olmo3ForCausalLM"}[name]
    found = layer_windows({"architectures": [architecture], "num_hidden_layers": layers})
    count = config.layer_types.count(WINDOWED)
    assert (found.layers, found.window) == ((count, config.sliding_window) if count else (0, 0))
