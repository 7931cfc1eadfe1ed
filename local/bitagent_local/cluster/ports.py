"""TCP ports for servers that take a number and cannot choose one themselves."""

from __future__ import annotations

import random
import socket
from contextlib import ExitStack, suppress

PORTS = range(14_000, 30_000)
"""Below the ports of outgoing connections (Linux: from 32768) and of NodePort services (from 30000): one of
those may be in use again before the server opens it."""
_TRIES = 200


def free_ports(count: int) -> list[int]:
    """Return different ports of 127.0.0.1 that no process uses. Raises OSError if there are too few."""
    found: list[int] = []
    with ExitStack() as held:
        for port in random.SystemRandom().sample(PORTS, _TRIES + count):
            if len(found) == count:
                break
            with suppress(OSError):
                held.enter_context(socket.create_server(("127.0.0.1", port)))
                found.append(port)
    if len(found) < count:
        raise OSError(f"no {count} free ports between {PORTS.start} and {PORTS.stop - 1}: end what uses them")
    return found
