"""The rows of weights in the calls of a block."""

from __future__ import annotations

from typing import Any

import pytest

from bitagent_validator.chain.calls import SentRow, sent_row
from bitagent_validator.chain.decoding import commit_digest


def arguments(**given: Any) -> dict[str, Any]:
    return {"call_args": [{"name": name, "value": value} for name, value in given.items()]}


@pytest.mark.parametrize(
    ("call", "expected"),
    [
        pytest.param(arguments(mecid=1, dests=[1, 2, 3], weights=[9, 0, 7]), SentRow(1, {1: 9, 3: 7}), id="open"),
        pytest.param(arguments(dests=[], weights=[]), SentRow(0), id="empty, without a mechanism"),
        pytest.param(arguments(mecid=2, commit="0x0102"), SentRow(2, commit=commit_digest("0x0102")), id="sealed"),
        pytest.param(arguments(mecid=0, commit="0xzz"), None, id="not hexadecimal"),
        pytest.param(arguments(dests=[1], weights=[1, 2]), None, id="lists of different lengths"),
        pytest.param(arguments(dests=7, weights=[1]), None, id="a number for a list"),
        pytest.param(arguments(salt="0x"), None, id="another call"),
        pytest.param({"call_args": None}, None, id="no arguments"),
        pytest.param({"call_args": [None]}, None, id="arguments of an unknown form"),
        pytest.param({}, None, id="nothing"),
    ],
)
def test_the_row_in_a_call(call: Any, expected: SentRow | None) -> None:
    assert sent_row(call) == expected
