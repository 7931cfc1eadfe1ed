"""Models as people save them, which are sound: what tools write today, and what lies beside a model."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bitagent_evaluator.models.preflight import check_directory

GPTQMODEL = {
    "bits": 4, "dynamic": None, "group_size": 32, "desc_act": False, "sym": True, "lm_head": False,
    "quant_method": "gptq", "checkpoint_format": "gptq", "format": "gptq", "pack_dtype": "int32",
    "meta": {"quantizer": ["gptqmodel:7.0.0"], "damp_percent": 0.05, "static_groups": False, "mse": 0.0},
}  # fmt: skip
END = {"__type": "AddedToken", "content": "<|im_end|>", "lstrip": False, "normalized": False, "special": True}


def in_float32(model: Any) -> None:
    def convert(header: dict[str, Any], data: bytes) -> tuple[dict[str, Any], bytes]:
        values = (np.frombuffer(data, np.uint16).astype(np.uint32) << 16).tobytes()
        for entry in header.values():
            if "dtype" in entry:
                entry |= {"dtype": "F32", "data_offsets": [2 * offset for offset in entry["data_offsets"]]}
        return header, values

    model.header(convert)


def in_float32_without_dtype(model: Any) -> None:
    in_float32(model)
    model.config(dtype=None)


def in_shards(model: Any) -> None:
    """Put every second tensor into a second file."""
    single = model.path / "model.safetensors"
    names = ["model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"]
    where: dict[str, str] = {}

    def part(number: int) -> Callable[[dict[str, Any], bytes], tuple[dict[str, Any], bytes]]:
        def keep(header: dict[str, Any], data: bytes) -> tuple[dict[str, Any], bytes]:
            kept, content = {}, b""
            for place, (name, entry) in enumerate(item for item in header.items() if item[0] != "__metadata__"):
                if place % 2 == number:
                    start, end = entry["data_offsets"]
                    kept[name] = {**entry, "data_offsets": [len(content), len(content) + end - start]}
                    content += data[start:end]
                    where[name] = names[number]
            return kept, content

        return keep

    for number, name in enumerate(names):
        shutil.copy(single, model.path / name)
        model.header(part(number), name)
    single.unlink()
    (model.path / "model.safetensors.index.json").write_text(json.dumps({"metadata": {}, "weight_map": where}))


def with_leftovers(model: Any) -> None:
    for name in ("optimizer.pt", "rng_state.pth", "scheduler.pt", "training_args.bin", ".git/config"):
        (model.path / name).parent.mkdir(exist_ok=True)
        (model.path / name).write_bytes(b"x")
    files = [path for path in model.path.iterdir() if path.is_file()]
    (model.path / "checkpoint-100").mkdir()
    for path in files:
        shutil.copy(path, model.path / "checkpoint-100")


def of_transformers_5(model: Any) -> None:
    more = {"extra_special_tokens": ["<|im_start|>", "<|im_end|>"], "eos_token": END}
    model.edit("tokenizer_config.json", lambda content: content | more)


def with_yarn(model: Any) -> None:
    scaling = {"type": "yarn", "factor": 4.0, "original_max_position_embeddings": 2048}
    model.config(rope_parameters=None, rope_theta=10000.0, rope_scaling=scaling)


SOUND: dict[str, Callable[[Any], None]] = {
    "float32": in_float32,
    "float32 without a dtype": in_float32_without_dtype,
    "the older name of dtype": lambda model: model.config(dtype=None, torch_dtype="bfloat16"),
    "two shards": in_shards,
    "a trainer's leftovers": with_leftovers,
    "a tokenizer of transformers 5": of_transformers_5,
    "YaRN by its older name": with_yarn,
}


@pytest.mark.parametrize("change", SOUND.values(), ids=SOUND)
def test_a_sound_model_is_safe_and_has_no_notes(checkpoint: Any, change: Callable[[Any], None]) -> None:
    parameters = check_directory(checkpoint.path).facts
    change(checkpoint)
    check = check_directory(checkpoint.path)
    assert check.reason == "Safe", check.message
    assert check.facts is not None and parameters is not None
    assert check.facts.parameters == parameters.parameters
    assert (*check.weight_notes, *check.file_notes, *(check.chat.notes if check.chat else ("no chat",))) == ()


def test_a_snapshot_of_the_hubs_cache_is_safe(models: Path, tmp_path: Path) -> None:
    snapshot = tmp_path / "models--a--b" / "snapshots" / ("a" * 40)
    snapshot.mkdir(parents=True)
    (tmp_path / "models--a--b" / "blobs").mkdir()
    for number, file in enumerate(sorted((models / "tiny-fc-600").iterdir())):
        shutil.copy(file, tmp_path / "models--a--b" / "blobs" / f"{number:040x}")
        (snapshot / file.name).symlink_to(f"../../blobs/{number:040x}")
    assert check_directory(snapshot).reason == "Safe"


def test_settings_that_gptqmodel_writes_are_accepted(models: Path, tmp_path: Path) -> None:
    model = Path(shutil.copytree(models / "tiny-fc-gptq", tmp_path / "model"))
    config = json.loads((model / "config.json").read_text())
    (model / "config.json").write_text(json.dumps({**config, "quantization_config": GPTQMODEL}))
    (model / "quantize_config.json").write_text(json.dumps(GPTQMODEL))
    check = check_directory(model)
    assert check.reason == "Safe"
    assert check.facts is not None and check.facts.quantization == "gptq"
