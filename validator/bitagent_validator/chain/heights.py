"""The height of another endpoint, by three small requests on a connection of its own.

The SDK's client asks a dozen things to come up, too many for a look every few minutes.
"""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass
from typing import Any

from websockets.asyncio.client import connect

SECONDS = 15.0
"""Time limit of the whole look."""
MAX_BYTES = 256 * 1024


@dataclass(frozen=True)
class Height:
    """What an endpoint says about itself."""

    genesis: str
    """The hash of block 0."""
    finalized: int


async def height(url: str) -> Height | None:
    """Return the height of an endpoint; None if it does not say one in time."""
    try:
        async with asyncio.timeout(SECONDS), connect(url, max_size=MAX_BYTES, open_timeout=SECONDS) as socket:

            async def ask(number: int, method: str, *params: object) -> Any:
                request = {"jsonrpc": "2.0", "id": number, "method": method, "params": list(params)}
                await socket.send(json.dumps(request))
                while True:
                    answer = json.loads(await socket.recv())
                    if isinstance(answer, dict) and answer.get("id") == number:
                        return answer["result"]

            genesis = await ask(1, "chain_getBlockHash", 0)
            header = await ask(3, "chain_getHeader", await ask(2, "chain_getFinalizedHead"))
            return Height(str(genesis), int(str(header["number"]), 16))
    except Exception:  # noqa: BLE001 - another endpoint may answer anything; its height is then not known
        return None
