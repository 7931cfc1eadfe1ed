"""The double of miners' model servers."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from collections.abc import Iterator
from threading import Thread
from typing import Any

import pytest

from bitagent_local.cluster.host import SOURCES
from bitagent_local.endpoint.__main__ import server
from bitagent_local.endpoint.answers import CANNOT, UnknownModel, answer, known_answers, skill_of

FILE = SOURCES / "models" / "tasks.jsonl"


@pytest.fixture(scope="module")
def known() -> dict[str, str]:
    return known_answers(FILE.read_text().splitlines())


def test_each_question_of_the_world_has_an_answer(known: dict[str, str]) -> None:
    assert known["Give me a random number between 205 and 390."] == "[generate_random_number(max=390, min=205)]"
    assert len(known) > 350


@pytest.mark.parametrize("skill", [0, 30, 85, 100])
def test_a_model_answers_its_share_of_the_questions(known: dict[str, str], skill: int) -> None:
    right = sum(answer(known, question, skill=skill) == expected for question, expected in known.items())
    assert right / len(known) == pytest.approx(skill / 100, abs=0.06)
    assert answer(known, "What is this?", skill=100) == CANNOT


@pytest.mark.parametrize("model", ["skill-", "skill-101", "skill--1", "gpt", "85"])
def test_other_models_are_unknown(model: str) -> None:
    with pytest.raises(UnknownModel):
        skill_of(model)


@pytest.fixture(scope="module")
def address(known: dict[str, str]) -> Iterator[str]:
    served = server(known, "127.0.0.1", 0)
    thread = Thread(target=served.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{served.server_port}"
    served.shutdown()
    thread.join()
    served.server_close()


def post(address: str, content: Any) -> tuple[int, Any]:
    request = urllib.request.Request(f"{address}/v1/chat/completions", data=json.dumps(content).encode(), method="POST")
    try:
        with urllib.request.urlopen(request, timeout=60) as reply:
            return reply.status, json.load(reply)
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)


def test_it_is_asked_as_any_endpoint(address: str) -> None:
    messages = [
        {"role": "system", "content": "..."},
        {"role": "user", "content": "Wake me in 349 minutes 191 seconds."},
    ]
    status, found = post(address, {"model": "skill-100", "messages": messages})
    assert (status, found["choices"][0]["message"]["content"]) == (200, "[set_timer(minutes=349, seconds=191)]")


@pytest.mark.parametrize(
    ("content", "status"),
    [({"model": "gpt", "messages": []}, 404), ({"model": "skill-1"}, 400), ([], 400)],
    ids=["unknown model", "no messages", "no object"],
)
def test_what_it_refuses(address: str, content: Any, status: int) -> None:
    assert post(address, content)[0] == status
