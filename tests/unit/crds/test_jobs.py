"""Job documents, their summaries, and exit codes."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from bitagent_crds.conditions import Fault, Reason
from bitagent_crds.evaluation import BuiltinScorer
from bitagent_crds.jobs import (
    ANY_JOB,
    EXIT_INFRASTRUCTURE,
    EXIT_LATER,
    EXIT_MODEL_FAULT,
    EXIT_OK,
    LATER,
    TERMINATION_MESSAGE_BYTES,
    EvaluateJob,
    EvaluateSummary,
    FetchJob,
    FetchSummary,
    exit_code,
    termination_message,
)
from bitagent_crds.minermodel import EngineChoices
from bitagent_crds.printable import BREAKS, escape_unprintable

DIGEST = "sha256:" + "1" * 64
CODES = {
    Fault.NONE: EXIT_OK,
    Fault.MODEL: EXIT_MODEL_FAULT,
    Fault.SPEC: EXIT_MODEL_FAULT,
    Fault.INFRASTRUCTURE: EXIT_INFRASTRUCTURE,
}


@given(st.text(max_size=6000))
def test_a_summary_always_fits_a_termination_message(message: str) -> None:
    text = termination_message(EvaluateSummary(reason=Reason.INFRASTRUCTURE_FAULT, message=message, total=7))
    assert len(text.encode()) <= TERMINATION_MESSAGE_BYTES
    summary = EvaluateSummary.model_validate_json(text)
    assert summary.total == 7
    assert escape_unprintable(message, keep=BREAKS).startswith(summary.message)


def test_a_short_summary_is_not_cut() -> None:
    assert json.loads(termination_message(FetchSummary(reason=Reason.FETCHED, message="ok"))) == {
        "reason": "Fetched",
        "message": "ok",
    }


def test_a_job_document_names_its_kind() -> None:
    wire = FetchJob(repo="a/b", cache_dir="/models", max_bytes=1, cache_max_bytes=0).to_wire()
    assert ANY_JOB.validate_python(wire) == FetchJob(repo="a/b", cache_dir="/models", max_bytes=1, cache_max_bytes=0)
    with pytest.raises(ValidationError, match="kind"):
        ANY_JOB.validate_python(wire | {"kind": "Mine"})


EVALUATE: dict[str, Any] = {
    "kind": "Evaluate",
    "modelDir": "/model",
    "taskSetDir": "/tasks",
    "taskSetDigest": DIGEST,
    "outDir": "/results",
    "repo": "acme/model",
    "commit": "c" * 40,
    "weightsDigest": DIGEST,
    "promptFormat": "Auto",
    "maxTokens": 256,
    "scorer": "Loss",
    "aggregate": "Mean",
    "loss": {"normalization": "Token", "sequenceLength": 2048, "batches": 3},
    "engine": {"dtype": "Auto", "maxModelLength": 512},
}
"""The document of an evaluation, as operators write it."""


def test_the_document_of_an_evaluation_is_flat_on_the_wire() -> None:
    job = ANY_JOB.validate_python(EVALUATE)
    assert isinstance(job, EvaluateJob)
    assert (job.run.repo, job.run.scorer, job.run.engine.max_model_length) == ("acme/model", "Loss", 512)
    assert job.to_wire() == EVALUATE
    assert json.loads(job.model_dump_json(by_alias=True, exclude_none=True)) == EVALUATE
    assert ANY_JOB.validate_json(json.dumps(EVALUATE)) == job
    assert EvaluateJob(run=job.run, model_dir="/model", task_set_dir="/tasks", out_dir="/results") == job


def test_a_document_without_choices_has_the_defaults() -> None:
    needed = {
        name: value for name, value in EVALUATE.items() if name not in ("scorer", "loss", "engine", "promptFormat")
    }
    job = EvaluateJob.model_validate(needed)
    assert (job.run.scorer, job.run.loss, job.run.engine) == (BuiltinScorer.BFCL, None, EngineChoices())


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({"commit": None}, id="no commit"),
        pytest.param({"weightsDigest": None}, id="no weights digest"),
        pytest.param({"taskSetDigest": None}, id="no task set"),
        pytest.param({"maxTokens": -1}, id="tokens below zero"),
        pytest.param({"later": 1}, id="a field of no version"),
        pytest.param({"run": {"repo": "acme/other"}}, id="a run beside the fields of a run"),
    ],
)
def test_a_document_that_is_not_valid(changes: dict[str, Any]) -> None:
    document = {name: value for name, value in (EVALUATE | changes).items() if value is not None}
    with pytest.raises(ValidationError):
        ANY_JOB.validate_python(document)


@pytest.mark.parametrize("reason", Reason)
def test_the_exit_code_follows_from_the_fault(reason: Reason) -> None:
    assert exit_code(reason) == (EXIT_LATER if reason in LATER else CODES[reason.fault])


def test_what_is_tried_again_later_is_never_the_models_fault() -> None:
    assert {reason.fault for reason in LATER} == {Fault.INFRASTRUCTURE}


@given(st.text(st.characters(codec=None), max_size=60))
def test_a_termination_message_has_no_control_characters(text: str) -> None:
    message = termination_message(FetchSummary(reason=Reason.BAD_TOKENIZER, message=text))
    assert message.isprintable()
    assert FetchSummary.model_validate_json(message).reason is Reason.BAD_TOKENIZER
