"""Every worker of the program, started as in production: imported within its limits, in a process of its own."""

from __future__ import annotations

import pytest

from bitagent_evaluator.evaluation import scoring_pool
from bitagent_evaluator.examiner import verdicts
from bitagent_evaluator.models.validation import chat, template_audit, validate
from bitagent_evaluator.models.validation.tokenizer_rules import probes
from bitagent_evaluator.prompts import tokenizer
from bitagent_evaluator.sandbox.process import FaultKind, InputFault, Sandbox
from bitagent_evaluator.sandbox.protocol import Limits
from bitagent_evaluator.scoring import sandboxed
from bitagent_evaluator.scoring.multi_turn import simulation

RULE = "bitagent_evaluator.scoring.bfcl:check_text"
WORKERS: dict[str, tuple[str, Limits, list[str]]] = {
    "model files": (validate._WORKER, validate._LIMITS, []),
    "chat": (chat._WORKER, chat._LIMITS, []),
    "template audit": (template_audit._WORKER, template_audit._LIMITS, []),
    "tokenizer probes": (probes._WORKER, probes._LIMITS, []),
    "tokenizer": (tokenizer._WORKER, tokenizer.LIMITS, []),
    "one answer": (sandboxed._WORKER, sandboxed.LIMITS, [RULE]),
    "conversations": (simulation._WORKER, simulation.LIMITS, []),
    "scoring pool": (scoring_pool._WORKER, scoring_pool.LIMITS, ["Bfcl"]),
    "examiner": (verdicts.SCORER_WORKER, verdicts.LIMITS, ["Bfcl"]),
}


@pytest.mark.usefixtures("sandboxes_apart")
@pytest.mark.parametrize(("worker", "limits", "arguments"), WORKERS.values(), ids=WORKERS)
def test_it_starts_within_its_limits(worker: str, limits: Limits, arguments: list[str]) -> None:
    with Sandbox(worker, limits, arguments=arguments) as sandbox:
        for _ in range(2):
            with pytest.raises(InputFault) as fault:
                sandbox.call({"do": "what no worker does"})
            assert fault.value.kind is FaultKind.FAILED
