"""Batch-invariant mode: where it is chosen, that vLLM sees the choice in time, and that results record it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from bitagent_crds.minermodel import Engine as EngineChoices
from bitagent_evaluator.engine.invariance import batch_invariant
from bitagent_evaluator.engine.plan import Hardware, plan_engine


@pytest.mark.parametrize(
    ("capability", "setting", "wanted"),
    [
        pytest.param((9, 0), None, True, id="H100"),
        pytest.param((8, 0), None, True, id="A100"),
        pytest.param((7, 5), None, False, id="T4"),
        pytest.param((7, 5), "1", False, id="T4, asked for"),
        pytest.param(None, None, False, id="no NVIDIA GPU"),
        pytest.param(None, "1", False, id="no NVIDIA GPU, asked for"),
        pytest.param((9, 0), "0", False, id="switched off"),
        pytest.param((9, 0), "1", True, id="switched on"),
    ],
)
def test_mode_is_used_where_it_exists(capability: tuple[int, int] | None, setting: str | None, wanted: bool) -> None:
    assert batch_invariant(capability, setting) is wanted


TORCH = """
class version: cuda = {cuda!r}
class cuda:
    is_available = staticmethod(lambda: {gpus} > 0)
    device_count = staticmethod(lambda: {gpus})
    get_device_name = staticmethod(lambda gpu: "Example")
    get_device_capability = staticmethod(lambda gpu: [(9, 0), (7, 0)][gpu])
"""
PROGRAM = """
import pathlib, sys
from bitagent_evaluator.engine.preload import Preload
hardware = Preload(pathlib.Path(sys.argv[1])).wait()
import vllm
print(hardware.gpus, hardware.batch_invariant, vllm.seen)
"""


@pytest.mark.parametrize(
    ("gpus", "cuda", "wanted"),
    [
        pytest.param(1, "13.0", "1 True 1", id="new GPU"),
        pytest.param(2, "13.0", "2 False 0", id="the least capable GPU decides"),
        pytest.param(1, None, "1 False 0", id="no NVIDIA GPU"),
        pytest.param(0, None, "0 False 0", id="CPU"),
    ],
)
def test_vllm_sees_the_choice_when_it_is_imported(
    tmp_path: Path, models: Path, gpus: int, cuda: str | None, wanted: str
) -> None:
    """With stand-ins for torch and vLLM: the second notes the environment in which it is imported."""
    (tmp_path / "torch.py").write_text(TORCH.format(gpus=gpus, cuda=cuda))
    for package in ("vllm", "vllm/engine", "vllm/v1", "vllm/v1/engine"):
        (tmp_path / package).mkdir()
        (tmp_path / package / "__init__.py").touch()
    (tmp_path / "vllm/__init__.py").write_text("import os\nseen = os.environ['VLLM_BATCH_INVARIANT']\n")
    (tmp_path / "vllm/engine/arg_utils.py").touch()
    (tmp_path / "vllm/v1/engine/llm_engine.py").touch()
    path = os.pathsep.join([str(tmp_path), *sys.path])
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(models / "tiny-fc-1200")],
        env={**os.environ, "PYTHONPATH": path}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.stdout.strip() == wanted, done.stderr


@pytest.mark.parametrize("invariant", [True, False], ids=["on", "off"])
def test_provenance_records_the_mode_and_the_engine_does_not_get_it(invariant: bool) -> None:
    config = {
        "hidden_size": 96, "num_hidden_layers": 3, "num_attention_heads": 3, "max_position_embeddings": 2048,
        "intermediate_size": 288, "vocab_size": 640,
    }  # fmt: skip
    plan = plan_engine(config, EngineChoices(), Hardware(1, "GPU", invariant), lengths=[9], max_tokens=9)
    assert plan.recorded == {**plan.arguments, "batch_invariant": invariant}
    assert "batch_invariant" not in plan.arguments
