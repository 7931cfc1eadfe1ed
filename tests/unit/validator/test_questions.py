"""Questions to many miners at once: what is kept of their answers."""

from __future__ import annotations

from typing import Any

import bittensor_core
import pytest

from bitagent_crds.examiner import MAX_ANSWER
from bitagent_validator import questions
from bitagent_validator.questions import kept, open_questioner
from bitagent_wire.client import LARGE_BYTES
from bitagent_wire.messages import GetHFModelName, QueryTask
from bitagent_wire.outcomes import Answer, KnownProtocols, MinerAddress, Outcome


@pytest.mark.parametrize(
    ("answer", "length"),
    [
        pytest.param(Answer(Outcome.ANSWERED, 1.0, message=QueryTask(response="x" * 1_000_000)), MAX_ANSWER, id="long"),
        pytest.param(Answer(Outcome.ANSWERED, 1.0, message=QueryTask(response="f()")), 3, id="short"),
    ],
)
def test_no_more_of_an_answer_is_kept_than_is_scored(answer: Answer[QueryTask], length: int) -> None:
    found = kept(answer).message
    assert found is not None
    assert len(found.response) == length


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(Answer(Outcome.TIMEOUT, 1.0), id="none"),
        pytest.param(Answer(Outcome.ANSWERED, 1.0, message=GetHFModelName(hf_model_name="a/b")), id="another message"),
    ],
)
def test_other_answers_are_kept_as_they_are(answer: Answer[Any]) -> None:
    assert kept(answer) is answer


async def test_miners_that_are_asked_at_once_share_the_places_of_large_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    given: list[Any] = []

    async def ask(*_: Any, message: QueryTask, large: Any, **__: Any) -> Answer[QueryTask]:
        given.append(large)
        return Answer(Outcome.ANSWERED, 1.0, message=message.model_copy(update={"response": "y" * (MAX_ANSWER + 1)}))

    monkeypatch.setattr(questions, "ask", ask)
    messages = {MinerAddress(name, "10.0.0.1", 1): QueryTask() for name in "abc"}
    signer = bittensor_core.Keypair.create_from_uri("//Validator")
    async with open_questioner(signer, local=True, known=KnownProtocols()) as questioner:
        answers = await questioner.ask_all(messages, timeout_seconds=1, maximum_bytes=LARGE_BYTES // 2)
    assert len(given) == 3
    assert len(set(map(id, given))) == 1
    assert given[0]._value == 2
    assert {len(each.message.response) for each in answers.values() if each.message} == {MAX_ANSWER}
