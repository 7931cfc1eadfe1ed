"""Hands the row of each sealed commit to the simulated chain, from within the process that seals it with the real SDK.

The chain cannot open a commit: that needs signatures of future drand rounds. Python imports a module of this name when
it starts, so that any program can be given this folder without a change:

    PYTHONPATH=local/escrow BITAGENT_LOCAL_ESCROW=http://127.0.0.1:9945 bitagent-validator run ...

Without the variable nothing is done. A row that cannot be handed over is named on stderr; its commit will be dropped.
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
    """Wrap the SDK's function that seals rows."""
    import bittensor_core

    seal = bittensor_core.get_encrypted_commit_v2

    def sealed(*positional: Any, **named: Any) -> Any:
        commit, reveal_round = seal(*positional, **named)
        row = {
            "commit": bytes(commit).hex(),
            "hotkey": bittensor_core.ss58_encode(bytes(named["hotkey"]), SS58_FORMAT),
            "uids": list(named["uids"]),
            "weights": list(named["weights"]),
            "version_key": named["version_key"],
        }
        request = urllib.request.Request(f"{admin}/escrow", data=json.dumps(row).encode(), method="POST")
        try:
            urllib.request.urlopen(request, timeout=SECONDS).close()
        except OSError as error:
            print(f"the simulated chain at {admin} did not take the row of a commit: {error}", file=sys.stderr)
        return commit, reveal_round

    bittensor_core.get_encrypted_commit_v2 = sealed


if os.environ.get(VARIABLE):
    install(os.environ[VARIABLE])
