"""Published configurations of known models: none is refused, and their tensors add up to their parameters."""

from __future__ import annotations

import math
from typing import Any

import pytest
from tests.unit.evaluator.models.validation.architectures.published import PUBLISHED

from bitagent_evaluator.models.validation.architectures import ARCHITECTURES
from bitagent_evaluator.models.validation.config import check_windows, reduce_config


@pytest.mark.parametrize(("name", "members", "parameters"), PUBLISHED.values(), ids=PUBLISHED)
def test_known_models_are_admitted(name: str, members: dict[str, Any], parameters: int) -> None:
    architecture = ARCHITECTURES[name]
    known = reduce_config({"rms_norm_eps": 1e-05, "torch_dtype": "bfloat16", **members}, architecture)
    check_windows(known, architecture)
    required = architecture.expected_tensors(known).required
    rounded = parameters % 100_000_000 == 0
    assert sum(map(math.prod, required.values())) == pytest.approx(parameters, rel=2e-4 if rounded else 0.0)


def test_every_architecture_has_a_known_model() -> None:
    assert {name for name, _, _ in PUBLISHED.values()} == ARCHITECTURES.keys()
