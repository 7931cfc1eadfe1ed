"""Conditions and reasons: what they mean, and whose fault a reason reports."""

from __future__ import annotations

import pickle

import pytest
from pydantic import TypeAdapter

from bitagent_crds.conditions import ConditionType, Fault, Reason
from bitagent_crds.generate import KINDS
from bitagent_crds.status import Condition

MODEL = {
    Reason.NO_SAFETENSORS,
    Reason.CORRUPT_WEIGHTS,
    Reason.COMMITMENT_MISMATCH,
    Reason.CUSTOM_CODE,
    Reason.BAD_CONFIG,
    Reason.BAD_TOKENIZER,
    Reason.TOO_LARGE,
    Reason.UNSUPPORTED_ARCHITECTURE,
    Reason.UNSUPPORTED_QUANTIZATION,
    Reason.TOO_MANY_PARAMETERS,
    Reason.LICENSE_NOT_ALLOWED,
    Reason.ARCHITECTURE_NOT_ALLOWED,
    Reason.NO_CHAT_TEMPLATE,
    Reason.TOKENIZER_NOT_ALLOWED,
    Reason.NEEDS_TOO_MUCH_MEMORY,
    Reason.REPOSITORY_TOO_LARGE,
    Reason.DUPLICATE_WEIGHTS,
    Reason.NON_FINITE_WEIGHTS,
    Reason.TEMPLATE_REFUSED,
    Reason.MODEL_LOAD_FAILED,
}
"""Reasons for which another attempt would end the same, whatever the operator does."""

SPEC = {
    Reason.INVALID,
    Reason.JOB_INVALID,
    Reason.REPOSITORY_NOT_FOUND,
    Reason.REVISION_NOT_FOUND,
    Reason.ACCESS_DENIED,
    Reason.NO_MODELS,
    Reason.MODEL_NOT_FOUND,
    Reason.TASKS_FAILED,
    Reason.SEED_MISMATCH,
    Reason.TOO_MANY_MODELS,
    Reason.UNKNOWN_SCORER,
    Reason.UNKNOWN_PROMPT_FORMAT,
    Reason.UNJUDGEABLE_TASKS,
    Reason.SECRET_NOT_FOUND,
    Reason.NOT_REGISTERED,
    Reason.MECHANISM_NOT_FOUND,
    Reason.SUBNET_NOT_FOUND,
    Reason.NO_PERMIT,
    Reason.STAKE_TOO_LOW,
    Reason.VERSION_KEY_TOO_LOW,
    Reason.POLICY_UNAVAILABLE,
    Reason.POLICY_FAILED,
    Reason.WRONG_CHAIN,
    Reason.ROW_TOO_LONG,
    Reason.FOREIGN_WEIGHTS,
    Reason.CANNOT_PAY_FEES,
    Reason.BURN_UNAVAILABLE,
    Reason.NO_REWRITER,
}
"""Reasons that end when the author changes the object or what it refers to."""

JOB_INFRASTRUCTURE = {
    Reason.HUB_UNAVAILABLE,
    Reason.HUB_RATE_LIMITED,
    Reason.HUB_TOKEN_REJECTED,
    Reason.VOLUME_FULL,
    Reason.MODEL_FILES_MISSING,
    Reason.SCHEDULING_GATED,
    Reason.POD_REFUSED,
    Reason.QUEUE_NOT_FOUND,
    Reason.QUEUE_UNAVAILABLE,
    Reason.STOPPED,
    Reason.POD_NOT_STARTED,
    Reason.START_TIMED_OUT,
    Reason.FETCH_FAILED,
    Reason.FILES_CHANGED,
    Reason.OUT_OF_MEMORY,
    Reason.PACK_ENDED,
    Reason.ENGINE_STALLED,
    Reason.MEMORY_IN_USE,
    Reason.CRASHED,
    Reason.ENGINE_FAILED,
    Reason.NODE_PRESSURE,
    Reason.EVICTED,
    Reason.IMAGE_PULL_FAILED,
    Reason.UNSCHEDULABLE,
    Reason.DEADLINE_EXCEEDED,
    Reason.RESULT_LOST,
    Reason.ATTEMPTS_EXHAUSTED,
    Reason.INFRASTRUCTURE_FAULT,
}
"""Reasons of a Job or pod that say nothing about the model: tried again, never scored 0."""

