"""The operator as a program that kills itself at one of its writes: `DIES=before 7`, `DIES=after 7`.

With `DIES=at 7` it is asked to end there (SIGTERM), while the request is under way.

Renewals of its Lease do not count. A write that is sent again counts again.
"""

from __future__ import annotations

import os
import signal
from typing import Any

from bitagent_kube.client import Client
from bitagent_operator.__main__ import main as operator


def main(arguments: list[str]) -> int:
    """Run the operator until the write that DIES names."""
    side, _, place = os.environ["DIES"].partition(" ")
    send, left = Client._send, int(place)

    async def counted(self: Client, method: str, url: str, *rest: Any) -> Any:
        nonlocal left
        if method == "GET" or "/leases" in url:
            return await send(self, method, url, *rest)
        left -= 1
        here = left == 0
        if here and side == "before":
            os.kill(os.getpid(), signal.SIGKILL)
        if here and side == "at":
            os.kill(os.getpid(), signal.SIGTERM)
        answer = await send(self, method, url, *rest)
        if here and side == "after":
            os.kill(os.getpid(), signal.SIGKILL)
        return answer

    Client._send = counted  # type: ignore[assignment,method-assign]
    return operator(arguments)
