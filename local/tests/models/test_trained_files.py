"""The files of trained models: whole, small, and of one shape where an engine swaps weights."""

from __future__ import annotations

import json
import math
import struct
from pathlib import Path

import pytest
import yaml

from bitagent_local.cluster.host import SOURCES
from bitagent_local.models import safetensors_header

MODELS = SOURCES / "models"


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


@pytest.mark.parametrize("name", ["tiny-fc-250", "tiny-fc-400", "tiny-fc-600", "tiny-fc-1200"])
def test_graded_models_are_whole(name: str) -> None:
    weights = MODELS / name / "model.safetensors"
    header, start = safetensors_header.read(weights)
    assert safetensors_header.parameters(weights) == {"BF16": 422_400}
    assert start + max(entry["data_offsets"][1] for entry in header.values()) == weights.stat().st_size
    assert not _has_nan(weights)


def _has_nan(weights: Path) -> bool:
    """Whether any bfloat16 is NaN: all exponent bits set, some bit of the fraction too."""
    _, start = safetensors_header.read(weights)
    values = memoryview(weights.read_bytes())[start:].cast("H")
    return any(math.isnan(struct.unpack("<f", struct.pack("<I", value << 16))[0]) for value in set(values))
