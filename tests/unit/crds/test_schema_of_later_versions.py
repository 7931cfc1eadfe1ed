"""What a later version wrote is read, kept and written back: unknown members, values of enumerations, choices."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from pydantic import ValidationError
from tests.unit.schema_strategies import examples, part

from bitagent_crds.conditions import Fault, Reason
from bitagent_crds.evalround import EvalRound, EvalRoundStatus
from bitagent_crds.jobs import ArchiveSummary, EvaluateSummary, FetchSummary, RetentionSummary, TaskSetSummary
from bitagent_crds.minermodel import LaterChoices, MinerModel, MinerModelSpec, MinerModelStatus
from bitagent_crds.model_result import ModelResult
from bitagent_crds.schema import StatusModel, is_later
from bitagent_crds.status import Condition
from bitagent_crds.validator import Validator, ValidatorStatus

CONDITION = {"type": "Fetched", "status": "True", "reason": "Fetched", "lastTransitionTime": "2026-01-01T00:00:00Z"}


def _kept(written: Any, read: Any) -> bool:
    """Whether everything that was written is there, besides defaults."""
    if isinstance(written, dict):
        return isinstance(read, dict) and all(k in read and _kept(v, read[k]) for k, v in written.items())
    if isinstance(written, list):
        return len(written) == len(read) and all(map(_kept, written, read))
    return bool(written == read)


@examples(10)
@given(part(MinerModel, "status", later=True))
def test_a_models_status_is_kept(wire: dict[str, Any]) -> None:
    assert _kept(wire, MinerModelStatus.model_validate(wire).to_wire())


@examples(10)
@given(part(EvalRound, "status", later=True))
def test_a_rounds_status_is_kept(wire: dict[str, Any]) -> None:
    assert _kept(wire, EvalRoundStatus.model_validate(wire).to_wire())


@examples(5)
@given(part(Validator, "status", later=True))
def test_a_validators_status_is_kept(wire: dict[str, Any]) -> None:
    assert _kept(wire, ValidatorStatus.model_validate(wire).to_wire())


def test_an_unknown_reason_is_none_of_this_version() -> None:
    reason = Condition.model_validate(CONDITION | {"reason": "NeverHeardOf"}).reason
    assert is_later(reason)
    assert not is_later(Reason.FETCHED)
    assert (reason, reason.fault, reason in list(Reason)) == ("NeverHeardOf", Fault.NONE, False)
    with pytest.raises(ValueError, match="NeverHeardOf"):
        Reason("NeverHeardOf")


@pytest.mark.parametrize("reason", ["", "two words", "a" * 65, 7, None], ids=str)
def test_what_is_no_reason_is_refused(reason: object) -> None:
    with pytest.raises(ValidationError):
        Condition.model_validate(CONDITION | {"reason": reason})


@pytest.mark.parametrize("choices", [{"kernel": "x"}, {"dtype": "Float4"}, {"maxModelLength": 1}], ids=str)
def test_choices_of_a_later_version_are_frozen_as_they_were_written(choices: dict[str, Any]) -> None:
    result = ModelResult.model_validate({"model": "m", "engine": choices, "weightsDigest": "sha256:" + "0" * 64})
    assert isinstance(result.engine, LaterChoices)
    assert result.to_wire()["engine"] == choices
    plain = ModelResult.model_validate({"model": "m", "engine": {}, "weightsDigest": "sha256:" + "0" * 64})
    assert result.evaluation_key != plain.evaluation_key
    with pytest.raises(ValidationError):
        MinerModelSpec.model_validate({"source": {"volume": {"claimName": "c", "path": "p"}}, "engine": choices})


@pytest.mark.parametrize(
    ("kind", "content"),
    [
        pytest.param(FetchSummary, {"reason": "Fetched", "commit": "a" * 40}, id="fetch"),
        pytest.param(TaskSetSummary, {"reason": "TasksReady", "count": 3}, id="task set"),
        pytest.param(
            EvaluateSummary, {"reason": "Evaluated", "score": "0.500000", "unanswered": {"too_shy": 1}}, id="evaluation"
        ),
        pytest.param(ArchiveSummary, {"reason": "Archived", "files": 3}, id="archive"),
        pytest.param(RetentionSummary, {"reason": "FilesRemoved"}, id="retention"),
    ],
)
def test_a_summary_of_a_later_evaluator_is_read(kind: type[StatusModel], content: dict[str, Any]) -> None:
    read = kind.model_validate(content | {"added": {"later": 1}})
    assert _kept(content, read.to_wire())
