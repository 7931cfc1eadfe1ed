"""Messages between a validator and its examiner: bounded, tolerant of later versions, and one member each."""

from __future__ import annotations

import json
from typing import Any

import pytest

from bitagent_crds.examiner import (
    MAX_ANSWER,
    REPLY_BYTES,
    REQUEST_BYTES,
    ExaminerError,
    ExaminerReason,
    ExaminerReply,
    ExaminerRequest,
    ExaminerTask,
    MessageError,
    Pool,
    ScoreRequest,
    TaskRequest,
    bounded_answer,
)
from bitagent_crds.names import pool_name
from bitagent_crds.task_set import Task

POOL = Pool(round_uid="5f0c0a52-1", digest="sha256:" + "0" * 64)
ERROR = {"error": {"reason": "Busy", "message": "x"}}


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param("x" * (1 << 20), id="a megabyte"),
        pytest.param("\x00" * MAX_ANSWER, id="control characters, six bytes each"),
        pytest.param("\U0001f600" * MAX_ANSWER, id="four bytes each"),
        pytest.param("\ud800" * MAX_ANSWER, id="lone surrogates"),
    ],
)
def test_the_longest_answers_fit_a_line(answer: str) -> None:
    request = ExaminerRequest(score=ScoreRequest(pool=POOL, task_id="t" * 256, answer=bounded_answer(answer)))
    line = request.line()
    assert len(line) <= REQUEST_BYTES
    assert line.count(b"\n") == 1
    assert ExaminerRequest.read(line, limit=REQUEST_BYTES) == request


@pytest.mark.parametrize(
    "content",
    [
        pytest.param({}, id="no member"),
        pytest.param(ERROR | {"task": {"id": "t", "messages": [], "tools": []}}, id="two members"),
        pytest.param([], id="a list"),
        pytest.param({"task": {"id": "t", "messages": [], "tools": []}}, id="no message"),
        pytest.param({"verdict": {"points": 1, "maximum": 1, "score": 1.5}}, id="score above 1"),
        pytest.param({"verdict": {"points": 1, "maximum": 0, "score": 1}}, id="no maximum"),
        pytest.param({"verdict": {"points": 1, "maximum": 1, "score": 1, "criteria": [{}] * 99}}, id="many criteria"),
        pytest.param({"error": {"reason": "Busy", "message": "x" * 2000}}, id="long message"),
    ],
)
def test_what_is_no_reply(content: Any) -> None:
    with pytest.raises(MessageError):
        ExaminerReply.read(json.dumps(content).encode() + b"\n", limit=REPLY_BYTES)


@pytest.mark.parametrize("line", [b"", b"{", b'{"error":', b"\xff\n", b"[" * 9000 + b"\n", b'{"a":NaN}\n'])
def test_lines_that_are_no_document(line: bytes) -> None:
    with pytest.raises(MessageError):
        ExaminerReply.read(line, limit=REPLY_BYTES)


def test_a_line_is_as_long_as_it_may_be() -> None:
    line = json.dumps(ERROR).encode() + b"\n"
    assert ExaminerReply.read(line, limit=len(line)).error is not None
    with pytest.raises(MessageError):
        ExaminerReply.read(line, limit=len(line) - 1)


def test_a_later_version_is_read() -> None:
    content = {"error": {"reason": "LaterReason", "message": "x", "later": 1}, "later": None}
    reply = ExaminerReply.read(json.dumps(content).encode() + b"\n", limit=REPLY_BYTES)
    assert reply.error == ExaminerError(reason=ExaminerReason.INTERNAL, message="x")


def test_which_faults_are_the_answers() -> None:
    by_answer = {reason for reason in ExaminerReason if reason.by_answer}
    assert by_answer == {ExaminerReason.ANSWER_TOO_COSTLY, ExaminerReason.ANSWER_BREAKS_SCORER}


@pytest.mark.parametrize("uid", ["", "../x", "a/b", "a.b", "x" * 65])
def test_a_pool_is_no_path(uid: str) -> None:
    with pytest.raises(ValueError, match="round_uid"):
        Pool(round_uid=uid, digest=POOL.digest)


def test_a_task_for_miners_has_no_member_of_the_truth() -> None:
    assert not set(ExaminerTask.model_fields) & {"ground_truth", "parent", "alterations", "reference", "memory"}
    assert set(ExaminerTask.model_fields) - set(Task.model_fields) == {"tools"}


def test_a_seed_has_a_length() -> None:
    with pytest.raises(ValueError, match="seed"):
        TaskRequest(pool=POOL, seed="x" * 257)


def test_the_name_of_a_pool_fits_and_is_no_rounds() -> None:
    longest = pool_name("v" * 24, "c" * 16, 0xFFFFF)
    assert len(longest) <= 48
    assert pool_name("v", "c", 26) == "v-c-o1a"
