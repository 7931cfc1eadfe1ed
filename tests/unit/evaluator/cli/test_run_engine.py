"""Several models in one process, with the real engine: results are those of each model alone, byte for byte."""

from __future__ import annotations

import json
import platform
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.conftest import Evaluator

pytestmark = pytest.mark.engine

NAMES = ("tiny-fc-250", "tiny-fc-1200", "tiny-fc-gptq")
QUANTIZED = " avx512f " in Path("/proc/cpuinfo").read_text() or platform.machine() != "x86_64"
"""Whether vLLM has kernels for quantised weights on this processor."""


def run(evaluator: Evaluator, models: Path, tasks: Path, out: Path, *names: str) -> subprocess.CompletedProcess[str]:
    options = ["--tasks", str(tasks), "--out", str(out), "--max-tokens", "48", "--json"]
    return evaluator.run(["run", *(str(models / name) for name in names), *options])


def test_results_are_those_of_each_model_alone(evaluator: Evaluator, models: Path, tmp_path: Path) -> None:
    tasks = tmp_path / "tasks.jsonl"
    tasks.write_text("".join((models / "tasks.jsonl").read_text().splitlines(keepends=True)[:80]))
    names = NAMES if QUANTIZED else NAMES[:2]
    together = run(evaluator, models, tasks, tmp_path / "together", *names)
    assert together.returncode == 0, together.stderr[-3000:]
    assert {entry["model"] for entry in json.loads(together.stdout)} == set(names)
    assert together.stderr.count("loaded the model's weights into the running engine") == 1
    assert ("starting a new engine: the weights are quantised" in together.stderr) is QUANTIZED
    for name in names:
        alone = run(evaluator, models, tasks, tmp_path / "alone" / name, name)
        assert alone.returncode == 0, alone.stderr[-3000:]
        for file in ("responses.jsonl", "verdicts.jsonl", "manifest.json"):
            kept = (tmp_path / "together" / name / file).read_bytes()
            assert kept == (tmp_path / "alone" / name / file).read_bytes(), f"{name}: {file}"
    manifest = json.loads((tmp_path / "together" / "tiny-fc-250" / "manifest.json").read_text())
    assert manifest["engine"]["batch_invariant"] is False
