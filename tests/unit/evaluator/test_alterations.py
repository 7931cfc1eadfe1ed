"""Each alteration on tasks made for it: what changes, what follows, and what is left alone with which reason."""

from __future__ import annotations

import copy
import re
from typing import Any

import pytest

from bitagent_crds.alterations import Alteration as Spec
from bitagent_crds.results import AlterationManifest, Expects, Language, Task
from bitagent_evaluator.alterations import alter_tasks
from bitagent_evaluator.alterations.alteration import ALTERATIONS, AlterationError
from bitagent_evaluator.alterations.distractor_tools import plain_name, telling_words
from bitagent_evaluator.scoring.judgement import judge


def parameter(kind: str = "string", description: str = "", **more: Any) -> dict[str, Any]:
    return {"type": kind, "description": description, **more}


def function(name: str, description: str = "", *, required: tuple[str, ...] = (), **properties: Any) -> dict[str, Any]:
    parameters = {"type": "dict", "properties": properties, "required": list(required)}
    return {"name": name, "description": description, "parameters": parameters}


def task(*functions: dict[str, Any], truth: list[dict[str, Any]] | None = None, **more: Any) -> Task:
    expects = Expects.NO_CALL if truth is None else Expects.CALLS
    content = more.pop("says", "Do it.")
    made = {"id": "t", "source": "test", "category": "mine", "expects": expects, "ground_truth": truth}
    made |= {"messages": [{"role": "user", "content": content}], "functions": list(functions)}
    return Task.model_validate(made | more)


def alter(given: Task | list[Task], *names: str, seed: str = "seed", **parameters: Any) -> list[Task]:
    return altered(given, *names, seed=seed, **parameters)[0]


def altered(
    given: Task | list[Task], *names: str, seed: str = "seed", **parameters: Any
) -> tuple[list[Task], list[AlterationManifest]]:
    tasks = [given] if isinstance(given, Task) else given
    before = copy.deepcopy(tasks)
    specs = [Spec.model_validate({name: parameters}) for name in names]
    result = alter_tasks(tasks, specs, seed=seed)
    assert tasks == before, "the given tasks were touched"
    return result


def skipped(given: Task | list[Task], name: str, **parameters: Any) -> dict[str, int]:
    tasks, (manifest,) = altered(given, name, **parameters)
    assert tasks == ([given] if isinstance(given, Task) else given)
    assert manifest.applied == 0
    return manifest.skipped


ADD = function("math.add", "Adds. See math.sub.", a=parameter("integer"), b=parameter("integer"), required=("a",))
SUB = function("math.sub", "Undoes `math.add`, not math.adding.", a=parameter("integer"))
SUMS = task(ADD, SUB, truth=[{"math.add": {"a": [1], "b": [2, ""]}}], says="Call math.add on 1 and 2, please.")


def test_every_member_of_the_spec_is_registered() -> None:
    needed = {"rewrite": {"url": "http://127.0.0.1/v1", "model": "m"}}
    specs = [Spec.model_validate({name: needed.get(name, {})}) for name in Spec.model_fields]
    given = [type(getattr(spec, name)).__name__ for spec, name in zip(specs, Spec.model_fields, strict=True)]
    assert sorted(given) == ALTERATIONS.names()


# Shuffle


def test_shuffle_mixes_and_tells_the_order() -> None:
    tools = [function(f"f{i}") for i in range(6)]
    (found,) = alter(task(*tools), "tool_shuffle")
    (record,) = found.alterations
    assert record.name == "ToolShuffle"
    assert found.functions == [tools[i] for i in record.parameters["order"]] != tools
    assert found.parent == task(*tools)


def test_every_order_comes_up() -> None:
    orders = [tuple(f["name"] for f in alter(task(ADD, SUB), "tool_shuffle", seed=str(i))[0].functions) for i in range(60)]  # fmt: skip
    assert 15 < orders.count(("math.add", "math.sub")) < 45


@pytest.mark.parametrize(
    ("given", "reason"),
    [(task(ADD), "too_few_functions"), (task(ADD, function("math.add", "another")), "duplicate_names")],
    ids=["one", "duplicates"],
)
def test_shuffle_does_not_apply(given: Task, reason: str) -> None:
    assert skipped(given, "tool_shuffle") == {reason: 1}


# Distractors

OTHERS = [
    task(function(name), id=f"o{i}")
    for i, name in enumerate(["weather.now", "Weather_Now", "book_hotel", "math_add", "addMath", "paint", "sing"])
]


@pytest.mark.parametrize("seed", [str(i) for i in range(20)])
def test_distractors_are_of_others_and_do_not_clash(seed: str) -> None:
    (found, *_) = alter([SUMS, *OTHERS], "distractor_tools", seed=seed)
    added = found.alterations[0].parameters["added"]
    names = [f["name"] for f in found.functions]
    assert 2 <= len(added) <= 6
    assert len({plain_name(name) for name in names}) == len(names) == 2 + len(added)
    assert not {"math_add", "addMath"} & set(names)
    assert [f for f in found.functions if f["name"] not in added] == [ADD, SUB]
    assert "t" not in added.values()


