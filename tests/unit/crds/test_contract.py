"""Small promises of the contract: names that fit, summaries that fit, scores that parse."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from bitagent_crds.conditions import Reason
from bitagent_crds.evalround import EvalRound
from bitagent_crds.fields import score_text
from bitagent_crds.jobs import (
    ANY_JOB,
    TERMINATION_MESSAGE_BYTES,
    EvaluateSummary,
    FetchJob,
    FetchSummary,
    termination_message,
)
from bitagent_crds.layout import evaluation_key
from bitagent_crds.rounds import round_name
from bitagent_crds.validator import Validator


def test_the_longest_round_name_is_a_legal_round_name() -> None:
    name = round_name("v" * Validator.crd.name_max, "c" * 16, 999_999)
    assert len(name) <= EvalRound.crd.name_max
    job = f"{name}-{evaluation_key('sha256:' + '0' * 64)}"
    assert len(job) <= 63


@given(st.text(max_size=6000))
def test_a_summary_always_fits_a_termination_message(message: str) -> None:
    text = termination_message(EvaluateSummary(reason=Reason.INFRASTRUCTURE_FAULT, message=message, total=7))
    assert len(text.encode()) <= TERMINATION_MESSAGE_BYTES
    summary = EvaluateSummary.model_validate_json(text)
    assert summary.total == 7
    assert message.startswith(summary.message)


def test_a_short_summary_is_not_cut() -> None:
    assert json.loads(termination_message(FetchSummary(reason=Reason.FETCHED, message="ok"))) == {
        "reason": "Fetched",
        "message": "ok",
    }


@pytest.mark.parametrize(
    ("passed", "total", "text"),
    [
        pytest.param(0, 0, "0.000000", id="nothing"),
        pytest.param(1, 3, "0.333333", id="third"),
        pytest.param(7, 7, "1.000000", id="all"),
    ],
)
def test_score_text(passed: int, total: int, text: str) -> None:
    assert score_text(passed, total) == text


def test_a_score_above_one_is_refused() -> None:
    with pytest.raises(ValueError, match="outside"):
        score_text(3, 2)


def test_a_job_document_names_its_kind() -> None:
    wire = FetchJob(repo="a/b", cache_dir="/models", max_bytes=1, cache_max_bytes=0).to_wire()
    assert ANY_JOB.validate_python(wire) == FetchJob(repo="a/b", cache_dir="/models", max_bytes=1, cache_max_bytes=0)
    with pytest.raises(ValidationError, match="kind"):
        ANY_JOB.validate_python(wire | {"kind": "Mine"})
