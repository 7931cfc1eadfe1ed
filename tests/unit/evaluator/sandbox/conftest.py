"""The probe workers, importable by children, and every kind of sandbox that the evaluator starts."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest

from bitagent_evaluator.evaluation import scoring_pool
from bitagent_evaluator.models.validation import template_audit, validate
from bitagent_evaluator.prompts import tokenizer
from bitagent_evaluator.sandbox.protocol import Limits
from bitagent_evaluator.scoring import sandboxed
from bitagent_evaluator.scoring.multi_turn import simulation

KINDS = {
    "model files": validate._LIMITS,
    "template audit": template_audit._LIMITS,
    "tokenizer": tokenizer.LIMITS,
    "one answer": sandboxed.LIMITS,
    "conversations": simulation.LIMITS,
    "scoring pool": scoring_pool.LIMITS,
}


@pytest.fixture
def probe(monkeypatch: pytest.MonkeyPatch) -> str:
    """The probe worker, which children can import."""
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parent / "workers"), prepend=os.pathsep)
    return "probe_worker:Probe"


@pytest.fixture(params=KINDS.values(), ids=KINDS)
def kind(request: pytest.FixtureRequest) -> Limits:
    """Limits of one kind of sandbox; with a short time of a request, and a long wall clock for busy machines."""
    return shortened(request.param)


@pytest.fixture(params=["template audit", "scoring pool"])
def widths(request: pytest.FixtureRequest) -> Limits:
    """As `kind`, of the narrowest sandbox and of the widest: for what does not depend on the width of a limit."""
    return shortened(KINDS[request.param])


def shortened(limits: Limits) -> Limits:
    return replace(limits, cpu_seconds=1.0, wall_factor=100.0)
