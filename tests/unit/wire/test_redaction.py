"""Addresses in texts and logs have no keys of providers."""

from __future__ import annotations

import logging

import pytest

from bitagent_wire.redaction import RedactedLogs, redact, shown


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("wss://node.example/v1/KEY", "wss://node.example"),
        ("wss://user:KEY@node.example:9944", "wss://node.example:9944"),
        ("wss://node.example?token=KEY#KEY", "wss://node.example"),
        ("ws://10.0.0.1:9944", "ws://10.0.0.1:9944"),
        ("wss://node:port/KEY", "an address that cannot be read"),
    ],
)
def test_an_address_is_shown_without_its_secrets(url: str, expected: str) -> None:
    assert shown(url) == expected
    assert redact(f"cannot connect to {url}: no") == f"cannot connect to {expected}: no"


def test_logs_are_redacted() -> None:
    record = logging.LogRecord("x", logging.ERROR, "f", 1, "lost %s", ("wss://node.example/KEY",), None)
    assert RedactedLogs().filter(record)
    assert record.getMessage() == "lost wss://node.example"
