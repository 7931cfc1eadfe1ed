"""Log lines: one JSON object a line in pods, plain text on a terminal."""

from __future__ import annotations

import logging
import sys

from bitagent_crds.logs import JsonFormatter


def configure(level: int = logging.INFO, *, json_lines: bool | None = None) -> None:
    """Send our own records of `level` and others' warnings to stderr; as JSON unless it is a terminal, or as told."""
    handler = logging.StreamHandler(sys.stderr)
    as_json = json_lines if json_lines is not None else not sys.stderr.isatty()
    handler.setFormatter(JsonFormatter() if as_json else logging.Formatter("%(asctime)s %(message)s", "%H:%M:%S"))
    logging.basicConfig(handlers=[handler], level=logging.WARNING, force=True)
    logging.getLogger("bitagent_evaluator").setLevel(level)
