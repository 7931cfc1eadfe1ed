"""Every family: vLLM loads a tiny random model that was admitted, and answers as transformers does.

So whatever part of a configuration changes an answer reaches the engine: factors, caps, windows, positions, experts.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from tests.unit.evaluator.engines.engine_families import FAMILIES, TOKENS

from bitagent_evaluator.models.validation.architectures import ARCHITECTURES

if TYPE_CHECKING:
    from tests.conftest import Evaluator

pytestmark = pytest.mark.engine

_TESTED_ELSEWHERE = {"qwen2", "qwen3", "mistral"}
"""Model types of the engine's other tests."""


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory: pytest.TempPathFactory, models: Path, evaluator: Evaluator) -> dict[str, Any]:
    """What vLLM and transformers answered, by family, from one process."""
    program = Path(__file__).parent / "engine_families.py"
    folder = tmp_path_factory.mktemp("families")
    done = evaluator.run([str(models / "tiny-fc-1200"), str(folder)], program=program)
    assert done.returncode == 0, done.stderr[-3000:]
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


@pytest.mark.parametrize("family", FAMILIES)
def test_vllm_answers_as_transformers(outcomes: dict[str, Any], family: str) -> None:
    outcome = outcomes[family]
    assert "failed" not in outcome, outcome["failed"]
    assert outcome["vllm"] == outcome["transformers"]
    assert {len(answer) for answer in outcome["vllm"]} == {TOKENS}


def test_every_family_is_asked() -> None:
    asked = {kind for kind, _ in FAMILIES.values()}
    assert asked | _TESTED_ELSEWHERE == {architecture.model_type for architecture in ARCHITECTURES.values()}
