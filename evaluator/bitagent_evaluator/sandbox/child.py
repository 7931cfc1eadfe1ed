"""The child of a sandbox: limit this process, create one worker, answer frames until the pipe closes.

`process.Sandbox` starts it as `python -m bitagent_evaluator.sandbox.child LIMITS MODULE:CLASS [ARGUMENT ...]`. Its
first frame says that the worker was created, or why it could not be.
"""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Sequence
from typing import Any

from bitagent_evaluator.sandbox.protocol import (
    PIPE_BYTES,
    Decoder,
    Frame,
    Limits,
    Refused,
    Worker,
    encode,
    limit_cpu,
    limit_processes,
    limit_start,
)

_REQUEST_BYTES = 512 << 20
"""Requests come from this program; the bound only catches a broken pipe."""
_MESSAGE_CHARACTERS = 300


def _answer(worker: Worker, request: Frame) -> bytes:
    limit_cpu(request.body["cpu_seconds"])
    try:
        return encode(Frame({"ok": worker.handle(request.body["request"], request.blobs)}))
    except Refused as error:
        return encode(Frame({"refused": {"reason": error.reason, "message": error.message}}))
    except MemoryError:
        return encode(Frame({"exhausted": "needs more memory than allowed"}))
    except RecursionError:
        return encode(Frame({"failed": "is nested too deeply"}))
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # noqa: BLE001 - whatever untrusted input leads to; a panic in Rust is none of Exception
        return encode(Frame({"failed": _words(error)}))


def _words(error: BaseException) -> str:
    return f"{type(error).__name__}: {str(error)[:_MESSAGE_CHARACTERS]}"


def serve(worker: Worker, source: int, sink: int) -> None:
    """Answer requests until `source` closes."""
    decoder = Decoder(_REQUEST_BYTES)
    buffer = memoryview(bytearray(PIPE_BYTES))  # once: allocating it for each read would cost as much as the read
    while size := os.readv(source, [buffer]):
        request = decoder.feed(buffer[:size])
        if request is None:
            continue
        decoder = Decoder(_REQUEST_BYTES)
        _write(sink, _answer(worker, request))


def _write(sink: int, content: bytes) -> None:
    view = memoryview(content)
    while view:
        view = view[os.write(sink, view) :]


def _create(limits: Limits, path: str, arguments: Sequence[str]) -> Worker:
    limit_start(limits)
    module, name = path.split(":")
    worker: Worker = getattr(importlib.import_module(module), name)(*arguments)
    limit_processes(limits)
    return worker


def main() -> None:
    """Entry point of the child process."""
    sink = os.dup(1)
    os.dup2(2, 1)  # what libraries print is not an answer
    try:
        worker = _create(Limits.from_json(sys.argv[1]), sys.argv[2], sys.argv[3:])
        ready: dict[str, Any] = {"ok": {}}
    except Exception as error:  # noqa: BLE001 - the parent says what cannot be imported or created
        ready = {"failed": _words(error)}
    _write(sink, encode(Frame(ready)))
    if "failed" in ready:
        return
    try:
        serve(worker, 0, sink)
    except MemoryError:  # reading a request or writing its answer, whose sizes follow from the input
        os.abort()


if __name__ == "__main__":
    main()
