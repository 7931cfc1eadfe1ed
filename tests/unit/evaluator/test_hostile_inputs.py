"""Hostile models through the real command line: the right exit code, within seconds, in less than 500 MB.

Each damage is run through `bitagent-eval check` and through the fetch Job, and where a round would notice it only later
through `bitagent-eval run`. Memory is that of all processes together: the sum of the most that each of them had, as the
kernel counts it, read every few milliseconds. What is measured is forked from a process that has imported the program,
whose memory counts as its own.
"""

from __future__ import annotations

import json
import os
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.programs import Measured, measure, preload

preload("bitagent_evaluator.cli.check")
MB = 1 << 20
MEMORY_BYTES = 500 * MB
CPU_SECONDS = 10.0
"""Of all processes together; on an idle machine the wall clock shows about the same."""
WALL_SECONDS = 120.0
"""Only ends what hangs: the machine may be busy with other tests."""


def measured(*arguments: str, log: Path) -> Measured:
    """Run `bitagent-eval` with these arguments."""
    environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1", "HF_HUB_OFFLINE": "1"}
    return measure("bitagent_evaluator.cli.app:main", arguments, environment, log, seconds=WALL_SECONDS)


def template(source: str) -> Callable[[Any], None]:
    return lambda model: (model.path / "chat_template.jinja").write_text(source)


def config(**changes: Any) -> Callable[[Any], None]:
    return lambda model: model.config(**changes)


def written(name: str, content: bytes) -> Callable[[Any], None]:
    return lambda model: (model.path / name).write_bytes(content)


def long_header(model: Any) -> None:
    """100 MB of header, as the file's length confirms; the bytes are a hole on the disk."""
    with (model.path / "model.safetensors").open("wb") as file:
        file.write(struct.pack("<Q", 100 * MB))
        file.truncate(101 * MB)


def crowded_header(model: Any) -> None:
    """As many empty objects as the longest header may hold."""
    text = b'{"a":[' + b"{}," * ((8 * MB - 20) // 3) + b"{}]}"
    (model.path / "model.safetensors").write_bytes(struct.pack("<Q", len(text)) + text + b"\0" * 16)


def huge_weights(model: Any) -> None:
    """A terabyte that takes no room."""
    with (model.path / "model.safetensors").open("ab") as file:
        file.truncate(1 << 40)


def truncated(model: Any) -> None:
    weights = model.path / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-4096])


def with_hole(model: Any) -> None:
    """Offsets that leave out 64 bytes before the last tensor."""

    def shift(header: dict[str, Any], data: bytes) -> tuple[dict[str, Any], bytes]:
        tensors = [entry for key, entry in header.items() if key != "__metadata__"]
        end = max(tensors, key=lambda entry: entry["data_offsets"][1])
        end["data_offsets"] = [offset + 64 for offset in end["data_offsets"]]
        return header, data + b"\0" * 64

    model.header(shift)


def first_value(bits: int) -> Callable[[Any], None]:
    def poison(header: dict[str, Any], data: bytes) -> tuple[dict[str, Any], bytes]:
        values = np.frombuffer(data, np.uint16).copy()
        values[3] = bits
        return header, values.tobytes()

    return lambda model: model.header(poison)


def added_tokens(model: Any) -> None:
    tokens = [{"id": 7, "content": "x"}] * 370_000
    model.edit("tokenizer.json", lambda content: {**content, "added_tokens": tokens})


def tokenizer(**changes: Any) -> Callable[[Any], None]:
    return lambda model: model.edit("tokenizer.json", lambda content: content | changes)


def removes(pattern: str) -> dict[str, Any]:
    return {"type": "Split", "pattern": {"Regex": pattern}, "behavior": "Removed", "invert": False}


def index_outside(model: Any) -> None:
    names = {"metadata": {}, "weight_map": {"model.norm.weight": "../outside.safetensors"}}
    (model.path / "model.safetensors.index.json").write_text(json.dumps(names))


def link_outside(name: str, target: str) -> Callable[[Any], None]:
    def link(model: Any) -> None:
        (model.path / name).unlink()
        (model.path / name).symlink_to(target)

    return link


NESTED = b"[" * 200_000
CROWDED = b"[" + b"{}," * (8 * MB - 100) + b"{}]"
"""Nearly 24 MB of empty objects: every three bytes become seventy."""

