"""The far side of the pipe: take limits on oneself, import one worker, answer frames until the pipe closes.

Started by `process.BoundedProcess` as `python -m bitagent_evaluator.bounded.child MODULE:CLASS MEMORY_BYTES`. The worker's `handle`
gets a request's body and blobs and returns the answer's body. Processor time is limited per request: the kernel kills the process at the
soft limit, also inside C code that no signal handler could leave.
"""

from __future__ import annotations

import importlib
import math
import os
import resource
import sys
from typing import Any

from bitagent_evaluator.bounded.frames import Decoder, Frame, encode
from bitagent_evaluator.bounded.worker import Refused, Worker

_REQUEST_BYTES = 512 << 20
"""Requests come from our own side; the bound only catches a broken pipe."""


def _limit_memory(memory_bytes: int) -> None:
    resource.setrlimit(resource.RLIMIT_AS, (memory_bytes, memory_bytes))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def _forbid_writing_and_forking() -> None:
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    resource.setrlimit(resource.RLIMIT_NPROC, (0, 0))


def _allow_cpu(seconds: float) -> None:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    soft = math.ceil(usage.ru_utime + usage.ru_stime + seconds)
    resource.setrlimit(resource.RLIMIT_CPU, (soft, resource.RLIM_INFINITY))


def _answer(worker: Worker, request: Frame) -> dict[str, Any]:
    _allow_cpu(request.body["cpu_seconds"])
    try:
        return {"ok": worker.handle(request.body["request"], request.blobs)}
    except Refused as error:
        return {"refused": {"reason": error.reason, "message": error.message}}
    except MemoryError:
        return {"failed": "needs more memory than allowed"}
    except RecursionError:
        return {"failed": "is nested too deeply"}
    except BaseException as error:  # the border: any failure on a stranger's input becomes a message
        if isinstance(error, KeyboardInterrupt):
            raise
        # What Rust libraries raise when they panic is no Exception.
        return {"failed": f"{type(error).__name__}: {str(error)[:300]}"}


def serve(worker: Worker, source: int, sink: int) -> None:
    """Answer requests until `source` closes."""
    decoder = Decoder(_REQUEST_BYTES)
    while data := os.read(source, 1 << 20):
        request = decoder.feed(data)
        if request is None:
            continue
        decoder = Decoder(_REQUEST_BYTES)
        answer = encode(Frame(_answer(worker, request)))
        view = memoryview(answer)
        while view:
            view = view[os.write(sink, view) :]


def main() -> None:
    """Entry point of the child process."""
    sink = os.dup(1)
    os.dup2(2, 1)
    module, name = sys.argv[1].split(":")
    worker: Worker = getattr(importlib.import_module(module), name)()
    _limit_memory(int(sys.argv[2]))
    _forbid_writing_and_forking()
    os.write(sink, encode(Frame({"ok": {}})))
    try:
        serve(worker, 0, sink)
    except MemoryError:  # around a request: reading it or writing its answer, whose sizes follow from the input
        os.abort()


if __name__ == "__main__":
    main()
