"""The trained files of the benchmark's models: whole, small, and of one shape where weights are to be swapped."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml

from bitagent_local.models import safetensors_header

MODELS = Path(__file__).parents[3] / "local" / "models"
NAMES = ["tiny-memo", "tiny-sense", "tiny-rewriter"]
LARGEST = 1_500_000


@pytest.mark.parametrize("name", NAMES)
def test_weights_are_whole(name: str) -> None:
    weights = MODELS / name / "model.safetensors"
    header, start = safetensors_header.read(weights)
    assert start + max(entry["data_offsets"][1] for entry in header.values()) == weights.stat().st_size
    assert safetensors_header.parameters(weights).keys() == {"BF16"}


@pytest.mark.parametrize("name", NAMES)
def test_models_stay_small(name: str) -> None:
    assert sum(file.stat().st_size for file in (MODELS / name).iterdir()) <= LARGEST


@pytest.mark.parametrize("name", NAMES)
def test_the_vocabulary_is_the_tokenizers(name: str) -> None:
    config = json.loads((MODELS / name / "config.json").read_text())
    tokenizer = json.loads((MODELS / name / "tokenizer.json").read_text())
    assert config["architectures"] == ["Qwen2ForCausalLM"]
    added = {token["content"] for token in tokenizer["added_tokens"]}
    assert config["vocab_size"] == len(tokenizer["model"]["vocab"].keys() | added)


def test_reader_and_memoriser_differ_in_nothing_but_weights() -> None:
    memo, sense = MODELS / "tiny-memo", MODELS / "tiny-sense"
    files = {file.name for file in memo.iterdir()}
    assert files == {file.name for file in sense.iterdir()}
    different = {name for name in files if (memo / name).read_bytes() != (sense / name).read_bytes()}
    assert different == {"model.safetensors"}
    assert safetensors_header.read(memo / "model.safetensors") == safetensors_header.read(sense / "model.safetensors")


@pytest.mark.parametrize("name", NAMES)
def test_the_hub_publishes_them(name: str) -> None:
    listed = yaml.safe_load((MODELS / "repositories.yaml").read_text())["repositories"]
    assert [entry["repo"] for entry in listed if entry["branches"]["main"] == {"model": name}]
