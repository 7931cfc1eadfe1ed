"""Attack models, built once for all tests, and one run of those that an engine has to load."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from bitagent_crds.task_set import Task

sys.path.insert(0, str(Path(__file__).parent))

from attack_models.catalogue import ATTACKS
from attack_models.files import BASE, MODELS

if TYPE_CHECKING:
    from tests.conftest import Evaluator

BOUNDS = ["--max-tokens", "64", "--max-prompt-tokens", "8192", "--mean-answer-tokens", "48"]
RUN = ("copy-permuted", "copy-with-noise", "endless", "long-prompts", "silent")
"""The models that only an engine, or the round's prompts, stop."""


@pytest.fixture(scope="session")
def tasks() -> list[Task]:
    """Tasks of the demo."""
    return [Task.model_validate_json(line) for line in (MODELS / "tasks.jsonl").read_text().splitlines()[:200]]


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory, tasks: list[Task]) -> Callable[[str], Path]:
    """Build an attack model by its name, once."""
    root = tmp_path_factory.mktemp("attacks")

    def build(name: str) -> Path:
        folder = root / name
        return folder if folder.exists() else ATTACKS[name].build(folder, tasks)

    return build


@pytest.fixture(scope="session")
def outcomes(
    evaluator: Evaluator, built: Callable[[str], Path], tmp_path_factory: pytest.TempPathFactory
) -> Mapping[str, dict[str, Any]]:
    """What one process with one engine says of honest models and attackers, by the model's name."""
    root = tmp_path_factory.mktemp("run")
    source = [
        "--jsonl",
        str(MODELS / "tasks.jsonl"),
        "--count",
        "100",
        "--seed",
        "5",
        "--alter",
        "irrelevance:percent=20",
    ]
    evaluator.run(["tasks", "build", *source, "--out", str(root / "tasks")]).check_returncode()
    models = [str(MODELS / "tiny-fc-400"), str(BASE), *(str(built(name)) for name in RUN)]
    run = ["run", *models, "--tasks", str(root / "tasks"), "--out", str(root / "out"), *BOUNDS, "--json"]
    done = evaluator.run(run)
    assert done.stdout.startswith("["), done.stderr[-3000:]
    return {found["model"]: found for found in json.loads(done.stdout)}
