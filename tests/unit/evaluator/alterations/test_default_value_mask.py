"""Default values: which ones are replaced, how, and which are left alone because they are not certain."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest
from tests.unit.evaluator.alterations.sum_tasks import function, parameter, task

from bitagent_crds.task_forms import Language


@pytest.fixture
def masked(alter: Any) -> Callable[..., tuple[dict[str, Any], list[Any]]]:
    """Mask a task of one function `f` with one parameter `p`; return the changed schema and allowed values of `p`."""

    def mask(schema: dict[str, Any], allowed: list[Any], **more: Any) -> tuple[dict[str, Any], list[Any]]:
        tool = function("f", p=schema, required=("p",) if more.pop("required", False) else ())
        ((found,), _) = alter(task(tool, truth=[{"f": {"p": allowed}}], **more), "default_value_mask")
        (call,) = found.ground_truth or []
        return found.functions[0]["parameters"]["properties"]["p"], call["f"]["p"]

    return mask


@pytest.mark.parametrize(
    "description",
    [
        "The unit. Default is 'metric'.",
        "Defaults to metric.",
        'Unit (default: "metric").',
        "Default value is `metric`, ok",
    ],
    ids=["quoted", "bare", "colon", "backticks"],
)
def test_a_default_in_a_description(masked: Any, description: str) -> None:
    changed, allowed = masked(parameter(description=description), ["metric", ""])
    new = allowed[0]
    assert changed["description"] == description.replace("metric", new)
    assert new != "metric" and len(new) == 6 and new.isalpha() and new.islower()
    assert allowed == [new, ""]


@pytest.mark.parametrize(
    ("kind", "value", "form"),
    [
        ("integer", 50, r"[2-9]0"),
        ("integer", 0, r"[2-9]"),
        ("float", 0.05, r"0\.0[2-9]"),
        ("float", 7, r"[2-9]"),
        ("string", "USD", r"[A-Z]{3}"),
        ("string", "10-b", r"[2-9]{2}-[a-z]"),
    ],
    ids=str,
)
def test_a_default_keeps_type_and_look(masked: Any, kind: str, value: Any, form: str) -> None:
    changed, allowed = masked(parameter(kind, f"Default is {value!r}.", default=value), [value, ""])
    new = changed["default"]
    assert type(new) is type(value) and new != value
    assert changed["description"] == f"Default is {new!r}."
    assert allowed == [new, ""]
    assert re.fullmatch(form, str(new))


def test_a_default_among_others_is_another_of_them(masked: Any) -> None:
    changed, allowed = masked(parameter(enum=["a1", "b2", "c3"], default="a1"), ["a1", ""], says="Not b2.")
    assert (changed["default"], allowed) == ("c3", ["c3", ""])


def test_other_allowed_values_stay(masked: Any) -> None:
    changed, allowed = masked(parameter(default="metric"), ["imperial", ""])
    assert changed["default"] != "metric"
    assert allowed == ["imperial", ""]


def test_all_spellings_of_the_default_become_one(masked: Any) -> None:
    changed, allowed = masked(parameter(default="New York"), ["new york", "NY", "New-York", ""])
    assert allowed == [changed["default"], "NY", ""]


def test_integers_for_floats_keep_their_form(masked: Any) -> None:
    changed, allowed = masked(parameter("float", default=5.0), [5.0, ""])
    assert isinstance(allowed[0], float) and allowed[0] == changed["default"]


def test_a_required_default_is_replaced_if_no_message_states_it(masked: Any) -> None:
    changed, allowed = masked(parameter(default="metric"), ["metric"], required=True)
    assert allowed == [changed["default"]]


def test_nested_defaults_follow(masked: Any) -> None:
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
def test_an_uncertain_default_stays(
    skip_reasons: Any, schema: dict[str, Any], allowed: list[Any], more: dict[str, Any]
) -> None:
    given = task(
        function("f", more.get("about", ""), p=schema), truth=[{"f": {"p": allowed}}], says=more.get("says", "Do it.")
    )
    assert skip_reasons(given, "default_value_mask") == {"no_certain_default": 1}


@pytest.mark.parametrize("language", [Language.JAVA, Language.JAVASCRIPT])
def test_defaults_of_other_languages_stay(skip_reasons: Any, language: Language) -> None:
    given = task(function("f", p=parameter("String", default="x1")), language=language)
    assert skip_reasons(given, "default_value_mask") == {"language": 1}
