"""The import of vLLM in a thread, while a model is checked and its prompts are encoded; batch-invariant mode.

The import takes longer than all other preparation. The environment is set first, because torch and vLLM read it while
they are imported.

Batch-invariant mode has kernels whose results do not depend on which other requests are computed at the same time. With
it a greedy answer on one GPU is the same in any order and with any other prompts around it, also in 16-bit formats. It
exists in vLLM for NVIDIA GPUs of compute capability 8.0 and up, costs some throughput, and is selected by an
environment variable.
"""

from __future__ import annotations

import gc
import logging
import os
import platform
import re
import threading
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Any

from bitagent_crds.conditions import Reason
from bitagent_evaluator.engines.gpu_access import missing_gpu, see_gpus
from bitagent_evaluator.engines.plan import Hardware
from bitagent_evaluator.models.validation.files import weight_files
from bitagent_evaluator.support.faults import InfrastructureFault
from bitagent_evaluator.support.text import first_line

BATCH_INVARIANT_VARIABLE = "VLLM_BATCH_INVARIANT"
MIN_CAPABILITY = (8, 0)
"""Compute capability from which on batch-invariant mode exists."""


def batch_invariant(capability: tuple[int, int] | None, setting: str | None) -> bool:
    """Return whether to use batch-invariant mode: wherever it exists, unless the environment sets the variable to 0.

    `capability` is that of the least capable NVIDIA GPU, or None on other hardware; `setting` is the variable's value.
    """
    return capability is not None and capability >= MIN_CAPABILITY and setting != "0"


SMALL_MODEL_BYTES = 200 << 20
"""Size of the weights below which several threads slow a CPU down (measured: half the throughput)."""

ENVIRONMENT: Mapping[str, str] = {
    "VLLM_ENABLE_V1_MULTIPROCESSING": "0",
    "VLLM_CONFIGURE_LOGGING": "0",
    "VLLM_NO_USAGE_STATS": "1",
    "DO_NOT_TRACK": "1",
    "HF_HUB_OFFLINE": "1",
    "TOKENIZERS_PARALLELISM": "false",
    "TORCH_CPP_LOG_LEVEL": "ERROR",
    "TORCH_LOGS": "-torch",
}
"""Environment in which vLLM and torch are imported."""


@contextmanager
def without_garbage_collection() -> Iterator[None]:
    """Create objects that live as long as the process, and exclude them from garbage collection.

    Collections take a fifth of vLLM's import, and a second whenever an engine that ends requests one.
    """
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()


class Preload:
    """The import of vLLM in a thread."""

    def __init__(self, model_dir: Path) -> None:
        """Set the environment and start the import."""
        size = sum((model_dir / name).stat().st_size for name in weight_files(os.listdir(model_dir)))
        os.environ.update(ENVIRONMENT)
        if size < SMALL_MODEL_BYTES:
            os.environ.setdefault("OMP_NUM_THREADS", "1")
        self._hardware: Hardware | None = None
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._import, name="preload", daemon=True)
        self._thread.start()

    def _import(self) -> None:
        try:
            for name in ("vllm", "torch", "transformers"):
                logging.getLogger(name).setLevel(logging.ERROR)
            warnings.filterwarnings("ignore", category=FutureWarning)
            with without_garbage_collection():
                import torch

                self._hardware = _hardware(torch)
                os.environ[BATCH_INVARIANT_VARIABLE] = str(int(self._hardware.batch_invariant))
                if not self._hardware.gpus:
                    # Nothing of the model is compiled on a CPU, but vLLM would compile the counting of ranks for the
                    # first loss, which takes 3 s and fails in images without a compiler.
                    os.environ["TORCH_COMPILE_DISABLE"] = "1"
                import vllm.engine.arg_utils
                import vllm.v1.engine.llm_engine  # noqa: F401
        except BaseException as error:  # noqa: BLE001 - raised again by `wait`
            self._error = error

    @property
    def known(self) -> Hardware | None:
        """The hardware; None before everything is imported, and after a failure."""
        return None if self._thread.is_alive() else self._hardware

    def wait(self) -> Hardware:
        """Return the hardware once everything is imported.

        Raises InfrastructureFault if vLLM is built for GPUs and there is none, and what the import raised.
        """
        self._thread.join()
        if self._error is not None:
            raise self._error
        if self._hardware is None:
            raise RuntimeError("importing the engine ended without a result")
        return self._hardware


def _hardware(torch: Any) -> Hardware:
    if torch.cuda.is_available():
        gpus = int(torch.cuda.device_count())
        capability = min(torch.cuda.get_device_capability(gpu) for gpu in range(gpus)) if torch.version.cuda else None
        invariant = batch_invariant(capability, os.environ.get(BATCH_INVARIANT_VARIABLE))
        return Hardware(
            gpus,
            f"{gpus} x {torch.cuda.get_device_name(0)}"[:128],
            memory_bytes=int(torch.cuda.get_device_properties(0).total_memory),
            driver=driver_version(Path("/proc/driver/nvidia/version")),
            batch_invariant=invariant,
        )
    _require_gpu(torch)
    # vLLM 0.32's library for x86 processors without AVX-512 lacks `cpu_gemm_wna16`.
    quantized = platform.machine() != "x86_64" or bool(torch.cpu._is_avx512_supported())
    return Hardware(0, cpu_name(Path("/proc/cpuinfo"))[:128], quantized=quantized)


def _require_gpu(torch: Any) -> None:
    """Raise InfrastructureFault if the installed vLLM runs on GPUs only: it has no other device to run on."""
    root = Path("/")
    driver = driver_version(root / "proc/driver/nvidia/version")
    build = gpu_build(version("vllm"), cuda=torch.version.cuda, hip=getattr(torch.version, "hip", None))
    if build:
        access = see_gpus(build, driver_version=driver, environment=os.environ, error=_cuda_error(torch), root=root)
        raise InfrastructureFault(Reason.ENGINE_FAILED, missing_gpu(access))


def gpu_build(engine: str, *, cuda: str | None, hip: str | None) -> str:
    """Return what a version of vLLM is built for, in words; empty for its build for CPUs, whatever torch can do."""
    if "cpu" in engine:
        return ""
    return f"ROCm {hip}" if hip else f"CUDA {cuda}" if cuda else ""


def _cuda_error(torch: Any) -> str:
    try:
        torch.cuda.init()
    except Exception as error:  # noqa: BLE001 - its text is all that is asked for
        return first_line(str(error))
    return ""


def driver_version(version: Path) -> str:
    """Return the version of NVIDIA's kernel driver from its file in /proc; empty without one."""
    text = version.read_text() if version.exists() else ""
    found = re.search(r"Kernel Module\b.*?\s(\d+(?:\.\d+)+)\s", text)
    return found.group(1) if found else ""


def cpu_name(cpuinfo: Path) -> str:
    """Return the processor's model name."""
    lines = cpuinfo.read_text().splitlines() if cpuinfo.exists() else []
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "CPU")
