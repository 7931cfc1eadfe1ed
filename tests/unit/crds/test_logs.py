"""A log line is one JSON object, whatever is logged."""

from __future__ import annotations

import json
import logging
import sys

from hypothesis import given
from hypothesis import strategies as st

from bitagent_crds.logs import JsonFormatter, TextFormatter


def record(message: str, *args: object, failed: bool = False) -> logging.LogRecord:
    error = None
    if failed:
        try:
            raise ValueError("broken")
        except ValueError:
            error = sys.exc_info()
    return logging.LogRecord("bitagent_x", logging.WARNING, "x.py", 1, message, args, error)


def test_a_record_is_one_line_of_json() -> None:
    text = JsonFormatter().format(record("two\nlines of %s", "text"))
    assert "\n" not in text
    line = json.loads(text)
    assert (line["level"], line["logger"], line["message"]) == ("warning", "bitagent_x", "two\nlines of text")
    assert line["time"].endswith("+00:00")
    assert "traceback" not in line


def test_an_exception_comes_with_its_traceback() -> None:
    assert "ValueError: broken" in json.loads(JsonFormatter().format(record("failed", failed=True)))["traceback"]


@given(st.text(st.characters(codec=None)))
def test_no_message_reaches_a_log_with_control_characters(text: str) -> None:
    for formatter in (JsonFormatter(), TextFormatter("%(message)s")):
        line = formatter.format(record("%s", text, failed=True))
        assert line.replace("\n", "").replace("\t", "").isprintable()
