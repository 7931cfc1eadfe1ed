"""Logging: one JSON object a line in pods, plain lines on a terminal."""

from __future__ import annotations

import logging
import sys

from bitagent_crds.logs import JsonFormatter


def configure(*, json_lines: bool) -> None:
    """Log to standard error from now on."""
    handler = logging.StreamHandler(sys.stderr)
    plain = logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s")
    handler.setFormatter(JsonFormatter() if json_lines else plain)
    logging.basicConfig(level=logging.INFO, handlers=[handler], force=True)
    # The SDK's transport tells every reconnect in detail; ours tells it once.
    logging.getLogger("bittensor").setLevel(logging.ERROR)