def test_the_bounds_of_distractors() -> None:
    counts = {
        len(alter([SUMS, *OTHERS], "distractor_tools", seed=str(i), minimum=1, maximum=3)[0].functions) - 2
        for i in range(40)
    }
    assert counts == {1, 2, 3}


def test_distractors_come_from_the_source_when_the_set_has_too_few() -> None:
    spec = Spec.model_validate({"distractor_tools": {}})
    (found,), _ = alter_tasks([SUMS], [spec], seed="s", available=[SUMS, *OTHERS])
    assert len(found.functions) >= 4
    elsewhere = [other.model_copy(update={"source": "other"}) for other in OTHERS]
    assert alter_tasks([SUMS], [spec], seed="s", available=elsewhere)[0] == [SUMS]


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ({"distractorTools": {"minimum": 3, "maximum": 2}}, r"tasks.alterations\[0\] \(DistractorTools\): minimum 3 is above maximum 2"),
        ({}, r"tasks.alterations\[0\]: exactly one of .*function_mask.* must be set, not 0"),
        ({"toolShuffle": {}, "functionMask": {}}, "must be set, not 2"),
    ],
    ids=["bounds", "none", "two"],
)  # fmt: skip
def test_a_spec_that_makes_no_sense(spec: dict[str, Any], message: str) -> None:
    with pytest.raises(AlterationError, match=message):
        alter_tasks([SUMS], [Spec.model_validate(spec)], seed="s")


def test_a_name_from_before_the_mask_clashes_too() -> None:
    tasks = alter([SUMS, *OTHERS], "function_mask", "distractor_tools")
    assert not {"math_add", "addMath"} & {f["name"] for f in tasks[0].functions}


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        ([task(ADD)], "expects_no_call"),
        ([SUMS], "too_few_distractors"),
        ([SUMS, *(other.model_copy(update={"language": Language.JAVA, "expects": Expects.NO_CALL}) for other in OTHERS)], "too_few_distractors"),
    ],
    ids=["no call", "no others", "other language"],
)  # fmt: skip
def test_distractors_do_not_apply(given: list[Task], reason: str) -> None:
    assert skipped(given, "distractor_tools")[reason] >= 1


def test_telling_words() -> None:
    assert telling_words("HTTPServer.getUserInfo_by_id") == {"http", "server", "user", "id"}


# Irrelevance


def test_irrelevance_takes_the_expected_functions() -> None:
    (found,) = alter(SUMS, "irrelevance", percent=100)
    assert (found.functions, found.expects, found.ground_truth) == ([SUB], Expects.NO_CALL, None)
    assert (found.category, found.alterations[0].parameters) == ("mine", {"removed": ["math.add"]})
    assert judge(found, "I cannot do that.").passed
    assert judge(found, "[math.add(a=1)]").error == "irrelevance_error:decoder_success"


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        (task(ADD), "expects_no_call"),
        (task(ADD, SUB, expects="AnyCall"), "expects_any_call"),
        (task(ADD, truth=[{"math.add": {}}]), "no_other_function"),
        (task(ADD, truth=[{"gone": {}}]), "undescribed_ground_truth"),
    ],
    ids=["no call", "any call", "alone", "unknown"],
)
def test_irrelevance_does_not_apply(given: Task, reason: str) -> None:
    assert skipped(given, "irrelevance", percent=100) == {reason: 1}


# Function mask


def test_function_names_are_masked_wherever_they_are_meant() -> None:
    (found,) = alter(SUMS, "function_mask")
    names = found.alterations[0].parameters
    add, sub = names["math.add"], names["math.sub"]
    assert [f["name"] for f in found.functions] == [add, sub]
    assert [f["description"] for f in found.functions] == [f"Adds. See {sub}.", f"Undoes `{add}`, not math.adding."]
    assert found.ground_truth == [{add: {"a": [1], "b": [2, ""]}}]
    assert found.messages[0]["content"] == f"Call {add} on 1 and 2, please."
    assert add.isidentifier() and add != sub


def test_a_mention_that_may_be_a_value_stays() -> None:
    tool = function("read_file", "Reads with read_file.", file=parameter())
    given = task(tool, truth=[{"read_file": {"file": ["read_file"]}}], says="Read the file read_file.")
    (found,) = alter(given, "function_mask")
    assert found.messages == given.messages
    assert found.functions[0]["description"] == "Reads with read_file."
    assert list((found.ground_truth or [])[0].values()) == [{"file": ["read_file"]}]


