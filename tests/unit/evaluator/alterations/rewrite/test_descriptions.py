"""Descriptions that are reworded: which, what they keep, how they are recorded, counted and built again."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from bitagent_crds.task_set import Task
from bitagent_evaluator.alterations.rewrite.descriptions import kept_texts
from bitagent_evaluator.alterations.rewrite_cache import REWRITES
from bitagent_evaluator.tasks.build import build_task_set

CITY = "The name of the city whose forecast is requested."
DAYS = "Number of days, at most 14. Defaults to 'today' for get_now."
WEATHER = "Look up the weather forecast of a city."


@pytest.fixture
def described(make_task: Any) -> Task:
    """A task of two functions that are described, one description twice and one nested."""
    place = {"type": "dict", "description": "", "properties": {"city": {"type": "string", "description": CITY}}}
    city = {"type": "string", "description": CITY, "enum": ["Paris", "Rome"]}
    properties = {"city": city, "days": {"type": "integer", "description": DAYS}, "place": place}
    functions = [
        {
            "name": "get_weather",
            "description": WEATHER,
            "parameters": {"type": "dict", "properties": properties, "required": ["city"]},
        },
        {"name": "get_now", "description": "", "parameters": {"type": "dict", "properties": {}, "required": []}},
    ]
    question = "What is the weather in Paris tomorrow?"
    task: Task = make_task(question, [{"get_weather": {"city": ["Paris"]}}], functions=functions)
    return task


def test_descriptions_stay_by_default(endpoint: Any, reword_politely: Any, alter: Any, described: Task) -> None:
    (altered,), manifest = alter([described])
    assert altered.functions == described.functions
    assert altered.alterations[0].parameters.keys() == {"turns"}
    assert manifest.parts == {} and "description" not in manifest.version
    assert len(endpoint.requests) == 1


def test_every_description_is_reworded_and_recorded(endpoint: Any, replies: Any, alter: Any, described: Task) -> None:
    endpoint.script = lambda request: replies.completion(f"In short, this is about: {request.question}")
    (altered,), manifest = alter([described], descriptions=True)
    properties = altered.functions[0]["parameters"]["properties"]
    assert altered.functions[0]["description"] == f"In short, this is about: {WEATHER}"
    assert properties["city"]["description"] == properties["place"]["properties"]["city"]["description"]
    assert properties["city"]["description"].endswith(CITY) and properties["city"]["description"] != CITY
    assert properties["place"]["description"] == "" == altered.functions[1]["description"]
    assert properties["city"]["enum"] == ["Paris", "Rome"]
    recorded = altered.alterations[0].parameters
    assert [change["from"] for change in recorded["descriptions"]] == [WEATHER, CITY, DAYS]
    assert {"to", "similarity", "try"} < recorded["descriptions"][0].keys()
    assert manifest.parts == {"descriptions": 3, "turns": 1}
    assert manifest.version.endswith("prompt description 1")
    systems = {request.body["messages"][0]["content"] for request in endpoint.requests}
    assert len(systems) == 2, "a description has instructions of its own"
    assert (altered.ground_truth, altered.parent) == (described.ground_truth, described)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (DAYS, "Count of days, 14 at most. Now is the default for get_now."),
        (DAYS, "Count of days, 10 at most. Defaults to 'today' for get_now."),
        (DAYS, "Count of days, 14 at most. Defaults to 'today' elsewhere."),
        (WEATHER, "Call get_weather for a city's forecast of the weather."),
        (WEATHER, "A recipe for onion soup with cheese."),
    ],
    ids=["quoted", "number", "name lost", "name given away", "meaning"],
)
def test_a_description_that_lost_something_stays(
    endpoint: Any, replies: Any, alter: Any, described: Task, text: str, says: str
) -> None:
    endpoint.script = lambda request: replies.completion(says if request.question == text else "")
    altered, manifest = alter([described], descriptions=True, minSimilarity="0.4")
    assert altered == [described]
    assert manifest.skipped == {"empty": 1} and manifest.parts == {}


def test_a_task_of_which_only_a_description_is_reworded_is_altered(
    endpoint: Any, replies: Any, alter: Any, described: Task
) -> None:
    better = "Find a city's forecast of the weather."
    endpoint.script = lambda request: replies.completion(better if request.question == WEATHER else "")
    (altered,), manifest = alter([described], descriptions=True)
    assert altered.messages == described.messages
    assert altered.functions[0]["description"] == better
    assert manifest.parts == {"descriptions": 1, "turns": 0}


def test_a_task_without_a_question_has_its_descriptions_reworded(
    endpoint: Any, replies: Any, alter: Any, described: Task
) -> None:
    endpoint.script = lambda request: replies.completion(f"In short, this is about: {request.question}")
    silent = described.model_copy(update={"messages": [{"role": "system", "content": "Hello"}]})
    assert alter([silent])[1].skipped == {"no_user_text": 1}
    assert alter([silent], descriptions=True)[1].parts == {"descriptions": 3, "turns": 0}


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("Give it in `celsius` or 'deg F', per user_id.", {"celsius", "deg F", "user_id"}),
        ("Whether the ISO date YYYY-MM-DD is used; True by default.", {"ISO", "YYYY-MM-DD", "True"}),
        ("The location of the city's main square", set()),
        ("The `location` of the city", {"location"}),
    ],
    ids=["quoted and code-like", "capitals and constants", "ordinary words", "ordinary word in quotes"],
)
def test_what_a_description_keeps(text: str, kept: set[str]) -> None:
    assert set(kept_texts(text, ["location", "user_id", "other_name"])) == kept


def test_descriptions_are_built_again_without_requests(endpoint: Any, replies: Any, spec: Any, tmp_path: Path) -> None:
    endpoint.script = lambda request: replies.completion(
        f"In other words ({'so ' * len(endpoint.requests)}): {request.question}"
    )
    first = build_task_set(spec(descriptions=True), files={}, out=tmp_path / "a")
    made = len(endpoint.requests)
    again = build_task_set(spec(descriptions=True), files={}, out=tmp_path / "b", rewrites=tmp_path / "a" / REWRITES)
    assert len(endpoint.requests) == made > first.count
    assert again == first and first.alterations[0].parts["descriptions"] > 0
    manifest = json.loads((tmp_path / "a" / "manifest.json").read_text())
    assert manifest["alterations"][0]["parts"] == first.alterations[0].parts


def test_the_same_text_is_another_request_as_a_description(
    endpoint: Any, replies: Any, alter: Any, described: Task
) -> None:
    endpoint.script = lambda request: replies.completion("")
    alter([described.model_copy(update={"messages": [{"role": "user", "content": CITY}]})], descriptions=True, tries=1)
    assert [request.question for request in endpoint.requests].count(CITY) == 2
