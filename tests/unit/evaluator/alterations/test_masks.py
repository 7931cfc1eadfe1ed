"""Masks: names are replaced consistently, at every depth, and only where they are certainly names."""

from __future__ import annotations

from typing import Any

import pytest
from tests.unit.evaluator.alterations.sum_tasks import ADD, SUMS, function, parameter, task

from bitagent_crds.task_set import Task


def test_function_names_are_masked_wherever_they_are_meant(alter: Any) -> None:
    (found,) = alter(SUMS, "function_mask")[0]
    names = found.alterations[0].parameters
    add, sub = names["math.add"], names["math.sub"]
    assert [f["name"] for f in found.functions] == [add, sub]
    assert [f["description"] for f in found.functions] == [f"Adds. See {sub}.", f"Undoes `{add}`, not math.adding."]
    assert found.ground_truth == [{add: {"a": [1], "b": [2, ""]}}]
    assert found.messages[0]["content"] == f"Call {add} on 1 and 2, please."
    assert add.isidentifier() and add != sub


def test_a_mention_that_may_be_a_value_stays(alter: Any) -> None:
    tool = function("read_file", "Reads with read_file.", file=parameter())
    given = task(tool, truth=[{"read_file": {"file": ["read_file"]}}], says="Read the file read_file.")
    (found,) = alter(given, "function_mask")[0]
    assert found.messages == given.messages
    assert found.functions[0]["description"] == "Reads with read_file."
    assert list((found.ground_truth or [])[0].values()) == [{"file": ["read_file"]}]


def test_a_plain_word_is_a_name_only_between_quotes(alter: Any) -> None:
    given = task(function("paint", "To paint, use 'paint'.", at=parameter()), says="Please paint, `paint`.")
    (found,) = alter(given, "function_mask")[0]
    assert found.functions[0]["description"] == f"To paint, use '{found.functions[0]['name']}'."
    assert found.messages == given.messages


CALLED = [{"role": "user", "content": "x"}, {"role": "tool", "content": "1", "name": "math.add"}]


@pytest.mark.parametrize("name", ["function_mask", "parameter_mask"])
@pytest.mark.parametrize(
    ("given", "reason"),
    [
        (task(ADD, messages=CALLED), "conversation"),
        (task(ADD, messages=[{"role": "user", "content": None}]), "conversation"),
        (task(ADD, ADD), "duplicate_names"),
        (task(ADD, truth=[{"gone": {"a": [1]}}]), "undescribed_ground_truth"),
    ],
    ids=["earlier calls", "no text", "duplicates", "unknown"],
)
def test_masks_do_not_apply(skip_reasons: Any, given: Task, reason: str, name: str) -> None:
    assert skip_reasons(given, name) == {reason: 1}


# Parameter mask

TRIP = function(
    "trip",
    "Books. `user_id` is who, 'place' where.",
    user_id=parameter(description="The user_id; a place."),
    stops=parameter(
        "array",
        items={"type": "dict", "properties": {"place": parameter(enum=["here", "there"])}, "required": ["place"]},
    ),
    options=parameter(
        "dict",
        properties={"user_id": parameter(), "deep": parameter("dict", properties={"k": parameter()})},
        default={"user_id": "x"},
    ),
    required=("user_id", "stops"),
)
TRUTH = {
    "user_id": ["u1"],
    "stops": [[{"place": ["here"]}, {"place": ["there", ""]}]],
    "options": [{"user_id": ["u2"], "deep": [{"k": "v"}]}, ""],
}


def test_parameter_names_are_masked_at_every_depth(alter: Any) -> None:
    (found,) = alter(task(TRIP, truth=[{"trip": TRUTH}], says="For user_id u1 at the place."), "parameter_mask")[0]
    n = found.alterations[0].parameters
    assert n.keys() == {"user_id", "stops", "place", "options", "deep", "k"}
    assert found.ground_truth == [
        {
            "trip": {
                n["user_id"]: ["u1"],
                n["stops"]: [[{n["place"]: ["here"]}, {n["place"]: ["there", ""]}]],
                n["options"]: [{n["user_id"]: ["u2"], n["deep"]: [{n["k"]: "v"}]}, ""],
            }
        }
    ]
    (tool,) = found.functions
    assert tool["description"] == f"Books. `{n['user_id']}` is who, '{n['place']}' where."
    parameters = tool["parameters"]
    assert parameters["required"] == [n["user_id"], n["stops"]]
    assert parameters["properties"][n["user_id"]]["description"] == f"The {n['user_id']}; a place."
    assert parameters["properties"][n["stops"]]["items"]["required"] == [n["place"]]
    assert parameters["properties"][n["options"]]["default"] == {n["user_id"]: "x"}
    assert found.messages[0]["content"] == f"For {n['user_id']} u1 at the place."


@pytest.mark.parametrize(
    "truth",
    [{"gone": [1]}, {"options": [{"gone": [1]}]}, {"stops": [[{"gone": [1]}]]}],
    ids=["argument", "key", "key in a list"],
)
def test_a_ground_truth_that_is_not_described_cannot_follow(skip_reasons: Any, truth: dict[str, Any]) -> None:
    assert skip_reasons(task(TRIP, truth=[{"trip": truth}]), "parameter_mask") == {"undescribed_ground_truth": 1}


def test_keys_that_no_schema_names_stay(alter: Any) -> None:
    given = task(function("f", a=parameter("dict")), truth=[{"f": {"a": [{"k": [1]}]}}])
    (found,) = alter(given, "parameter_mask")[0]
    assert list((found.ground_truth or [])[0]["f"].values()) == [[{"k": [1]}]]


def test_no_parameters_to_mask(skip_reasons: Any) -> None:
    assert skip_reasons(task(function("f")), "parameter_mask") == {"no_parameters": 1}
