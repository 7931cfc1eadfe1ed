from __future__ import annotations

import json

import pytest

from bitagent_miner.asking import BadMessage, as_json, message_of
from bitagent_wire.messages import IsAlive, QueryTask
from bitagent_wire.outcomes import Answer, Outcome, Protocol


def test_messages_without_a_body() -> None:
    task = message_of("QueryTask", None)
    assert isinstance(task, QueryTask)
    assert task.tools
    assert message_of("IsAlive", None) == IsAlive()


@pytest.mark.parametrize(("name", "body"), [("QueryResult", None), ("QueryTask", "[]"), ("QueryTask", "{")])
def test_bodies_that_do_not_fit(name: str, body: str | None) -> None:
    with pytest.raises(BadMessage):
        message_of(name, body)


def test_an_outcome_is_one_printable_line() -> None:
    answer = Answer(Outcome.ANSWERED, 0.12345, Protocol.BTAUTH, QueryTask(response="\x1b[31m\n"), signed=True)
    line = as_json(answer)
    assert line.isprintable()
    found = json.loads(line)
    assert (found["outcome"], found["wire"], found["signed"], found["seconds"]) == ("Answered", "btauth/1", True, 0.123)
    assert found["answer"] == {"response": "\x1b[31m\n", "hf_run_model_name": "N/A"}


def test_an_outcome_without_an_answer() -> None:
    found = json.loads(as_json(Answer(Outcome.TIMEOUT, 1.0, detail="late")))
    assert (found["outcome"], found["detail"], "answer" in found) == ("Timeout", "late", False)
