"""Remote files: the header of a dataset's README."""

from __future__ import annotations

from typing import Any

import pytest

from bitagent_evaluator.tasks.sources.hugging_face import parse_card


@pytest.mark.parametrize(
    ("header", "card"),
    [(b"a: 1", {"a": 1}), (b"made: 2026-13-45", {}), (b"x: " + b"[" * 800, {}), (b"x: [", {}), (b"- a", {})],
    ids=["fine", "no date", "deep", "broken", "no object"],
)
def test_the_header_of_a_readme(header: bytes, card: dict[str, Any]) -> None:
    readme = b"---\n" + header + b"\n---\nText"
    assert parse_card(readme) == card
