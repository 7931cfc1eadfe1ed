"""Job documents, their summaries, and exit codes."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, get_args

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
    EXIT_STOPPED,
    LATER,
    TERMINATION_MESSAGE_BYTES,
    EvaluateJob,
    EvaluateSummary,
    FetchJob,
    FetchSummary,
    TaskSetJob,
    document,
    exit_code,
    termination_message,
)
from bitagent_crds.minermodel import EngineChoices
from bitagent_crds.printable import BREAKS, escape_unprintable
from bitagent_crds.schema import Model

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


def test_a_document_leaves_out_what_has_its_default() -> None:
    """An evaluator that a round froze before an upgrade refuses members that it does not know."""
    job = ANY_JOB.validate_python(EVALUATE)
    content = json.loads(document(job))
    assert content == {k: v for k, v in EVALUATE.items() if k not in ("promptFormat", "aggregate")} | {
        "engine": {"maxModelLength": 512}
    }
    assert ANY_JOB.validate_json(document(job)) == job
    tasks = {"sources": [{"bfcl": {"categories": ["simple_python"]}}], "alterations": [{"toolShuffle": {}}]}
    built = TaskSetJob.model_validate({"tasks": tasks | {"count": 3, "seed": "1"}, "outDir": "/tasks"})
    assert json.loads(document(built)) == {"kind": "TaskSet", "outDir": "/tasks"} | {
        "tasks": tasks | {"count": 3, "seed": "1"}
    }
    assert ANY_JOB.validate_json(document(built)) == built


DEFAULTS = {
    "DatasetSource": {"revision": "main", "rows": "Task", "split": "train"},
    "DefaultValueMask": {"percent": 100},
    "DistractorTools": {"maximum": 6, "minimum": 2, "percent": 100},
    "EngineChoices": {"dtype": "Auto"},
    "EvaluateJob": {"kind": "Evaluate"},
    "Evaluation": {
        "aggregate": "Mean",
        "max_prompt_tokens": 65536,
        "max_tokens": 256,
        "prompt_format": "Auto",
        "scorer": "Bfcl",
        "thinking": "Template",
    },
    "FunctionMask": {"percent": 100},
    "Irrelevance": {"percent": 25},
    "JsonlSource": {"rows": "Task"},
    "LossParameters": {"batches": 16, "normalization": "Byte"},
    "Merge": {"percent": 25},
    "ParameterMask": {"percent": 100},
    "Rewrite": {
        "concurrency": 16,
        "max_similarity": "0.98",
        "max_tokens": 1000,
        "min_similarity": "0.2",
        "percent": 100,
        "temperature": "1.0",
        "timeout_seconds": 60,
        "tries": 2,
    },
    "RunSpec": {"aggregate": "Mean", "prompt_format": "Auto", "scorer": "Bfcl"},
    "StreamSource": {"newest": 400, "rows": "Task"},
    "TaskSetJob": {"kind": "TaskSet"},
    "TaskSource": {"weight": 1},
    "ToolShuffle": {"percent": 100},
    "WandbStream": {"endpoint": "https://api.wandb.ai"},
}
"""What evaluators of all versions fill in for members that the documents of a round's Jobs leave out."""


def _models(kind: type[Model], found: dict[str, type[Model]]) -> dict[str, type[Model]]:
    """Return the models of a document by name."""
    if kind.__name__ not in found:
        found[kind.__name__] = kind
        for field in kind.model_fields.values():
            for inner in _types(field.annotation):
                if isinstance(inner, type) and issubclass(inner, Model):
                    _models(inner, found)
    return found


def _types(annotation: Any) -> Iterator[Any]:
    yield annotation
    for inner in get_args(annotation):
        yield from _types(inner)


def test_the_defaults_of_a_documents_members_never_change() -> None:
    """A new member may be added here, if its default means what was meant before; no line may change or go."""
    found = _models(TaskSetJob, _models(EvaluateJob, {}))
    defaults = {
        name: {
            member: field.default
            for member, field in kind.model_fields.items()
            if not field.is_required() and field.default and not isinstance(field.default, Model)
        }
        for name, kind in found.items()
    }
    assert {name: of for name, of in defaults.items() if of} == DEFAULTS


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
    later = EXIT_LATER if reason in LATER else CODES[reason.fault]
    assert exit_code(reason) == (EXIT_STOPPED if reason is Reason.STOPPED else later)


def test_what_is_tried_again_later_is_never_the_models_fault() -> None:
    assert {reason.fault for reason in LATER} == {Fault.INFRASTRUCTURE}


@given(st.text(st.characters(codec=None), max_size=60))
def test_a_termination_message_has_no_control_characters(text: str) -> None:
    message = termination_message(FetchSummary(reason=Reason.BAD_TOKENIZER, message=text))
    assert message.isprintable()
    assert FetchSummary.model_validate_json(message).reason is Reason.BAD_TOKENIZER
