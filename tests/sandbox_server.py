"""A program for tests: children of sandboxes that find their worker imported, since its import takes most of a start.

    python -P sandbox_server.py SOCKET MODULE     imports the module of a worker, then starts children of sandboxes

A request is the JSON list of a child's arguments, with three descriptors: its standard input, its standard output, and
a pipe that is sent its process id as soon as it runs, and its exit code (negative after a signal) once it has ended.
Each child is a fork of this process, which has one thread and has read no input; it takes its limits itself, as ever.
"""

from __future__ import annotations

import gc
import importlib
import json
import os
import socket
import struct
import sys
import traceback
from typing import NoReturn

from bitagent_evaluator.sandbox import child

NUMBER = struct.Struct("i")
_REQUEST_BYTES, _DESCRIPTORS = 1 << 16, 3
_ALL_DESCRIPTORS = 64
"""More than this process ever has."""


def become(arguments: list[str], source: int, sink: int) -> NoReturn:
    """Become the child of a sandbox, with the descriptors that it would have."""
    code = 1
    try:
        os.setpgid(0, 0)
        for number, descriptor in enumerate((source, sink, os.open(os.devnull, os.O_RDWR))):
            os.dup2(descriptor, number)
        os.closerange(3, _ALL_DESCRIPTORS)
        sys.argv = [child.__file__, *arguments]
        child.main()
        code = 0
    except BaseException:  # noqa: BLE001 - as an interpreter ends
        traceback.print_exc()
    finally:
        os._exit(code)


def attend(arguments: list[str], source: int, sink: int, reports: int) -> NoReturn:
    """Start a child and report what becomes of it."""
    pid = os.fork()
    if pid == 0:
        become(arguments, source, sink)
    os.close(source)
    os.close(sink)
    os.write(reports, NUMBER.pack(pid))
    _, status = os.waitpid(pid, 0)
    os.write(reports, NUMBER.pack(os.waitstatus_to_exitcode(status)))
    os._exit(0)


def main() -> None:
    """Start children until the other end of the socket is closed."""
    requests = socket.socket(fileno=int(sys.argv[1]))
    importlib.import_module(sys.argv[2])
    gc.collect()
    gc.freeze()
    attending: set[int] = set()
    while True:
        request, descriptors, _, _ = socket.recv_fds(requests, _REQUEST_BYTES, _DESCRIPTORS)
        for pid in list(attending):
            if os.waitpid(pid, 0 if not request else os.WNOHANG)[0]:
                attending.remove(pid)
        if not request:
            return
        attending.add(os.fork())
        if 0 in attending:
            requests.close()
            attend(json.loads(request), *descriptors)
        for descriptor in descriptors:
            os.close(descriptor)


if __name__ == "__main__":
    main()
