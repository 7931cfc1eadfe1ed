"""Special tokens and stop tokens of a model's files."""

from __future__ import annotations

from typing import Any

import pytest

from bitagent_evaluator.models.validation.tokenizer import (
    end_token_id,
    special_tokens,
    stop_token_ids,
)


def test_special_tokens_of_both_files() -> None:
    found = special_tokens(
        {"eos_token": {"content": "</s>"}, "bos_token": "<s>"}, {"eos_token": "<|im_end|>", "pad_token": None}
    )
    assert found == {"eos_token": "<|im_end|>", "bos_token": "<s>"}


@pytest.mark.parametrize(
    ("special", "configurations", "expected"),
    [
        ({"eos_token": "</s>"}, [{"eos_token_id": 7}, {}], [2, 7]),
        ({}, [{"eos_token_id": [7, 8]}, {"eos_token_id": 9}], [7, 8, 9]),
        ({}, [{"eos_token_id": "x"}, {"eos_token_id": [True, -1, 10**9, None]}], []),
        ({"eos_token": "unknown"}, [{}], []),
    ],
    ids=["token and id", "lists", "malformed", "unknown token"],
)
def test_stop_token_ids(special: dict[str, str], configurations: list[dict[str, Any]], expected: list[int]) -> None:
    assert stop_token_ids(special, configurations, {"</s>": 2}.get, 100) == expected


@pytest.mark.parametrize(
    ("special", "also", "token"),
    [({"eos_token": "</s>"}, (), 2), ({"eos_token": "</s>"}, ("<|im_end|>",), 7), ({}, ("unknown",), None)],
    ids=["end token", "the format's", "none"],
)
def test_end_token(special: dict[str, str], also: tuple[str, ...], token: int | None) -> None:
    assert end_token_id(special, {"</s>": 2, "<|im_end|>": 7}.get, also=also) == token
