"""The log formats: JSON in pods, one record a line, and text on terminals. Both show printable characters only."""

from __future__ import annotations

import json
import logging
from datetime import UTC, datetime

from bitagent_crds.printable import BREAKS, escape_all, escape_unprintable


class JsonFormatter(logging.Formatter):
    """Format a record as one JSON line: time (UTC, milliseconds), level, logger, message, and traceback if any.

    The record's `fields`, a mapping of texts, become members beside these.
    """

    def format(self, record: logging.LogRecord) -> str:
        """Return the line."""
        line = dict(getattr(record, "fields", {}))
        line |= {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        return json.dumps(escape_all(line), ensure_ascii=False)


class TextFormatter(logging.Formatter):
    """Format a record as text for a terminal, which no message can steer."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line, and the traceback if there is one."""
        return escape_unprintable(super().format(record), keep=BREAKS)
