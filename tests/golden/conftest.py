"""Reads the reference rows that lie beside the tests."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pytest

DATA = Path(__file__).parent

Golden = Callable[[str], list[dict[str, Any]]]


@cache
def read(name: str) -> list[dict[str, Any]]:
    with gzip.open(DATA / name, "rt", encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


@pytest.fixture(scope="session")
def golden() -> Golden:
    """The lines of a file such as `bfcl/rows.jsonl.gz`; each file is read once."""
    return read