def test_a_plain_word_is_a_name_only_between_quotes() -> None:
    given = task(function("paint", "To paint, use 'paint'.", at=parameter()), says="Please paint, `paint`.")
    (found,) = alter(given, "function_mask")
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
def test_masks_do_not_apply(given: Task, reason: str, name: str) -> None:
    assert skipped(given, name) == {reason: 1}


# Parameter mask

TRIP = function(
    "trip",
    "Books. `user_id` is who, 'place' where.",
    user_id=parameter(description="The user_id; a place."),
    stops=parameter("array", items={"type": "dict", "properties": {"place": parameter(enum=["here", "there"])}, "required": ["place"]}),
    options=parameter("dict", properties={"user_id": parameter(), "deep": parameter("dict", properties={"k": parameter()})}, default={"user_id": "x"}),
    required=("user_id", "stops"),
)  # fmt: skip
TRUTH = {
    "user_id": ["u1"],
    "stops": [[{"place": ["here"]}, {"place": ["there", ""]}]],
    "options": [{"user_id": ["u2"], "deep": [{"k": "v"}]}, ""],
}


def test_parameter_names_are_masked_at_every_depth() -> None:
    (found,) = alter(task(TRIP, truth=[{"trip": TRUTH}], says="For user_id u1 at the place."), "parameter_mask")
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
def test_a_ground_truth_that_is_not_described_cannot_follow(truth: dict[str, Any]) -> None:
    assert skipped(task(TRIP, truth=[{"trip": truth}]), "parameter_mask") == {"undescribed_ground_truth": 1}


def test_keys_that_no_schema_names_stay() -> None:
    given = task(function("f", a=parameter("dict")), truth=[{"f": {"a": [{"k": [1]}]}}])
    (found,) = alter(given, "parameter_mask")
    assert list((found.ground_truth or [])[0]["f"].values()) == [[{"k": [1]}]]


def test_no_parameters_to_mask() -> None:
    assert skipped(task(function("f")), "parameter_mask") == {"no_parameters": 1}


# Default values


def masked(schema: dict[str, Any], allowed: list[Any] | None = None, **more: Any) -> tuple[dict[str, Any], list[Any]]:
    required = ("p",) if more.pop("required", False) else ()
    tool = function("f", more.pop("about", ""), p=schema, required=required)
    (found,) = alter(task(tool, truth=[{"f": {} if allowed is None else {"p": allowed}}], **more), "default_value_mask")
    (call,) = found.ground_truth or []
    changed: dict[str, Any] = found.functions[0]["parameters"]["properties"]["p"]
    return changed, call["f"].get("p", [])


@pytest.mark.parametrize(
    "description",
    ["The unit. Default is 'metric'.", "Defaults to metric.", 'Unit (default: "metric").', "Default value is `metric`, ok"],
    ids=["quoted", "bare", "colon", "backticks"],
)  # fmt: skip
def test_a_default_in_a_description(description: str) -> None:
    changed, allowed = masked(parameter(description=description), ["metric", ""])
    new = allowed[0]
    assert changed["description"] == description.replace("metric", new)
    assert new != "metric" and len(new) == 6 and new.isalpha() and new.islower()
    assert allowed == [new, ""]


@pytest.mark.parametrize(
    ("kind", "value", "form"),
    [("integer", 50, r"[2-9]0"), ("integer", 0, r"[2-9]"), ("float", 0.05, r"0\.0[2-9]"), ("float", 7, r"[2-9]"),
     ("string", "USD", r"[A-Z]{3}"), ("string", "10-b", r"[2-9]{2}-[a-z]")],
    ids=str,
)  # fmt: skip
def test_a_default_keeps_type_and_look(kind: str, value: Any, form: str) -> None:
    changed, allowed = masked(parameter(kind, f"Default is {value!r}.", default=value), [value, ""])
    new = changed["default"]
    assert type(new) is type(value) and new != value
    assert changed["description"] == f"Default is {new!r}."
    assert allowed == [new, ""]
    assert re.fullmatch(form, str(new))


def test_a_default_among_others_is_another_of_them() -> None:
    changed, allowed = masked(parameter(enum=["a1", "b2", "c3"], default="a1"), ["a1", ""], says="Not b2.")
    assert (changed["default"], allowed) == ("c3", ["c3", ""])


def test_other_allowed_values_stay() -> None:
    changed, allowed = masked(parameter(default="metric"), ["imperial", ""])
    assert changed["default"] != "metric"
    assert allowed == ["imperial", ""]


def test_all_spellings_of_the_default_become_one() -> None:
    changed, allowed = masked(parameter(default="New York"), ["new york", "NY", "New-York", ""])
    assert allowed == [changed["default"], "NY", ""]


def test_integers_for_floats_keep_their_form() -> None:
    changed, allowed = masked(parameter("float", default=5.0), [5.0, ""])
    assert isinstance(allowed[0], float) and allowed[0] == changed["default"]


