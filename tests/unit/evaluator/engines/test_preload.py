"""The import of vLLM: its environment, batch-invariant mode, and the hardware that it finds."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from bitagent_crds.conditions import Reason
from bitagent_evaluator.engines.preload import batch_invariant, cpu_name, driver_version, gpu_build


@pytest.mark.parametrize(
    ("capability", "setting", "expected"),
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
def test_mode_is_used_where_it_exists(capability: tuple[int, int] | None, setting: str | None, expected: bool) -> None:
    assert batch_invariant(capability, setting) is expected


TORCH = """
class version: cuda = {cuda!r}
class cuda:
    is_available = staticmethod(lambda: {gpus} > 0)
    device_count = staticmethod(lambda: {gpus})
    get_device_name = staticmethod(lambda gpu: "Example")
    get_device_properties = staticmethod(lambda gpu: type("Properties", (), dict(total_memory=7 << 30)))
    get_device_capability = staticmethod(lambda gpu: [(9, 0), (7, 0)][gpu])

class cpu:
    _is_avx512_supported = staticmethod(lambda: False)
"""
PROGRAM = """
import pathlib, sys
from bitagent_evaluator.engines.preload import Preload
hardware = Preload(pathlib.Path(sys.argv[1])).wait()
import vllm
print(hardware.gpus, hardware.batch_invariant, vllm.seen, hardware.quantized)
"""


@pytest.mark.parametrize(
    ("gpus", "cuda", "expected"),
    [
        pytest.param(1, "13.0", "1 True 1 True", id="new GPU"),
        pytest.param(2, "13.0", "2 False 0 True", id="the least capable GPU decides"),
        pytest.param(1, None, "1 False 0 True", id="no NVIDIA GPU"),
        pytest.param(0, None, "0 False 0 False", id="CPU without AVX-512"),
    ],
)
def test_vllm_sees_the_choice_when_it_is_imported(
    tmp_path: Path, models: Path, gpus: int, cuda: str | None, expected: str
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
    assert done.stdout.strip() == expected, done.stderr


FAILING = """
import pathlib, sys
from bitagent_evaluator.engines.vllm import VllmBackend
from bitagent_evaluator.support.faults import InfrastructureFault
backend = VllmBackend()
backend.prepare(pathlib.Path(sys.argv[1]))
try:
    backend.hardware()
except InfrastructureFault as fault:
    print(fault.reason, fault.message)
"""


def test_engine_for_gpus_says_what_is_missing(tmp_path: Path, models: Path) -> None:
    """With a stand-in for torch's CUDA build, and the metadata of a vLLM that is not the one for CPUs."""
    (tmp_path / "torch.py").write_text(TORCH.format(gpus=0, cuda="13.0"))
    (tmp_path / "vllm-0.32.0.dist-info").mkdir()
    (tmp_path / "vllm-0.32.0.dist-info/METADATA").write_text("Metadata-Version: 2.1\nName: vllm\nVersion: 0.32.0\n")
    path = os.pathsep.join([str(tmp_path), *sys.path])
    done = subprocess.run(
        [sys.executable, "-c", FAILING, str(models / "tiny-fc-1200")],
        env={**os.environ, "PYTHONPATH": path, "CUDA_VISIBLE_DEVICES": ""}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    reason, _, message = done.stdout.partition(" ")
    assert reason == Reason.ENGINE_FAILED, done.stderr
    assert "CUDA_VISIBLE_DEVICES" in message


@pytest.mark.parametrize(
    ("engine", "cuda", "hip", "expected"),
    [
        pytest.param("0.32.0+cpu", "13.0", None, "", id="the engine for CPUs beside torch for GPUs"),
        pytest.param("0.32.0", "13.0", None, "CUDA 13.0", id="CUDA"),
        pytest.param("0.32.0+rocm711", None, "7.1.1", "ROCm 7.1.1", id="ROCm"),
        pytest.param("0.32.0", None, None, "", id="torch for CPUs"),
    ],
)
def test_what_the_engine_is_built_for(engine: str, cuda: str | None, hip: str | None, expected: str) -> None:
    assert gpu_build(engine, cuda=cuda, hip=hip) == expected


def test_processor_has_a_name(tmp_path: Path) -> None:
    (tmp_path / "cpuinfo").write_text("processor\t: 0\nmodel name\t: Example 9000\n")
    assert cpu_name(tmp_path / "cpuinfo") == "Example 9000"
    assert cpu_name(tmp_path / "none") == "CPU"


OPEN = "NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  570.86.15  Release Build  (root@host)  Thu Jan 23 2025"
CLOSED = "NVRM version: NVIDIA UNIX x86_64 Kernel Module  535.104.05  Sat Aug 19 01:15:15 UTC 2023"


@pytest.mark.parametrize(
    ("text", "version"),
    [
        pytest.param(f"{OPEN}\nGCC version:  gcc version 12.3.0 (Ubuntu 12.3.0)\n", "570.86.15", id="open module"),
        pytest.param(f"{CLOSED}\nGCC version:  gcc version 12.3.0\n", "535.104.05", id="closed module"),
        pytest.param("something else\n", "", id="another text"),
        pytest.param(None, "", id="no driver"),
    ],
)
def test_driver_has_a_version(tmp_path: Path, text: str | None, version: str) -> None:
    if text is not None:
        (tmp_path / "version").write_text(text)
    assert driver_version(tmp_path / "version") == version
