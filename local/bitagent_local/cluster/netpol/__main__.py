"""Run the enforcer in the current network namespace: `python3 -m bitagent_local.cluster.netpol KUBECONFIG SOCKET`."""

from __future__ import annotations

import logging
import sys
from pathlib import Path

from bitagent_local.cluster.api import Api
from bitagent_local.cluster.netpol.enforcer import Enforcer

if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    kubeconfig, socket = (Path(argument) for argument in sys.argv[1:])
    Enforcer(Api.from_kubeconfig(kubeconfig)).run(socket)
