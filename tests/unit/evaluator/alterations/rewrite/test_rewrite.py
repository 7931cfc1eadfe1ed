"""Alteration Rewrite: which turns are reworded, what is recorded, and which rewordings are rejected."""

from __future__ import annotations

from typing import Any

import pytest

from bitagent_crds.alterations import Rewrite
from bitagent_crds.task_forms import Expects
from bitagent_crds.task_set import Task
from bitagent_evaluator.alterations.base import AlterationError
from bitagent_evaluator.alterations.rewrite.rewrite import RewordTurns

CONVERSATION = {"turns": [[]], "ground_truth": [[]], "classes": ["GorillaFileSystem"], "initial_state": {}}
FORECAST = "Tell me tomorrow's forecast for Paris."


def test_a_reworded_question_and_its_record(endpoint: Any, replies: Any, alter: Any, paris: Task) -> None:
    endpoint.reply_with(replies.completion(FORECAST))
    (altered,), manifest = alter([paris])
    assert altered.messages == [{"role": "user", "content": FORECAST}]
    assert altered.parent == paris
    record = {"message": 0, "from": paris.messages[0]["content"], "to": FORECAST, "similarity": "0.7900", "try": 1}
    assert altered.alterations[0].parameters == {"turns": [record]}
    unchanged = ("functions", "ground_truth", "expects")
    assert altered.model_dump(include=set(unchanged)) == paris.model_dump(include=set(unchanged))
    assert manifest.version.startswith("all-MiniLM-L6-v2 sha256:")
    assert manifest.version.endswith("prompt 1")
    (request,) = endpoint.requests
    assert request.body["messages"][1] == paris.messages[0]
    assert (request.body["model"], request.body["temperature"], request.body["max_tokens"]) == ("rewriter", 1.0, 1000)


@pytest.mark.parametrize(
    ("says", "reason"),
    [
        ("", "empty"),
        ("What is the weather in Paris tomorrow!", "too_similar"),
        ("Tomorrow's forecast, please.", "value_lost"),
        ("Paris: a poem about its river and bridges in spring. " * 40, "too_long"),
        ("Use get_weather for Paris.", "names_function"),
        ("Forecast for Paris for the next 3 days?", "number_changed"),
        ("Paris\x07 forecast", "control_characters"),
        ("The Paris Hilton tax returns, alphabetically by shoe.", "too_different"),
    ],
)
def test_a_rejected_rewording_leaves_the_question(
    endpoint: Any, replies: Any, alter: Any, paris: Task, says: str, reason: str
) -> None:
    endpoint.reply_with(replies.completion(says))
    altered, manifest = alter([paris], tries=3, minSimilarity="0.4")
    assert altered == [paris]
    assert manifest.skipped == {reason: 1}
    assert len(endpoint.requests) == 3


def test_a_response_that_was_cut_off_is_too_long(endpoint: Any, replies: Any, alter: Any, paris: Task) -> None:
    endpoint.reply_with(replies.completion(FORECAST, cut_off=True))
    assert alter([paris])[1].skipped == {"too_long": 1}


def test_a_second_try_counts(endpoint: Any, replies: Any, alter: Any, paris: Task) -> None:
    endpoint.reply_with(replies.completion("no idea"), replies.completion(FORECAST))
    (altered,), _ = alter([paris])
    assert altered.alterations[0].parameters["turns"][0]["try"] == 2
    seeds = {request.body["seed"] for request in endpoint.requests}
    assert len(seeds) == 2, "another try must be another request"


def test_all_user_turns_of_any_task_and_nothing_else(reword_politely: Any, alter: Any, make_task: Any) -> None:
    said = ["Be brief.", "Is it warm in Rome?", "It is.", "And is it warm in Oslo, too?"]
    messages = [{"role": r, "content": c} for r, c in zip(("system", "user", "assistant", "user"), said, strict=True)]
    tasks = [
        make_task("", id="chat", messages=messages),
        make_task("Which way is up?", id="any", expects=Expects.ANY_CALL),
        make_task("", id="silent", messages=[{"role": "system", "content": "Hello"}]),
        make_task("Let us talk.", id="state", expects=Expects.STATE, conversation=CONVERSATION),
        make_task("Tell a story.", id="text", expects=Expects.TEXT, reference="Once"),
    ]
    altered, manifest = alter(tasks)
    reworded = [said[0], reword_politely(said[1]), said[2], reword_politely(said[3])]
    assert [message["content"] for message in altered[0].messages] == reworded
    assert altered[1].messages[0]["content"] == reword_politely("Which way is up?")
    assert altered[2:] == tasks[2:]
    assert manifest.skipped == {"conversation": 1, "expects_text": 1, "no_user_text": 1}


def test_a_task_may_be_reworded_in_part(
    endpoint: Any, replies: Any, reword_politely: Any, alter: Any, make_task: Any
) -> None:
    endpoint.script = lambda request: replies.completion(
        reword_politely(request.question) if "Rome" in request.question else ""
    )
    messages = [{"role": "user", "content": "Is it warm in Rome?"}, {"role": "user", "content": "And in Oslo?"}]
    (altered,), _ = alter([make_task("", messages=messages)])
    assert altered.messages == [{"role": "user", "content": reword_politely("Is it warm in Rome?")}, messages[1]]
    assert [turn["message"] for turn in altered.alterations[0].parameters["turns"]] == [0]


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"minSimilarity": "0.9", "maxSimilarity": "0.5"}, "minSimilarity 0.9 is not below maxSimilarity 0.5"),
        ({"url": "http://me:secret@127.0.0.1/v1"}, "a password, which the manifest would publish"),
        ({"url": "http://[::1/v1"}, r"'http://\[::1/v1' is not a web address"),
    ],
    ids=["similarities", "password", "address"],
)
def test_parameters_that_are_refused(parameters: dict[str, str], message: str) -> None:
    with pytest.raises(AlterationError, match=message):
        RewordTurns(Rewrite.model_validate({"url": "http://127.0.0.1/v1", "model": "m", **parameters}))
