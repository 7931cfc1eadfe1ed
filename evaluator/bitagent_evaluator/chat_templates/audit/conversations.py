"""Conversations of the differential probe, on which a template is tried before any task is known.

Shapes times texts: a question alone, with a system message, with tools, and after an earlier call and its result. The
texts differ in length, punctuation and subject, the names of tools in their letters; some texts are questions of the
benchmark in the installed bfcl-eval package.
"""

from __future__ import annotations

import importlib.resources
import json
from collections.abc import Iterator
from itertools import islice
from typing import Any

Conversation = tuple[list[dict[str, Any]], list[dict[str, Any]] | None]
"""Messages and tools."""

_TEXTS = (
    "Hi",
    "What is 17 times 23?",
    "Find the area of a triangle with a base of 10 units and a height of 5 units.",
    "Please book a table for four at 19:30 tomorrow, near the station (at most $40 each, 10% tip): it's for a"
    " [vegetarian] family; C++ & #1 _only_ @ 5*2 = 10.\nThanks!",
    'Translate "good morning" into French, Hindi (हिन्दी) & Greek.',
    "\n  " + "I'd like to know whether it rains in Oslo on the 3rd of May, and how warm it gets. " * 6 + " \n",
)
_SYSTEM = "You are a careful assistant. Answer with function calls."
_QUESTION_STEP = 40
_QUESTIONS = 12


def _tool(name: str, description: str) -> dict[str, Any]:
    properties = {
        "place": {"type": "string", "description": "Where."},
        "amount": {"type": "integer", "description": "How many.", "default": 1},
        "units": {"type": "array", "items": {"type": "string"}, "description": "In which units."},
    }
    parameters = {"type": "object", "properties": properties, "required": ["place"]}
    return {"type": "function", "function": {"name": name, "description": description, "parameters": parameters}}


def _described(name: str, properties: dict[str, Any], required: list[str]) -> dict[str, Any]:
    parameters = {"type": "object", "properties": properties, "required": required}
    return {"type": "function", "function": {"name": name, "description": f"Does {name}.", "parameters": parameters}}


_TOOLS = [_tool("area_of_shape", "The area of a shape."), _tool("find", "Finds a thing.\nSlowly.")]


_CITY = {"type": "string", "description": "A city."}
_DAYS = {"type": "integer", "description": "Days.", "default": 14}
_UNIT = {"type": "string", "enum": ["metric", "imperial", "none"], "description": "Units."}
_RANGE = {
    "type": "object",
    "description": "A range.",
    "properties": {"low": {"type": "number"}, "high": {"type": "number"}},
    "required": ["low"],
}
_SHAPES_OF_TOOLS = (
    [_described("NOW", {}, [])],
    [_described("weather", {"city": _CITY}, ["city"])],
    [_described("forecast", {"city": _CITY, "days": _DAYS}, [])],
    [_described("b_find", {"city": _CITY, "unit": _UNIT}, ["city", "unit"]), _described("a_find", {"days": _DAYS}, [])],
    [
        _described("plot", {"range": _RANGE, "grid": {"type": "boolean", "description": "With lines."}}, ["range"]),
        _described(
            "STATS.MEAN", {"values": {"type": "array", "items": {"type": "number"}, "description": "Numbers."}}, []
        ),
        _described("sum", {"unit": _UNIT, "city": _CITY, "days": _DAYS, "when": _CITY}, ["unit", "city"]),
    ],
)
"""Tools that differ in number, kinds, order and depth of their parameters."""


def _shapes(text: str) -> Iterator[Conversation]:
    user = {"role": "user", "content": text}
    call = {"id": "call00001", "type": "function", "function": {"name": "find", "arguments": {"place": text}}}
    called: list[dict[str, Any]] = [
        user,
        {"role": "assistant", "content": "", "tool_calls": [call]},
        {"role": "tool", "name": "find", "tool_call_id": "call00001", "content": text},
    ]
    thought = {"role": "assistant", "content": f"<think>\n{text}\n</think>\n\n{text}"}
    yield [user], None
    yield [user], _TOOLS
    yield [{"role": "system", "content": _SYSTEM}, user], None
    yield [{"role": "system", "content": _SYSTEM}, user], _TOOLS
    yield [user, thought, user], None
    yield called, _TOOLS


def _questions() -> Iterator[str]:
    data = importlib.resources.files("bfcl_eval") / "data"
    for category in ("simple_python", "multiple"):
        with (data / f"BFCL_v4_{category}.json").open(encoding="utf-8") as lines:
            for line in islice(lines, 0, _QUESTION_STEP * _QUESTIONS // 2, _QUESTION_STEP):
                yield str(json.loads(line)["question"][0][-1]["content"])


def probe_conversations() -> Iterator[Conversation]:
    """Yield all conversations, in a fixed order."""
    for text in _TEXTS:
        yield from _shapes(text)
    for text in _questions():
        yield [{"role": "user", "content": text}], None
        yield [{"role": "user", "content": text}], _TOOLS
    for tools in _SHAPES_OF_TOOLS:
        yield [{"role": "user", "content": _TEXTS[1]}], tools
