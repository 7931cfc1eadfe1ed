"""What the models of the endpoint answer. Pure."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

PREFIX = "skill-"
CANNOT = "I cannot help with that."
Answers = Mapping[str, str]
"""The right answer to each question."""


class UnknownModel(ValueError):
    """No model has this name."""


def known_answers(lines: Iterable[str]) -> dict[str, str]:
    """Return the answers to the questions of a task file, from the first value that each argument may have."""
    found: dict[str, str] = {}
    for line in filter(str.strip, lines):
        task = json.loads(line)
        if task.get("ground_truth"):
            found[str(task["messages"][-1]["content"])] = _calls(task["ground_truth"])
    return found


def skill_of(model: str) -> int:
    """Return how many of a hundred questions a model can answer. Raises UnknownModel."""
    number = model.removeprefix(PREFIX)
    if number == model or not number.isdecimal() or int(number) > 100:
        raise UnknownModel(f"there is no model {model!r}: name one from {PREFIX}0 to {PREFIX}100")
    return int(number)


def answer(known: Answers, question: str, *, skill: int) -> str:
    """Return a model's answer to a question."""
    drawn = int.from_bytes(hashlib.sha256(question.encode()).digest()[:4], "big") % 100
    return known.get(question, CANNOT) if drawn < skill else CANNOT


def completion(known: Answers, request: Mapping[str, Any]) -> dict[str, Any]:
    """Return the completion of a chat. Raises UnknownModel, and ValueError if it is not a request for one."""
    try:
        model = str(request["model"])
        asked = [str(each["content"]) for each in request["messages"] if each["role"] == "user"]
    except (KeyError, TypeError) as error:
        raise ValueError(f"not a request for a chat completion: {error}") from error
    text = answer(known, asked[-1] if asked else "", skill=skill_of(model))
    message = {"role": "assistant", "content": text}
    usage = {"prompt_tokens": len(" ".join(asked)) // 4, "completion_tokens": len(text) // 4}
    choice = {"index": 0, "message": message, "finish_reason": "stop"}
    return {"object": "chat.completion", "model": model, "choices": [choice], "usage": usage}


def _calls(truth: Sequence[Mapping[str, Mapping[str, Sequence[Any]]]]) -> str:
    calls = []
    for call in truth:
        for name, arguments in call.items():
            given = [f"{key}={values[0]!r}" for key, values in arguments.items() if values and values[0] != ""]
            calls.append(f"{name}({', '.join(given)})")
    return f"[{', '.join(calls)}]"
