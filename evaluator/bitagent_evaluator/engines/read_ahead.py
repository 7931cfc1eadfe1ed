"""Weights of a model that comes later, read into the file cache while the engine generates.

Loading them is then a copy in memory, however slow their volume is. What is read can be dropped by the kernel at any
time, so it takes no memory from anybody.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Sequence
from pathlib import Path

from bitagent_evaluator.engines.memory import cpu_memory
from bitagent_evaluator.models.checkpoint import weight_paths

_CHUNK_BYTES = 8 << 20
_SHARE = 2
"""At most this part, one in so many, of the memory that is free is filled."""

_log = logging.getLogger(__name__)


class ReadAhead:
    """Reads the weights of models in a thread, each model once."""

    def __init__(self) -> None:
        self._done: set[Path] = set()
        self._thread: threading.Thread | None = None

    def begin(self, model_dirs: Sequence[Path]) -> None:
        """Begin to read the weights of the first of these models that was not read; an earlier model is read first."""
        left = [folder for folder in model_dirs if folder not in self._done]
        if not left or (self._thread is not None and self._thread.is_alive()):
            return
        self._done.add(left[0])
        self._thread = threading.Thread(target=_read, args=(left[0],), name="read-ahead", daemon=True)
        self._thread.start()

    def wait(self) -> None:
        """Wait until what has begun is read."""
        if self._thread is not None:
            self._thread.join()


def _read(model_dir: Path) -> None:
    """Read the files, as far as they fit. A file that cannot be read is the concern of the model's own evaluation."""
    try:
        room = cpu_memory().free // _SHARE
        for path in weight_paths(model_dir):
            if room <= 0:
                return
            with path.open("rb", buffering=0) as file:
                while room > 0 and (chunk := file.read(_CHUNK_BYTES)):
                    room -= len(chunk)
    except OSError as error:
        _log.info("%s could not be read ahead: %s", model_dir, error)
