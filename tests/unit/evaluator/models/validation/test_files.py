"""Files that are fetched."""

from __future__ import annotations

import pytest

from bitagent_crds.conditions import Reason
from bitagent_evaluator.models.validation.files import (
    MAX_SHARDS,
    REQUIRED,
    check_file_list,
    fetched_files,
)
from bitagent_evaluator.sandbox.protocol import Refused

SIZES = {"model.safetensors": 1000, **dict.fromkeys(REQUIRED, 10)}


REFUSED: dict[str, tuple[dict[str, int], Reason]] = {
    "no weights": ({"model.safetensors": -1}, Reason.NO_SAFETENSORS),
    "a pickle": ({"model.safetensors": -1, "pytorch_model.bin": 10}, Reason.NO_SAFETENSORS),
    "too many shards": ({f"model-{i:05}-of-00099.safetensors": 1 for i in range(MAX_SHARDS + 1)}, Reason.TOO_LARGE),
    "too large": ({"model.safetensors": 1 << 40}, Reason.TOO_LARGE),
    "no config": ({"config.json": -1}, Reason.BAD_CONFIG),
    "long config": ({"config.json": 1 << 20}, Reason.BAD_CONFIG),
    "no tokenizer": ({"tokenizer.json": -1}, Reason.BAD_TOKENIZER),
    "no tokenizer config": ({"tokenizer_config.json": -1}, Reason.BAD_TOKENIZER),
    "long tokenizer": ({"tokenizer.json": 37 << 20}, Reason.BAD_TOKENIZER),
    "long tokens map": ({"special_tokens_map.json": 1 << 20}, Reason.BAD_TOKENIZER),
    "long template": ({"chat_template.jinja": 1 << 20}, Reason.BAD_CONFIG),
}
"""Changes of the sizes; -1 for a file that is missing."""


@pytest.mark.parametrize(("changes", "reason"), REFUSED.values(), ids=REFUSED)
def test_file_lists_that_are_refused(changes: dict[str, int], reason: Reason) -> None:
    sizes = {name: size for name, size in {**SIZES, **changes}.items() if size >= 0}
    with pytest.raises(Refused) as refused:
        check_file_list(sizes, 1 << 30)
    assert refused.value.reason == reason


def test_too_large_names_the_limit() -> None:
    with pytest.raises(Refused, match="1000000") as refused:
        check_file_list({**SIZES, "model.safetensors": 1_000_001}, 1_000_000)
    assert refused.value.reason == Reason.TOO_LARGE


def test_other_files_are_ignored() -> None:
    others = {"pytorch_model.bin": 1 << 40, "modeling.py": 10, "other.safetensors": 1 << 40, "README.md": 1 << 30}
    check_file_list({**SIZES, **others}, 1 << 20)
    assert fetched_files({**SIZES, **others}) == sorted(SIZES)
