"""Addresses without what may be secret in them.

The address of a node may contain a key of its provider, in its path, query or user. It is shown as scheme, host and
port only, also within the messages and logs of libraries.
"""

from __future__ import annotations

import logging
import re
from urllib.parse import urlsplit

_URL = re.compile(r"(?:wss?|https?)://[^\s'\"<>,;]+")


def shown(url: str) -> str:
    """Return an address without what may be secret: its user, path and query."""
    try:
        parts = urlsplit(url)
        port = f":{parts.port}" if parts.port is not None else ""
    except ValueError:
        return "an address that cannot be read"
    return f"{parts.scheme}://{parts.hostname or ''}{port}"


def redact(text: str) -> str:
    """Return a text in which every address is shown as by `shown`."""

    def replaced(found: re.Match[str]) -> str:
        url = found.group().rstrip(".:)")
        return shown(url) + found.group()[len(url) :]

    return _URL.sub(replaced, text)


class RedactedLogs(logging.Filter):
    """Redacts the addresses in log messages, also in those of libraries."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Replace the record's message; every record passes."""
        message = record.getMessage()
        if "://" in message:
            record.msg, record.args = redact(message), ()
        return True
