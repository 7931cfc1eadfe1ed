"""Hands what a process seals with the real SDK to the simulated chain: rows of weights and data of commitments.

The chain cannot open them: that needs signatures of future drand rounds. Python imports a module of this name when it
starts, so that any program can be given this folder without a change:

    PYTHONPATH=local/escrow BITAGENT_LOCAL_ESCROW=http://127.0.0.1:9945 bitagent-validator run ...

Without the variable nothing is done. What cannot be handed over is named on stderr; the chain will drop it.
"""

from __future__ import annotations

import json
import os
import sys
import urllib.request
from typing import Any

VARIABLE = "BITAGENT_LOCAL_ESCROW"
SECONDS = 5
SS58_FORMAT = 42


def install(admin: str) -> None:
    """Wrap the SDK's functions that seal."""
    import bittensor_core

    seal_row, seal_data = bittensor_core.get_encrypted_commit_v2, bittensor_core.encrypt_at_round

    def sealed_row(*positional: Any, **named: Any) -> Any:
        commit, reveal_round = seal_row(*positional, **named)
        row = {
            "commit": bytes(commit).hex(),
            "hotkey": bittensor_core.ss58_encode(bytes(named["hotkey"]), SS58_FORMAT),
            "uids": list(named["uids"]),
            "weights": list(named["weights"]),
            "version_key": named["version_key"],
        }
        _post(admin, row)
        return commit, reveal_round

    def sealed_data(data: bytes, reveal_round: int) -> Any:
        envelope, used_round = seal_data(data, reveal_round)
        inner = bytes(bittensor_core.inner_ciphertext(envelope))
        _post(admin, {"commit": inner.hex(), "data": bytes(data).hex()})
        return envelope, used_round

    bittensor_core.get_encrypted_commit_v2, bittensor_core.encrypt_at_round = sealed_row, sealed_data


def _post(admin: str, content: dict[str, Any]) -> None:
    request = urllib.request.Request(f"{admin}/escrow", data=json.dumps(content).encode(), method="POST")
    try:
        urllib.request.urlopen(request, timeout=SECONDS).close()
    except OSError as error:
        print(f"the simulated chain at {admin} did not take what was sealed: {error}", file=sys.stderr)


if os.environ.get(VARIABLE):
    install(os.environ[VARIABLE])
