"""Logging of a controller: one JSON object a line in pods, text on a terminal.

A JSON line names the object that it is about in members of its own, so that a log can be searched by them.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from types import MappingProxyType

from bitagent_crds.logs import JsonFormatter, TextFormatter

_NONE: Mapping[str, str] = MappingProxyType({})
_FIELDS: ContextVar[Mapping[str, str]] = ContextVar("fields", default=_NONE)


@contextmanager
def fields(**values: str) -> Iterator[None]:
    """Give these members to every line that is logged inside, also by tasks that are started there."""
    token = _FIELDS.set({**_FIELDS.get(), **values})
    try:
        yield
    finally:
        _FIELDS.reset(token)


def _add_fields(record: logging.LogRecord) -> bool:
    record.fields = {**_FIELDS.get(), **getattr(record, "fields", {})}
    return True


def on_terminal() -> bool:
    """Whether standard error is a terminal."""
    return sys.stderr.isatty()


def configure(*, json_lines: bool, level: int = logging.INFO, levels: Mapping[str, int] | None = None) -> None:
    """Send all logging to standard error; `levels` are those of single loggers."""
    handler = logging.StreamHandler(sys.stderr)
    text = TextFormatter("%(asctime)s %(levelname)-7s %(name)s: %(message)s", datefmt="%H:%M:%S")
    handler.setFormatter(JsonFormatter() if json_lines else text)
    handler.addFilter(_add_fields)
    logging.basicConfig(level=level, handlers=[handler], force=True)
    for name, own_level in (levels or {}).items():
        logging.getLogger(name).setLevel(own_level)