OTHER_INFRASTRUCTURE = {
    Reason.JOB_REFUSED,
    Reason.ARCHIVE_UNAVAILABLE,
    Reason.ARCHIVE_DENIED,
    Reason.ARCHIVE_CONFLICT,
    Reason.RETENTION_FAILED,
    Reason.SPACE_SHORT,
    Reason.ROUND_HAS_INFRASTRUCTURE_FAULTS,
    Reason.ROUND_DEADLINE_EXCEEDED,
    Reason.REWRITER_UNAVAILABLE,
    Reason.SEED_NOT_REVEALED,
    Reason.CHAIN_UNREACHABLE,
    Reason.CHAIN_STALLED,
    Reason.PART_FAILED,
    Reason.POOL_UNAVAILABLE,
    Reason.EXAMINER_UNAVAILABLE,
    Reason.NO_MINER_ANSWERED,
    Reason.CHAIN_BEHIND,
    Reason.CHAIN_CONTRADICTED,
    Reason.RATE_LIMITED_BY_NODE,
    Reason.CLOCK_SKEW,
    Reason.REVEAL_MISSED,
    Reason.NONCE_TAKEN,
    Reason.REVEAL_ROUND_REFUSED,
    Reason.SUBMISSION_FAILED,
    Reason.SUBMISSION_TIMED_OUT,
}
"""The same of a round and of a validator; no Job reports them."""


@pytest.mark.parametrize("reason", Reason)
def test_a_reason_has_one_fault(reason: Reason) -> None:
    expected = Fault.NONE
    if reason in MODEL:
        expected = Fault.MODEL
    elif reason in SPEC:
        expected = Fault.SPEC
    elif reason in JOB_INFRASTRUCTURE | OTHER_INFRASTRUCTURE:
        expected = Fault.INFRASTRUCTURE
    assert reason.fault is expected


@pytest.mark.parametrize(
    ("fault", "final"),
    [(Fault.MODEL, True), (Fault.SPEC, True), (Fault.INFRASTRUCTURE, False), (Fault.NONE, False)],
)
def test_another_attempt_cannot_mend_a_model_or_a_spec(fault: Fault, final: bool) -> None:
    assert fault.final is final


@pytest.mark.parametrize("member", [*Reason, *ConditionType], ids=str)
def test_the_meaning_is_one_sentence(member: Reason | ConditionType) -> None:
    assert member.meaning[0].isupper() or member.meaning.startswith("`")
    assert member.meaning.endswith(".")
    assert ". " not in member.meaning
    assert len(member.meaning) < 120


@pytest.mark.parametrize("condition", ConditionType)
def test_a_condition_belongs_to_a_kind(condition: ConditionType) -> None:
    assert condition.kind in {"every kind", *(kind.crd.kind for kind in KINDS)}


@pytest.mark.parametrize("reason", Reason)
def test_a_reason_is_its_text_on_every_way_out_and_in(reason: Reason) -> None:
    adapter = TypeAdapter(Reason)
    assert f"{reason}" == reason.value == str(reason)
    assert adapter.validate_json(adapter.dump_json(reason)) is reason
    assert pickle.loads(pickle.dumps(reason)) is reason


def test_a_condition_on_the_wire() -> None:
    wire = {
        "type": "Fetched",
        "status": "False",
        "reason": "OutOfMemory",
        "message": "",
        "observedGeneration": 2,
        "lastTransitionTime": "2026-01-02T03:04:05Z",
    }
    assert Condition.model_validate(wire).to_wire() == wire
