"""The reference's count of tokens, and the length that a prompt may have by it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from bitagent_evaluator.prompts import ChatPrompt, RawPrompt
from bitagent_evaluator.prompts.reference_length import ALLOWANCE, maximum_length, reference_tokens


@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        ("", 0),
        ("area", 1),
        ("areas", 2),
        (" the area", 2),
        ("the  area", 3),
        ("\n\n  x", 2),
        ("2048", 4),
        ("f(a=1)", 6),
        ("caf\u00e9", 3),
        ("\u5929\u6c14", 4),
        ("\U0001f53a", 4),
    ],
)
def test_tokens_of_the_reference(text: str, tokens: int) -> None:
    assert reference_tokens(text) == tokens


def test_the_length_follows_from_the_conversation() -> None:
    messages = [{"role": "user", "content": "What is the area?"}]
    tools = [{"type": "function", "function": {"name": "area", "parameters": {}}}]
    without, with_tools = maximum_length(ChatPrompt(messages, None)), maximum_length(ChatPrompt(messages, tools))
    assert ALLOWANCE < without < with_tools
    assert maximum_length(RawPrompt("area")) == len("area") + ALLOWANCE


def test_a_vocabulary_of_single_bytes_has_room(models: Path) -> None:
    """For English and JSON, up to prompts of 30,000 characters."""
    texts = [json.dumps(json.loads(line)) for line in (models / "heldout.jsonl").read_text().splitlines()]
    text = "\n".join(texts)[:30_000]
    assert len(text) == 30_000 and len(text.encode()) <= maximum_length(RawPrompt(text))
