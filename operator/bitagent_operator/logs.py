"""Logging: JSON lines in a pod, plain lines on a terminal."""

from __future__ import annotations

import logging
import sys

from bitagent_crds.logs import JsonFormatter

_NOISY = ("kopf.objects", "kopf.activities", "aiohttp.access", "kubernetes")
"""Loggers that write one line per event or request."""


def setup(*, level: int = logging.INFO) -> None:
    """Send all logging to stderr, in the form that suits the reader."""
    handler = logging.StreamHandler(sys.stderr)
    plain = logging.Formatter("%(asctime)s %(levelname)-7s %(name)s: %(message)s", datefmt="%H:%M:%S")
    handler.setFormatter(plain if sys.stderr.isatty() else JsonFormatter())
    logging.basicConfig(level=level, handlers=[handler], force=True)
    for name in _NOISY:
        logging.getLogger(name).setLevel(logging.WARNING)
