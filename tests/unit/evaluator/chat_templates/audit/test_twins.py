"""Twins: placeholders for words and numbers, and the same twin in other shapes."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest

from bitagent_evaluator.chat_templates.audit.twins import (
    PLACEHOLDER,
    Twin,
    grown,
    make_twin,
    place_of,
    reversed_twin,
    unpadded,
)

KEYS = [bytes([n] * 32) for n in (1, 90, 255)]


def tool(**properties: Any) -> dict[str, Any]:
    parameters = {"type": "object", "properties": properties, "required": list(properties)[:1]}
    return {"type": "function", "function": {"name": "maps.find", "description": "Finds.", "parameters": parameters}}


TOOL = tool(
    city={"type": "string", "enum": ["Oslo", "Rome"]},
    days={"type": "integer", "default": 14, "minimum": 1},
    box={"type": "object", "properties": {"low": {"type": "number"}}},
)


def twin(text: str = "First line.\nSecond line.") -> Twin:
    return make_twin([{"role": "user", "content": text}], [TOOL])


def parameters(of: Twin, place: int = 0) -> dict[str, Any]:
    assert of.tools is not None
    found: dict[str, Any] = of.tools[place]["function"]["parameters"]
    return found


def test_numbers_of_a_schema_have_placeholders_but_zero_and_one() -> None:
    days = list(parameters(twin())["properties"].values())[1]
    assert days["minimum"] == 1 and days["default"] != 14
    assert twin().originals[str(days["default"])] == "14"


def test_words_of_earlier_arguments_have_placeholders_whatever_they_are_called() -> None:
    call = {"id": "c1", "type": "function", "function": {"name": "find", "arguments": {"type": "circle", "id": "x7"}}}
    made = make_twin([{"role": "assistant", "content": "", "tool_calls": [call]}], None)
    words = json.dumps(made.messages)
    assert "circle" not in words and "x7" not in words and '"c1"' in words


def test_parts_of_a_dotted_name_keep_their_places() -> None:
    assert twin().tools is not None
    name = parameters(twin()) and (twin().tools or [])[0]["function"]["name"]
    assert [twin().originals[part] for part in name.split(".")] == ["maps", "find"]


@pytest.mark.parametrize("key", KEYS, ids=["small", "middle", "large"])
def test_grown_twin_has_more_of_everything_that_is_counted(key: bytes) -> None:
    small, large = twin(), grown(twin(), key)
    assert small.tools is not None and large.tools is not None
    assert len(large.tools) > len(small.tools)
    before, after = parameters(small), parameters(large)
    assert len(after["properties"]) > 2 * len(before["properties"]) - 1
    assert len(after["required"]) > len(before["required"])
    first, larger = (next(iter(schema["properties"].values())) for schema in (before, after))
    assert len(larger["enum"]) > len(first["enum"])
    assert large.messages[0]["content"].count("\n") > small.messages[0]["content"].count("\n")
    assert {schema["type"] for schema in after["properties"].values()} > {"string", "integer", "object"}


def test_clones_have_the_place_and_the_alphabetical_order_of_their_originals() -> None:
    large = parameters(grown(twin(), KEYS[2]))
    names = list(large["properties"])
    assert {place_of(name) for name in names} == {place_of(name) for name in parameters(twin())["properties"]}
    starts = [name for name in names if len(name) == len("zq0000000")]
    assert sorted(names[names.index(starts[0]) : names.index(starts[1])])[0] == starts[0]
    assert all(PLACEHOLDER.fullmatch(name) for name in names)


def test_growth_follows_from_the_key_alone() -> None:
    assert grown(twin(), KEYS[1]) == grown(twin(), KEYS[1])
    assert len({json.dumps(grown(twin(), key).tools) for key in KEYS}) == len(KEYS)


def test_a_twin_without_padding_keeps_lines_and_texts() -> None:
    spaced = twin("\t First line. \r\n \n  Second line. \n")
    first, _, second, _ = spaced.messages[0]["content"].split("\n")
    assert unpadded(spaced).messages[0]["content"] == f"{first.strip()}\n\n{second.strip()}"
    assert unpadded(twin()).messages == twin().messages and unpadded(twin()).tools == twin().tools


def test_white_space_after_a_marker_is_kept_and_takes_linear_time() -> None:
    spaced = twin("</think>" + " " * 100_000 + "Text.")
    started = time.thread_time()
    assert unpadded(spaced).messages == spaced.messages
    assert time.thread_time() - started < 20, "in the square of its length it takes minutes"


def test_texts_that_happen_to_be_equal_have_placeholders_of_their_own() -> None:
    made = make_twin([{"role": "user", "content": "maps"}], [{"name": "maps", "description": "maps"}])
    assert made.tools is not None
    texts = [made.messages[0]["content"], made.tools[0]["name"], made.tools[0]["description"]]
    assert len(set(texts)) == 3 and [made.originals[text] for text in texts] == ["maps"] * 3


def test_reversed_twin_has_the_same_members_in_the_opposite_order() -> None:
    turned = parameters(reversed_twin(twin()))
    assert list(turned["properties"]) == list(parameters(twin())["properties"])[::-1]
    assert turned["properties"] == parameters(twin())["properties"] | {
        name: schema | {"enum": schema["enum"][::-1]}
        for name, schema in parameters(twin())["properties"].items()
        if "enum" in schema
    }
