"""TCP ports for servers that take a number and cannot choose one themselves.

Between the choice of a port and its server's start nothing holds it, so no two processes choose from the same ports.
"""

from __future__ import annotations

import os
import random
import socket
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from functools import cache
from itertools import cycle, islice

PORTS = range(14_000, 30_000)
"""Below the ports of outgoing connections (Linux: from 32768) and of NodePort services (from 30000): one of
those may be in use again before the server opens it."""
BLOCK = 100
"""Ports of one process."""


def free_ports(count: int) -> list[int]:
    """Return different ports of 127.0.0.1 that no process uses. Raises OSError if there are too few."""
    found: list[int] = []
    with ExitStack() as held:
        for port in islice(_block(os.getpid()).ports, BLOCK):
            if len(found) == count:
                break
            with suppress(OSError):
                held.enter_context(socket.create_server(("127.0.0.1", port)))
                found.append(port)
    if len(found) < count:
        raise OSError(f"no {count} free ports between {PORTS.start} and {PORTS.stop - 1}: end what uses them")
    return found


@dataclass(frozen=True)
class _Block:
    """Ports of one process, and the name that it holds them by: the kernel gives a name once in a network."""

    name: socket.socket
    ports: Iterator[int]
    """Each of them again and again, after all others."""


@cache
def _block(process: int) -> _Block:
    """Take a block for this process, until its end. Raises OSError if all are taken."""
    starts = PORTS[:: min(BLOCK, len(PORTS))]
    for start in random.SystemRandom().sample(starts, len(starts)):
        name = socket.socket(socket.AF_UNIX)
        try:
            name.bind(f"\0bitagent ports from {start}")
        except OSError:
            name.close()
        else:
            return _Block(name, cycle(range(start, start + BLOCK)))
    raise OSError(f"other processes choose from all ports between {PORTS.start} and {PORTS.stop - 1}: end some")
