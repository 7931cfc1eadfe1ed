"""Why a build of vLLM for GPUs finds none: what is missing, on the node or in the pod.

vLLM itself only says `Device string must not be empty`. The kernel shows a container whether the node has a driver,
`/dev` whether the container was given a device, and environment variables what the device plugin, or somebody, set.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

_HIDING = ("CUDA_VISIBLE_DEVICES", "HIP_VISIBLE_DEVICES", "ROCR_VISIBLE_DEVICES")
_NO_DEVICES = frozenset({"", "-1"})
_NOTHING_GIVEN = frozenset({"", "none", "void"})
"""Values of NVIDIA_VISIBLE_DEVICES with which NVIDIA's container runtime gives a container no GPU."""


@dataclass(frozen=True)
class GpuAccess:
    """What a process sees of GPUs."""

    build: str
    """What the engine is built for, such as `CUDA 13.0`, `ROCm 7.1`; empty for a build that runs on a CPU."""
    driver: bool = False
    """Whether the kernel of the node has the GPUs' driver."""
    driver_version: str = ""
    """Empty if unknown."""
    devices: bool = False
    """Whether the container has a device file of a GPU."""
    environment: Mapping[str, str] | None = None
    """The process's environment."""
    error: str = ""
    """What torch says when it is asked to start the GPUs; empty if nothing."""


def missing_gpu(access: GpuAccess) -> str:
    """Return what is missing and what to do, as a sentence, where the engine finds no GPU; empty if it needs none."""
    if not access.build:
        return ""
    environment = access.environment or {}
    said = f" (torch says: {access.error})" if access.error else ""
    begin = f"the engine is built for {access.build} and finds no GPU: "
    for name in _HIDING:
        if environment.get(name, "0").strip() in _NO_DEVICES:
            return f"{begin}the variable {name} is {environment[name]!r}, which hides all of them: remove it"
    rocm = access.build.startswith("ROCm")
    resource, driver = ("amd.com/gpu", "amdgpu driver") if rocm else ("nvidia.com/gpu", "NVIDIA driver")
    if not access.driver:
        return (
            f"{begin}the kernel of this node has no {driver}: install it there, let the pod run on a node that has it "
            "(nodeSelector, affinity), or use the image for CPUs"
        )
    if access.devices:
        version = f" {access.driver_version}" if access.driver_version else ""
        return (
            f"{begin}the node's {driver}{version} and a device are there, but the driver does not start it, as when it "
            f"is too old for {access.build}: update the driver, or use an image for an older version{said}"
        )
    given = environment.get("NVIDIA_VISIBLE_DEVICES")
    if not rocm and given is not None and given.strip() in _NOTHING_GIVEN:
        return (
            f"{begin}NVIDIA_VISIBLE_DEVICES is {given!r}, so the container was given none: request {resource} in its "
            "resource limits (gpuResourceName), and let the node run the device plugin"
        )
    runtime = "" if rocm else ", and NVIDIA's container runtime is used (runtimeClassName, such as nvidia)"
    return (
        f"{begin}the node has the {driver}, but the container has no device: check that the pod requests {resource} "
        f"(gpuResourceName), the node runs the device plugin{runtime}"
    )


def see_gpus(build: str, *, driver_version: str, environment: Mapping[str, str], error: str, root: Path) -> GpuAccess:
    """Return what a process sees whose file system begins at `root`."""
    if build.startswith("ROCm"):
        driver, devices = (root / "sys/module/amdgpu").exists(), (root / "dev/kfd").exists()
    else:
        driver = (root / "proc/driver/nvidia/version").exists()
        devices = any((root / "dev").glob("nvidia[0-9]*")) or (root / "dev/dxg").exists()
    return GpuAccess(build, driver, driver_version, devices, environment, error)
