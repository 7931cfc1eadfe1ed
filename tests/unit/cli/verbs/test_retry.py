"""Which number takes a round up again."""

from __future__ import annotations

from typing import Any

import pytest

from bitagent_cli.connection import Failure
from bitagent_cli.verbs.retry import next_retry


def obj(*, failed: bool, asked: int = 0, done: int = 0) -> dict[str, Any]:
    conditions = [{"type": "Failed", "status": "True" if failed else "False"}]
    return {"metadata": {"name": "r"}, "spec": {"retry": asked}, "status": {"retry": done, "conditions": conditions}}


@pytest.mark.parametrize(
    ("seen", "force", "expected"),
    [
        pytest.param(obj(failed=True), False, 1, id="first"),
        pytest.param(obj(failed=True, asked=2, done=2), False, 3, id="third"),
        pytest.param(obj(failed=False), True, 1, id="before it fails"),
    ],
)
def test_next(seen: dict[str, Any], force: bool, expected: int) -> None:
    assert next_retry(seen, force=force) == expected


@pytest.mark.parametrize(
    ("seen", "force", "said"),
    [
        pytest.param(obj(failed=False), False, "has not failed", id="not failed"),
        pytest.param(obj(failed=True, asked=1), False, "already", id="asked already"),
        pytest.param(obj(failed=True, asked=1), True, "already", id="asked already, with force"),
    ],
)
def test_nothing_to_do(seen: dict[str, Any], force: bool, said: str) -> None:
    with pytest.raises(Failure, match=said):
        next_retry(seen, force=force)
