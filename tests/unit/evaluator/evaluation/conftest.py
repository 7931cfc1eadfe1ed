"""Fixtures of tests of evaluations."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from tests.unit.evaluator.evaluation.pretended import task

from bitagent_crds.evaluation import RunSpec
from bitagent_crds.minermodel import EngineChoices
from bitagent_crds.task_forms import BuiltinPromptFormat
from bitagent_evaluator.evaluation.prepared import Evaluation

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def evaluation(models: Path, tmp_path: Path) -> Evaluation:
    return Evaluation(
        run=RunSpec(
            repo="acme/tiny",
            commit="a" * 40,
            weights_digest="sha256:" + "1" * 64,
            task_set_digest="sha256:" + "2" * 64,
            prompt_format=BuiltinPromptFormat.AUTO,
            max_tokens=32,
            engine=EngineChoices(),
        ),
        model_dir=models / "tiny-fc-1200",
        tasks=[task(number) for number in range(10)],
        out_dir=tmp_path / "out",
    )