UNREADABLE = {"type": "BPE", "vocab": {"a": 0}, "merges": [["a", "b"]]}

UNSAFE = {
    "100 MB header": (long_header, "CorruptWeights"),
    "header of empty objects": (crowded_header, "CorruptWeights"),
    "truncated weights": (truncated, "CorruptWeights"),
    "hole in the weights": (with_hole, "CorruptWeights"),
    "a terabyte of weights": (huge_weights, "TooLarge"),
    "hidden_size 10**9": (config(hidden_size=10**9), "BadConfig"),
    "10**12 positions": (config(max_position_embeddings=10**12), "BadConfig"),
    "10**6 layers": (config(num_hidden_layers=10**6), "BadConfig"),
    "vocab_size 10**9": (config(vocab_size=10**9), "BadConfig"),
    "vocab_size 10**400": (config(vocab_size=10**400), "BadConfig"),
    "intermediate_size -1": (config(intermediate_size=-1), "BadConfig"),
    "sizes in words": (config(hidden_size="64"), "BadConfig"),
    "long config": (written("config.json", b" " * MB), "BadConfig"),
    "nested config": (written("config.json", NESTED[: 60 << 10]), "BadConfig"),
    "nested tokenizer": (written("tokenizer.json", NESTED), "BadTokenizer"),
    "50 MB tokenizer": (written("tokenizer.json", b" " * (50 * MB)), "BadTokenizer"),
    "tokenizer of empty objects": (written("tokenizer.json", CROWDED), "BadConfig"),
    "370,000 added tokens": (added_tokens, "BadTokenizer"),
    "tokenizer with a catastrophic pattern": (tokenizer(pre_tokenizer=removes(r"(?:a*a*)*\s")), "BadTokenizer"),
    "tokenizer that cannot be read": (tokenizer(model=UNREADABLE), "BadTokenizer"),
    "tokenizer that loses white space": (tokenizer(pre_tokenizer=None), "BadTokenizer"),
    "index that leads outside": (index_outside, "CorruptWeights"),
    "auto_map": (config(auto_map={"AutoModelForCausalLM": "evil.Model"}), "CustomCode"),
    "config is a link to a secret": (link_outside("config.json", "/etc/passwd"), "BadConfig"),
    "config is a link to itself": (link_outside("config.json", "config.json"), "BadConfig"),
    "config is an endless device": (link_outside("config.json", "/dev/zero"), "BadConfig"),
}  # fmt: skip

LOOPS = "{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}"
BOMBS = {
    "loops": LOOPS,
    "9**9**9": "{{ 9 ** (9 ** 9) }}",
    "ten gigabytes": "{{ 'a' * 10 ** 10 }}",
    "doubling": (
        "{% set ns = namespace(t='a' * 99) %}{% for i in range(99) %}{% set ns.t = ns.t ~ ns.t %}{% endfor %}{{ ns.t }}"
    ),
    "recursion": "{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}",
    "200 MB of prompt": "{% for a in range(99999) %}{{ 'x' * 2000 }}{% endfor %}",
    "nested": "{% if 1 %}" * 2000 + "{% endif %}" * 2000,
}  # fmt: skip


def fetch_job(folder: Path, model: Path) -> Path:
    """The document of a fetch Job that reads a directory."""
    document = {
        "kind": "Fetch", "repo": "volume/claim", "directory": str(model), "cacheDir": str(folder / "cache"),
        "maxBytes": 1 << 34, "cacheMaxBytes": 0,
    }  # fmt: skip
    path = folder / "job.json"
    path.write_text(json.dumps(document))
    return path


def assert_bounded(result: Measured) -> None:
    assert result.peak_bytes < MEMORY_BYTES
    assert result.cpu_seconds < CPU_SECONDS


@pytest.mark.parametrize(("damage", "reason"), UNSAFE.values(), ids=UNSAFE.keys())
def test_unsafe_model_ends_check_and_fetch(
    checkpoint: Any, tmp_path: Path, damage: Callable[[Any], None], reason: str
) -> None:
    damage(checkpoint)
    check = measured("check", str(checkpoint.path), "--json", log=tmp_path / "check")
    assert (check.code, json.loads(check.out)["reason"]) == (78, reason)
    assert_bounded(check)
    job = measured("job", "--file", str(fetch_job(tmp_path, checkpoint.path)), log=tmp_path / "job")
    assert (job.code, json.loads(job.out.splitlines()[-1])["reason"]) == (78, reason)
    assert_bounded(job)
    assert not list((tmp_path / "cache").glob("*/*/*/model.safetensors"))


