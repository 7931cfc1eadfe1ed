"""The process of a verb: JSON on stdout, failures and log lines on stderr, and its end.

Nothing here imports a library for terminals: Jobs run without one.
"""

from __future__ import annotations

import json
import logging
import math
import os
import sys
from collections.abc import Mapping
from typing import Any

from bitagent_crds.logs import JsonFormatter, TextFormatter
from bitagent_crds.printable import BREAKS, escape_unprintable, printable_json


def print_json(document: Any) -> None:
    """Print one JSON document; numbers that JSON does not have become the texts `inf`, `-inf` and `nan`."""
    text = json.dumps(_finite(document), ensure_ascii=False, indent=2, allow_nan=False)
    sys.stdout.write(printable_json(text) + "\n")


def _finite(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _finite(member) for key, member in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(member) for member in value]
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value


def fail(verb: str, message: str, code: int) -> int:
    """Print what went wrong to stderr. Returns the exit code, for the verb to return."""
    complain(verb, message)
    return code


def complain(verb: str, message: str) -> None:
    """Print a message to stderr, without control characters: names of files and words of others may have them."""
    sys.stderr.write(f"bitagent-eval {verb}: {escape_unprintable(message, keep=BREAKS)}\n")


def configure_logging(level: int = logging.INFO, *, json_lines: bool | None = None) -> None:
    """Send this program's records of `level`, and warnings of others, to stderr.

    Lines are JSON objects unless stderr is a terminal, or as `json_lines` says.
    """
    handler = logging.StreamHandler(sys.stderr)
    as_json = json_lines if json_lines is not None else not sys.stderr.isatty()
    handler.setFormatter(JsonFormatter() if as_json else TextFormatter("%(asctime)s %(message)s", "%H:%M:%S"))
    logging.basicConfig(handlers=[handler], level=logging.WARNING, force=True)
    logging.getLogger("bitagent_evaluator").setLevel(level)


def leave(code: int) -> int:
    """End the process at once if an engine was loaded: its libraries take seconds to shut down and may crash then.

    Returns the exit code otherwise.
    """
    if "torch" not in sys.modules:
        return code
    logging.shutdown()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)