def test_a_required_default_follows_if_nobody_says_it() -> None:
    changed, allowed = masked(parameter(default="metric"), ["metric"], required=True)
    assert allowed == [changed["default"]]


def test_nested_defaults_follow() -> None:
    schema = parameter("array", items={"type": "dict", "properties": {"u": parameter(default="metric")}})
    changed, allowed = masked(schema, [[{"u": ["metric", ""]}, {"u": ["si", ""]}]])
    new = changed["items"]["properties"]["u"]["default"]
    assert allowed == [[{"u": [new, ""]}, {"u": ["si", ""]}]]


UNCERTAIN: dict[str, tuple[dict[str, Any], list[Any], dict[str, Any]]] = {
    "the question says it": (parameter(default="metric"), ["metric", ""], {"says": "In Metric units."}),
    "the question says it in words": (parameter("integer", default=2), [2, ""], {"says": "For two."}),
    "the question asks otherwise": (parameter(default="USD"), ["USD"], {"says": "In dollars."}),
    "no default": (parameter(description="The unit."), ["metric", ""], {}),
    "a default in words": (parameter(description="Defaults to the current unit."), [""], {}),
    "contradiction": (parameter(description="Default is 'si'.", default="metric"), [""], {}),
    "a power of ten": (parameter("float", default=1e-05), [""], {}),
    "a power of ten in digits": (parameter("float", description="Default is 0.00001."), [""], {}),
    "a number larger than floats": (parameter("integer", default=10**400), [""], {}),
    "a number without end": (parameter("integer", description=f"Default is {'9' * 5000}."), [""], {}),
    "larger than floats among others": (parameter("integer", default=3, enum=[3, 10**400]), [""], {}),
    "unreadable beside readable": (parameter(description="By default, all.", default="metric"), [""], {}),
    "nothing": (parameter(description="Default is None."), [""], {}),
    "empty": (parameter(default=""), [""], {}),
    "boolean": (parameter("boolean", default=False), [False, ""], {}),
    "wrong type": (parameter("integer", "Default is 'x'."), [""], {}),
    "only one choice": (parameter(enum=["a"], default="a"), [""], {}),
    "out of bounds": (parameter("integer", default=5, minimum=5, maximum=5), [""], {}),
    "named by the function": (parameter(default="metric"), ["metric", ""], {"about": "Default unit: metric."}),
    "bare value in a dict": (
        parameter("dict", properties={"u": parameter(default="metric")}),
        [{"u": "metric"}],
        {},
    ),
}


@pytest.mark.parametrize(("schema", "allowed", "more"), UNCERTAIN.values(), ids=UNCERTAIN)
def test_an_uncertain_default_stays(schema: dict[str, Any], allowed: list[Any], more: dict[str, Any]) -> None:
    given = task(
        function("f", more.get("about", ""), p=schema), truth=[{"f": {"p": allowed}}], says=more.get("says", "Do it.")
    )
    assert skipped(given, "default_value_mask") == {"no_certain_default": 1}


@pytest.mark.parametrize("language", [Language.JAVA, Language.JAVASCRIPT])
def test_defaults_of_other_languages_stay(language: Language) -> None:
    given = task(function("f", p=parameter("String", default="x1")), language=language)
    assert skipped(given, "default_value_mask") == {"language": 1}


# Together


def test_records_and_parent() -> None:
    (found,) = alter(SUMS, "function_mask", "parameter_mask")
    assert [record.name for record in found.alterations] == ["FunctionMask", "ParameterMask"]
    assert found.parent == SUMS


def test_an_altered_task_keeps_its_first_parent() -> None:
    (once,) = alter(SUMS, "function_mask")
    (twice,) = alter(once, "parameter_mask")
    assert twice.parent == SUMS
    assert [record.name for record in twice.alterations] == ["FunctionMask", "ParameterMask"]


def test_percent_decides_by_task() -> None:
    tasks = [SUMS.model_copy(update={"id": f"t{i}"}) for i in range(400)]
    found, (manifest,) = altered(tasks, "function_mask", percent=25)
    assert 70 < manifest.applied < 130
    assert manifest.skipped == {"not_chosen": 400 - manifest.applied}
    assert manifest.parameters == {"percent": 25}
    backwards, _ = altered(tasks[::-1], "function_mask", percent=25)
    assert backwards[::-1] == found


def test_choices_differ_by_seed_place_and_task() -> None:
    (a,), (b,) = alter(SUMS, "function_mask"), alter(SUMS, "function_mask", seed="other")
    (c,) = alter(SUMS.model_copy(update={"id": "u"}), "function_mask")
    (d,) = alter(SUMS, "irrelevance", "function_mask", percent=100)
    assert len({next(iter(t.alterations[-1].parameters.values())) for t in (a, b, c, d)}) == 4
