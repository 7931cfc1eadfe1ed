"""Logging of a controller: one JSON object a line in pods, text on a terminal."""

from __future__ import annotations

import logging
import sys
from collections.abc import Mapping

from bitagent_crds.logs import JsonFormatter, TextFormatter


def on_terminal() -> bool:
    """Whether standard error is a terminal."""
    return sys.stderr.isatty()


def configure(*, json_lines: bool, level: int = logging.INFO, levels: Mapping[str, int] | None = None) -> None:
    """Send all logging to standard error; `levels` are those of single loggers."""
    handler = logging.StreamHandler(sys.stderr)
    text = TextFormatter("%(asctime)s %(levelname)-7s %(name)s: %(message)s", datefmt="%H:%M:%S")
    handler.setFormatter(JsonFormatter() if json_lines else text)
    logging.basicConfig(level=level, handlers=[handler], force=True)
    for name, own_level in (levels or {}).items():
        logging.getLogger(name).setLevel(own_level)
