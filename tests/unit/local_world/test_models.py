"""The tiny models' data: held-out questions, task lines, and what each damage breaks."""

from __future__ import annotations

import json
import math
import pickle
import random
import struct
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bitagent_crds.results import Task
from bitagent_local.models import bad, data, safetensors_header, tasks

MODELS = Path(__file__).parents[3] / "local" / "models"
GOOD = MODELS / "tiny-fc-600"


def test_held_out_file_is_what_the_generator_draws() -> None:
    lines = (MODELS / "heldout.jsonl").read_text(encoding="utf-8").splitlines()
    assert lines == [json.dumps(sample.record()) for sample in data.held_out()]


def test_task_file_is_what_the_converter_writes() -> None:
    assert (MODELS / "tasks.jsonl").read_text(encoding="utf-8") == tasks.lines()


def test_every_task_can_be_answered_from_its_functions() -> None:
    found = [Task.model_validate_json(line) for line in tasks.lines().splitlines()]
    assert len({task.id for task in found}) == len(found) == data.HELD_OUT_COUNT
    assert {task.category for task in found} == {"tiny-fc-simple", "tiny-fc-multiple"}
    for task in found:
        (call,) = task.ground_truth or []
        ((name, arguments),) = call.items()
        (function,) = [function for function in task.functions if function["name"] == name]
        assert set(arguments) == set(function["parameters"]["required"])
        kinds = {"integer": int, "string": str}
        for argument, (value,) in arguments.items():
            assert type(value) is kinds[function["parameters"]["properties"][argument]["type"]]


@given(seed=st.integers())
def test_samples_answer_their_question(seed: int) -> None:
    sample = data.draw(random.Random(seed))
    assert sample.function in {tool.name for tool in sample.tools}
    assert 1 <= len(sample.tools) <= 2
    for value in sample.arguments.values():
        assert str(value) in sample.question
    words = [value for value in sample.arguments.values() if isinstance(value, str)]
    assert len(set(words)) == len(words)


@pytest.mark.parametrize("name", ["tiny-fc-250", "tiny-fc-400", "tiny-fc-600", "tiny-fc-1200"])
def test_trained_models_are_whole(name: str) -> None:
    weights = MODELS / name / "model.safetensors"
    header, start = safetensors_header.read(weights)
    assert safetensors_header.parameters(weights) == {"BF16": 422_400}
    assert start + max(entry["data_offsets"][1] for entry in header.values()) == weights.stat().st_size
    assert not _has_nan(weights)


def _damaged(tmp_path: Path, damage: str) -> Path:
    bad.make(GOOD, tmp_path / damage, damage)
    return tmp_path / damage


def test_truncated_weights_promise_more_than_there_is(tmp_path: Path) -> None:
    weights = _damaged(tmp_path, "truncated") / "model.safetensors"
    header, start = safetensors_header.read(weights)
    assert start + max(entry["data_offsets"][1] for entry in header.values()) > weights.stat().st_size > start


def test_pickle_holds_only_shapes(tmp_path: Path) -> None:
    model = _damaged(tmp_path, "pickle")
    assert not (model / "model.safetensors").exists()
    shapes = pickle.loads((model / "pytorch_model.bin").read_bytes())
    assert shapes["model.norm.weight"] == [96]


def test_nan_weights_have_the_good_models_layout(tmp_path: Path) -> None:
    weights = _damaged(tmp_path, "nan") / "model.safetensors"
    assert safetensors_header.read(weights) == safetensors_header.read(GOOD / "model.safetensors")
    assert weights.stat().st_size == (GOOD / "model.safetensors").stat().st_size
    assert _has_nan(weights)


def test_nan_needs_bfloat16(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="only BF16 can be damaged"):
        bad.make(MODELS / "tiny-fc-gptq", tmp_path / "out", "nan")


def test_huge_config_and_foreign_code(tmp_path: Path) -> None:
    assert json.loads((_damaged(tmp_path, "huge") / "config.json").read_text())["hidden_size"] == 10**9
    foreign = _damaged(tmp_path, "auto-map")
    assert "model_code.Model" in json.loads((foreign / "config.json").read_text())["auto_map"].values()
    with pytest.raises(RuntimeError, match="was run"):
        exec((foreign / "model_code.py").read_text())


def test_missing_tokenizer(tmp_path: Path) -> None:
    assert {file.name for file in GOOD.iterdir()} - {
        file.name for file in _damaged(tmp_path, "no-tokenizer").iterdir()
    } == {
        "tokenizer.json",
        "tokenizer_config.json",
    }


HEADERS: dict[str, tuple[bytes, str]] = {
    "too short": (b"abc", "too short"),
    "absurd length": (struct.pack("<Q", 2**62), "claims a header of 4611686018427387904 bytes"),
    "no object": (struct.pack("<Q", 2) + b"[]", "no object"),
    "no JSON": (struct.pack("<Q", 2) + b"{,", "Expecting property name"),
}


@pytest.mark.parametrize(("content", "message"), HEADERS.values(), ids=HEADERS.keys())
def test_unreadable_headers(content: bytes, message: str, tmp_path: Path) -> None:
    file = tmp_path / "x.safetensors"
    file.write_bytes(content)
    with pytest.raises(ValueError, match=message):
        safetensors_header.read(file)


def _has_nan(weights: Path) -> bool:
    """Whether any bfloat16 is NaN: all exponent bits set, some bit of the fraction too."""
    _, start = safetensors_header.read(weights)
    values = memoryview(weights.read_bytes())[start:].cast("H")
    return any(math.isnan(struct.unpack("<f", struct.pack("<I", value << 16))[0]) for value in set(values))
