"""The child of a sandbox, and what it imports."""

from __future__ import annotations

import subprocess
import sys

import pytest


@pytest.mark.parametrize(
    "worker",
    [
        "bitagent_evaluator.models.tokenizer_worker",
        "bitagent_evaluator.models.validation.facts",
        "bitagent_evaluator.models.validation.template_audit",
        "bitagent_evaluator.models.validation.chat",
        "bitagent_evaluator.models.validation.tokenizer_rules.probes",
        "bitagent_evaluator.scoring.multi_turn.worker",
    ],
)
def test_workers_start_without_what_they_do_not_use(worker: str) -> None:
    """They start for each model, or after each answer that ended one; importing pydantic took most of their time."""
    code = f"import sys, bitagent_evaluator.sandbox.child, {worker}; print(*sys.modules)"
    ran = subprocess.run([sys.executable, "-P", "-c", code], capture_output=True, text=True, check=True)
    assert not {"pydantic", "numpy", "aiohttp", "huggingface_hub", "rich"} & set(ran.stdout.split())