@pytest.mark.parametrize("source", BOMBS.values(), ids=BOMBS.keys())
def test_a_template_bomb_ends_check(checkpoint: Any, tmp_path: Path, source: str) -> None:
    template(source)(checkpoint)
    check = measured("check", str(checkpoint.path), "--json", log=tmp_path / "check")
    assert (check.code, json.loads(check.out)["reason"]) == (78, "TemplateRefused")
    assert_bounded(check)


@pytest.mark.parametrize("name", ["loops", "doubling", "nested"])
def test_a_template_bomb_is_reported_by_fetch(checkpoint: Any, tmp_path: Path, name: str) -> None:
    """One bomb for each way to end: by time, by memory, by an exception; the audit is that of `check`.

    A fetch renders no prompt that is used, so the model is fetched; the summary mentions its template.
    """
    template(BOMBS[name])(checkpoint)
    job = measured("job", "--file", str(fetch_job(tmp_path, checkpoint.path)), log=tmp_path / "job")
    summary = json.loads(job.out.splitlines()[-1])
    assert (job.code, summary["reason"]) == (0, "Fetched") and "refuse" in summary["message"]
    assert_bounded(job)


@pytest.mark.parametrize("bits", [0x7FC0, 0x7F80, 0xFF80], ids=["nan", "inf", "-inf"])
def test_weights_that_are_no_numbers_end_check(checkpoint: Any, tmp_path: Path, bits: int) -> None:
    first_value(bits)(checkpoint)
    check = measured("check", str(checkpoint.path), "--json", log=tmp_path / "check")
    assert (check.code, json.loads(check.out)["reason"]) == (78, "NonFiniteWeights")
    assert_bounded(check)


def test_pickle_beside_the_weights_is_not_fetched(checkpoint: Any, tmp_path: Path) -> None:
    written("pytorch_model.bin", b"cos\nsystem\n(S'touch owned'\ntR.")(checkpoint)
    assert measured("check", str(checkpoint.path), log=tmp_path / "check").code == 0
    job = measured("job", "--file", str(fetch_job(tmp_path, checkpoint.path)), log=tmp_path / "job")
    assert job.code == 0
    assert_bounded(job)
    fetched = {path.name for path in (tmp_path / "cache").rglob("*") if path.is_file()}
    assert "model.safetensors" in fetched and "pytorch_model.bin" not in fetched


def test_sound_model_is_within_the_same_bounds(checkpoint: Any, tmp_path: Path) -> None:
    check = measured("check", str(checkpoint.path), log=tmp_path / "check")
    assert check.code == 0
    assert_bounded(check)


LATE = {
    "template bomb": (template(BOMBS["recursion"]), "TemplateRefused"),
    "template that knows tasks": (template("{{ 'HINT' if 'area' in messages[-1].content }}"), "TemplateRefused"),
    "NaN": (first_value(0x7FC0), "NonFiniteWeights"),
    "10**6 layers": (config(num_hidden_layers=10**6), "BadConfig"),
    "50 MB tokenizer": (written("tokenizer.json", b" " * (50 * MB)), "BadTokenizer"),
    "100 MB header": (long_header, "CorruptWeights"),
}


@pytest.mark.engine
@pytest.mark.parametrize(("damage", "reason"), LATE.values(), ids=LATE.keys())
def test_run_ends_before_the_engine_has_the_model(
    checkpoint: Any, models: Path, tmp_path: Path, damage: Callable[[Any], None], reason: str
) -> None:
    """Without the bounds of the others: meanwhile `run` imports the engine."""
    pytest.importorskip("vllm")
    damage(checkpoint)
    arguments = ["--model", str(checkpoint.path), "--tasks", str(models / "tasks.jsonl"), "--limit", "2"]
    result = measured("run", *arguments, "--out", str(tmp_path / "out"), log=tmp_path / "run")
    assert result.code == 78 and reason in result.out
    assert result.cpu_seconds < 4 * CPU_SECONDS, "most of it the import"
    summary = json.loads((tmp_path / "out" / "summary.json").read_text())
    assert (summary["reason"], summary["score"]) == (reason, "0.000000")
