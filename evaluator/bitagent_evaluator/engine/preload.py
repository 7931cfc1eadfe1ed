"""Import vLLM in a thread while the model is checked and its prompts are written: the import takes longer than all of that.

The environment is set first, because torch and vLLM read it while they are imported.
"""

from __future__ import annotations

import gc
import logging
import os
import threading
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from bitagent_evaluator.engine.invariance import VARIABLE, batch_invariant
from bitagent_evaluator.engine.plan import Hardware
from bitagent_evaluator.safety.selection import weight_files

_SMALL_MODEL_BYTES = 200 << 20
"""Below this more threads cost a CPU more than they give (measured: half the throughput)."""

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


@contextmanager
def lasting_objects() -> Iterator[None]:
    """Make objects that stay for the life of the process without the garbage collector going over them again and again.

    It takes a fifth of vLLM's import, and a second whenever an engine that ends calls for a collection.
    """
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()


class Preload:
    """vLLM's import under way. `wait` ends it."""

    def __init__(self, model_dir: Path) -> None:
        """Set the environment and start importing."""
        size = sum((model_dir / name).stat().st_size for name in weight_files(os.listdir(model_dir)))
        os.environ.update(ENVIRONMENT)
        if size < _SMALL_MODEL_BYTES:
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
            with lasting_objects():
                import torch

                self._hardware = _hardware(torch)
                os.environ[VARIABLE] = str(int(self._hardware.batch_invariant))
                if not self._hardware.gpus:
                    # Nothing of the model is compiled on a CPU, but vLLM would compile the counting of ranks for the first loss: 3 s, and
                    # in images without a compiler a failure.
                    os.environ["TORCH_COMPILE_DISABLE"] = "1"
                import vllm.engine.arg_utils
                import vllm.v1.engine.llm_engine  # noqa: F401
        except BaseException as error:  # noqa: BLE001 - handed to the thread that waits
            self._error = error

    def wait(self) -> Hardware:
        """The hardware, once everything is imported. Raises what the import raised."""
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
        invariant = batch_invariant(capability, os.environ.get(VARIABLE))
        return Hardware(gpus, f"{gpus} x {torch.cuda.get_device_name(0)}"[:128], invariant)
    return Hardware(0, cpu_name(Path("/proc/cpuinfo"))[:128])


def cpu_name(cpuinfo: Path) -> str:
    """The processor's model name."""
    lines = cpuinfo.read_text().splitlines() if cpuinfo.exists() else []
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "CPU")
