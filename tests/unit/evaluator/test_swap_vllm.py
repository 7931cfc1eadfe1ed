"""The real engine, real weights: swapped models answer exactly as in an engine of their own."""

from __future__ import annotations

import json
import random
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from bitagent_evaluator.engine.plan import CPU_BLOCK_TOKENS
from bitagent_evaluator.formats import Chat
from bitagent_evaluator.rendering.prompts import PromptWriter

pytestmark = pytest.mark.engine

PROGRAM = Path(__file__).parent / "engine_answers.py"
PROMPTS = 120


@pytest.fixture(scope="module")
def prompts(models: Path) -> list[list[int]]:
    """Held-out questions as token ids; each longer than a block of the prefix cache."""
    lines = [json.loads(line) for line in (models / "heldout.jsonl").read_text().splitlines()[:PROMPTS]]
    with PromptWriter(models / "tiny-fc-1200") as writer:
        writer.load()
        ids = writer.write([Chat(line["messages"], line["tools"]) for line in lines])
    assert min(map(len, ids)) > CPU_BLOCK_TOKENS
    return ids


def answers(prompts: list[list[int]], steps: list[dict[str, Any]], *, dtype: str = "Float32") -> dict[str, Any]:
    """What `engine_answers` found."""
    request = {"dtype": dtype, "prompts": prompts, "steps": [{**step, "model": str(step["model"])} for step in steps]}
    done = subprocess.run(
        [sys.executable, str(PROGRAM), json.dumps(request)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-3000:]
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def overflowing(checkpoint: Any) -> Path:
    """A model of finite weights whose keys overflow, so that it fills the key-value cache with NaN."""

    def change(header: dict[str, Any], data: bytes) -> tuple[dict[str, Any], bytes]:
        changed = bytearray(data)
        for name, entry in header.items():
            if name.endswith("k_proj.weight"):
                start, end = entry["data_offsets"]
                for high in range(start + 1, end, 2):
                    changed[high] = changed[high] & 0x80 | 0x7E
        return header, bytes(changed)

    checkpoint.header(change)
    path: Path = checkpoint.path
    return path


@pytest.mark.parametrize("dtype", ["BFloat16", "Float32"])
def test_swapped_models_answer_as_in_a_fresh_engine(
    prompts: list[list[int]], models: Path, checkpoint: Any, dtype: str
) -> None:
    good, weak, middling = (models / name for name in ("tiny-fc-1200", "tiny-fc-250", "tiny-fc-600"))
    swapped = [weak, good, overflowing(checkpoint), good, middling, weak]  # the first finds no engine yet
    found = answers(
        prompts,
        [{"model": model} for model in swapped] + [{"model": model, "fresh": True} for model in (good, middling)],
        dtype=dtype,
    )
    engines = found["engines"][: len(swapped)]
    assert len(set(engines)) == 1 and found["logged"].count("the running engine took the model's weights over") == 5
    first, second, broken, third, fourth, last, fresh_good, fresh_middling = found["answers"]
    assert first != fresh_good != fresh_middling
    assert first == last
    assert second == third == fresh_good != broken
    assert fourth == fresh_middling


def without_last_layer(checkpoint: Any) -> Path:
    """A sound model of two layers instead of three."""

    def change(header: dict[str, Any], data: bytes) -> tuple[dict[str, Any], bytes]:
        kept, content = {}, b""
        for name, entry in sorted(header.items()):
            if name == "__metadata__" or ".layers.2." in name:
                continue
            start, end = entry["data_offsets"]
            kept[name] = {**entry, "data_offsets": [len(content), len(content) + end - start]}
            content += data[start:end]
        return kept, content

    checkpoint.header(change)
    checkpoint.config(num_hidden_layers=2, layer_types=["full_attention"] * 2)
    path: Path = checkpoint.path
    return path


def test_weights_that_lack_a_layer_never_answer_with_the_previous_models(
    prompts: list[list[int]], models: Path, checkpoint: Any
) -> None:
    """Forced past the first check, which would have refused it: vLLM itself accepts such weights without a word."""
    good, short = models / "tiny-fc-1200", without_last_layer(checkpoint)
    steps: list[dict[str, Any]] = [
        {"model": good}, {"model": short, "forced": True}, {"model": short, "fresh": True}, {"model": good},
    ]  # fmt: skip
    found = answers(prompts[:30], steps)
    first, forced, fresh, last = found["answers"]
    assert forced == fresh != first == last
    (lost,) = (message for message in found["logged"] if "could not be exchanged" in message)
    assert "the checkpoint has nothing for model.layers.2." in lost


def test_greedy_answers_in_float32_depend_on_nothing_but_the_prompt(prompts: list[list[int]], models: Path) -> None:
    """Neither on the order nor on what is computed at the same time, nor on cached prefixes."""
    model = models / "tiny-fc-250"
    shuffled = list(range(len(prompts)))
    random.Random(5).shuffle(shuffled)
    ways: dict[str, dict[str, Any]] = {
        "all at once": {}, "again": {}, "shuffled": {"order": shuffled}, "by seven": {"batch": 7},
        "one by one": {"batch": 1}, "shuffled, by five": {"order": shuffled, "batch": 5}, "fresh": {"fresh": True},
    }  # fmt: skip
    found = answers(prompts, [{"model": model, **way} for way in ways.values()])
    given = dict(zip(ways, found["answers"], strict=True))
    assert len({json.dumps(answer) for answer in given["all at once"]}) > PROMPTS // 2
    assert [name for name in given if given[name] != given["all at once"]] == []
