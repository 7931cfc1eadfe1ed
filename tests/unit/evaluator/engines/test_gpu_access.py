"""A build for GPUs without one: what is said to be missing."""

from __future__ import annotations

from pathlib import Path

import pytest

from bitagent_evaluator.engines.gpu_access import GpuAccess, missing_gpu, see_gpus

CUDA, ROCM = "CUDA 13.0", "ROCm 7.1"


@pytest.mark.parametrize(
    ("access", "words"),
    [
        pytest.param(GpuAccess(CUDA), ("no NVIDIA driver", "nodeSelector"), id="no driver"),
        pytest.param(
            GpuAccess(CUDA, driver=True, environment={"NVIDIA_VISIBLE_DEVICES": "void"}),
            ("NVIDIA_VISIBLE_DEVICES is 'void'", "request nvidia.com/gpu"),
            id="nothing requested",
        ),
        pytest.param(
            GpuAccess(CUDA, driver=True, environment={"NVIDIA_VISIBLE_DEVICES": "all"}),
            ("requests nvidia.com/gpu", "device plugin", "runtimeClassName"),
            id="no device given",
        ),
        pytest.param(GpuAccess(CUDA, driver=True), ("device plugin", "runtimeClassName"), id="no variable either"),
        pytest.param(
            GpuAccess(CUDA, driver=True, driver_version="470.1", devices=True, error="too old (found version 11040)"),
            ("NVIDIA driver 470.1", "too old for CUDA 13.0", "found version 11040"),
            id="old driver",
        ),
        pytest.param(
            GpuAccess(CUDA, driver=True, devices=True, environment={"CUDA_VISIBLE_DEVICES": "-1"}),
            ("CUDA_VISIBLE_DEVICES is '-1'", "remove it"),
            id="hidden",
        ),
        pytest.param(GpuAccess(ROCM), ("no amdgpu driver",), id="ROCm without driver"),
        pytest.param(GpuAccess(ROCM, driver=True), ("requests amd.com/gpu",), id="ROCm without device"),
        pytest.param(
            GpuAccess(ROCM, driver=True, devices=True, environment={"HIP_VISIBLE_DEVICES": ""}),
            ("HIP_VISIBLE_DEVICES is ''",),
            id="ROCm, hidden",
        ),
    ],
)
def test_missing_part_is_named(access: GpuAccess, words: tuple[str, ...]) -> None:
    said = missing_gpu(access)
    assert access.build in said
    assert [word for word in words if word not in said] == []


def test_build_for_cpus_misses_nothing() -> None:
    assert missing_gpu(GpuAccess("")) == ""


@pytest.mark.parametrize(
    ("build", "files", "driver", "devices"),
    [
        pytest.param(CUDA, [], False, False, id="nothing"),
        pytest.param(CUDA, ["proc/driver/nvidia/version", "dev/nvidiactl"], True, False, id="control device only"),
        pytest.param(CUDA, ["proc/driver/nvidia/version", "dev/nvidia0"], True, True, id="NVIDIA"),
        pytest.param(ROCM, ["proc/driver/nvidia/version", "dev/nvidia0"], False, False, id="the other maker's"),
        pytest.param(ROCM, ["sys/module/amdgpu", "dev/kfd"], True, True, id="AMD"),
    ],
)
def test_what_is_seen(tmp_path: Path, build: str, files: list[str], *, driver: bool, devices: bool) -> None:
    for name in files:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    seen = see_gpus(build, driver_version="", environment={}, error="", root=tmp_path)
    assert (seen.driver, seen.devices) == (driver, devices)
