"""Tasks as miners are asked them: the subnet's members, and nothing of the truth."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from bitagent_crds.task_forms import Expects, Language
from bitagent_crds.task_set import Task
from bitagent_evaluator.examiner.questions import expected_shape, question

if TYPE_CHECKING:
    from tests.unit.evaluator.examiner.conftest import Volume

Obj = dict[str, Any]
ASKED = [{"role": "user", "content": "Weather in Oslo?"}]


def function(**properties: Obj) -> Obj:
    parameters = {"type": "dict", "properties": properties, "required": ["city"]}
    return {"name": "weather.get", "description": "Gets the weather.", "parameters": parameters}


def task(**more: Any) -> Task:
    made: Obj = {"id": "t", "source": "bfcl", "category": "c", "messages": ASKED, "functions": []}
    made |= {"ground_truth": [{"weather.get": {"city": ["Oslo"]}}]} | more
    return Task.model_validate(made)


@pytest.mark.parametrize(
    ("schema", "argument"),
    [
        pytest.param(
            {"type": "string", "description": "The city."},
            {"required": True, "type": "string", "description": "The city."},
            id="plain",
        ),
        pytest.param({}, {"required": True, "type": "any", "description": ""}, id="nothing is known"),
        pytest.param(
            {"type": "string", "description": "The unit.", "enum": ["c", "f"], "default": "c"},
            {"required": True, "type": "string", "description": 'The unit. One of: ["c", "f"]. Default: "c".'},
            id="values and default",
        ),
        pytest.param(
            {"type": "array", "items": {"type": "integer"}},
            {"required": True, "type": "array", "description": 'Items: {"type": "integer"}.'},
            id="items",
        ),
        pytest.param(
            {"type": "dict", "properties": {"x": {"type": "float"}}, "required": ["x"], "optional": True},
            {
                "required": True,
                "type": "dict",
                "description": 'Members: {"x": {"type": "float"}}. Required members: ["x"].',
            },
            id="members",
        ),
    ],
)
def test_an_argument(schema: Obj, argument: Obj) -> None:
    found = question(task(functions=[function(city=schema)]))
    assert found is not None
    (tool,) = found.tools
    assert (tool.name, tool.description) == ("weather.get", "Gets the weather.")
    assert tool.arguments["city"].model_dump() == argument


def test_optional_arguments_and_functions_without_any() -> None:
    bare = {"name": "now", "description": "", "parameters": {"type": "dict", "properties": {}}}
    found = question(task(functions=[function(city={"type": "string"}, unit={"type": "string"}), bare]))
    assert found is not None
    assert [found.tools[0].arguments[name].required for name in ("city", "unit")] == [True, False]
    assert found.tools[1].arguments == {}


@pytest.mark.parametrize(
    ("role", "asked"),
    [(each, each) for each in ("system", "user", "assistant", "tool call", "tool response")]
    + [("tool", "tool response")],
)
def test_roles(role: str, asked: str) -> None:
    found = question(task(messages=[{"role": role, "content": "x"}, *ASKED]))
    assert found is not None
    assert [message.role for message in found.messages] == [asked, "user"]


CONVERSATION = {"turns": [ASKED], "ground_truth": [["f()"]], "classes": [], "initial_state": {}}


@pytest.mark.parametrize(
    "more",
    [
        pytest.param({"expects": Expects.STATE, "conversation": CONVERSATION, "ground_truth": None}, id="conversation"),
        pytest.param({"expects": Expects.TEXT, "reference": "x", "ground_truth": None}, id="text to be continued"),
        pytest.param(
            {"expects": Expects.ANSWER, "memory": {"backend": "kv", "scenario": "s", "answers": ["a"]}}, id="memory"
        ),
        pytest.param({"variation": {"return_format": "json"}}, id="format variation"),
        pytest.param({"messages": []}, id="no message"),
        pytest.param({"messages": [{"role": "critic", "content": "x"}]}, id="unknown role"),
        pytest.param({"messages": [{"role": "user", "content": [{"type": "image"}]}]}, id="no text"),
        pytest.param({"messages": [{"role": "user"}]}, id="no content"),
        pytest.param({"messages": [{"role": "user", "content": "x" * 300_000}]}, id="too long"),
        pytest.param({"messages": ASKED * 200}, id="too many messages"),
        pytest.param({"functions": [{"description": "nameless"}]}, id="function without a name"),
        pytest.param({"functions": [function(city={})] * 300}, id="too many functions"),
    ],
)
def test_what_cannot_be_asked(more: Obj) -> None:
    assert question(task(**more)) is None


def test_java_shows_the_types_of_its_source() -> None:
    found = question(task(language=Language.JAVA, functions=[function(city={"type": "HashMap", "description": "A."})]))
    assert found is not None
    argument = found.tools[0].arguments["city"]
    assert argument.type == "string"
    assert "HashMap" in argument.description


def test_official_tasks_show_nothing_of_the_truth(volume: Volume) -> None:
    asked = 0
    for each in volume.tasks.values():
        found = question(each)
        if found is None:
            continue
        asked += 1
        assert set(found.model_dump()) == {"id", "messages", "tools"}
        assert [tool.name for tool in found.tools] == [one["name"] for one in each.functions]
        assert not each.ground_truth or json.dumps(each.ground_truth) not in found.model_dump_json()
    assert asked > 60


@pytest.mark.parametrize(
    ("more", "words"),
    [
        pytest.param({}, "one call", id="one call"),
        pytest.param({"ground_truth": [{"f": {}}, {"g": {}}]}, "2 calls", id="several"),
        pytest.param({"expects": Expects.NO_CALL, "ground_truth": None}, "no call", id="none"),
        pytest.param({"expects": Expects.ANY_CALL, "ground_truth": None}, "at least one call", id="any"),
        pytest.param({"language": Language.JAVA}, "Java source", id="Java"),
    ],
)
def test_the_form_of_a_right_answer(more: Obj, words: str) -> None:
    shape = expected_shape(task(**more))
    assert words in shape
    assert "weather" not in shape
    assert "Oslo" not in shape
