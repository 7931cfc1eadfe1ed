"""What a model thinks before its answer, in `<think>` and `</think>` or the marks of other families.

Not all of them are tokens of their models, but a template or a training set may teach any model to write them.
"""

from __future__ import annotations

import json
import re

START_OF_THINKING, END_OF_THINKING = "<think>", "</think>"
_MARKS = (
    (START_OF_THINKING, END_OF_THINKING),
    ("[THINK]", "[/THINK]"),  # Magistral
    ("<seed:think>", "</seed:think>"),  # Seed-OSS
    ("<|START_THINKING|>", "<|END_THINKING|>"),  # Command-A
    ("◁think▷", "◁/think▷"),  # Kimi-VL
    ("<|channel|>analysis<|message|>", "<|channel|>final<|message|>"),  # gpt-oss
    ("<|inner_prefix|>", "<|inner_suffix|>"),  # Apertus
    ("<|channel>thought", "<channel|>"),  # Gemma 4
    ("<mm:think>", "</mm:think>"),  # MiniMax-M3
    ("<longcat_think>", "</longcat_think>"),
    ("<ifm|think>", "</ifm|think>"),  # K2 Horizon
    ("<|open|>think<|sep|>", "<|close|>think<|sep|>"),  # Kimi K3
    ("<|plamo:begin_think:plamo|>", "<|plamo:end_think:plamo|>"),
    ("<thinking>", "</thinking>"),
    ("<thought>", "</thought>"),
    ("<reasoning>", "</reasoning>"),
)
STARTS_OF_THINKING = tuple(start for start, _ in _MARKS)
ENDS_OF_THINKING = tuple(end for _, end in _MARKS)

_GRANITE = re.compile(r"\s{0,8}Here(?: is|'s) my thought process:.*Here(?: is|'s) my response:", re.DOTALL)
"""Granite 3.2's thought, which has words for marks."""
_WRAPPED = re.compile(r"\s{0,8}<(answer|response|output)>(.*?)(?:</\1>\s{0,8})?\Z", re.DOTALL)
"""What Granite 3.3, Hunyuan and many fine-tunes put around the answer after a thought."""
_MAX_MARKS = 4
_MAX_OPENINGS = 64
"""Number of brackets before a mark that are tried as the beginning of a value around it."""
_OPENING = re.compile(r"[\[{]")
_ARGUMENTS = (
    ("<parameter=", "</parameter>"),
    ("<parameter name=", "</parameter>"),
    ("<arg_value>", "</arg_value>"),
)
"""Tags around arguments."""
_DECODER = json.JSONDecoder()


def only_thought(thought: str) -> str:
    """Return the text of an answer that is a thought and nothing after it."""
    return f"{START_OF_THINKING}{thought}{END_OF_THINKING}"


def is_only_thought(text: str) -> bool:
    """Return whether an answer has a thought, whether it ended or not, and nothing after it."""
    answer = strip_thinking(text).strip()
    return bool(text.strip()) and (not answer or answer.startswith(STARTS_OF_THINKING))


def answers_after_thinking(text: str) -> list[str]:
    """Return what follows each of the last marks of a thought's end, the shortest first; nothing without a mark.

    Which mark ends the thought is not known where an argument of a Python call has one.
    """
    found: list[str] = []
    end = len(text)
    while len(found) < _MAX_MARKS:
        at, mark = max((text.rfind(mark, 0, end), mark) for mark in ENDS_OF_THINKING)
        if at < 0:
            break
        found.append(text[at + len(mark) :])
        end = at
    return found


def strip_thinking(text: str) -> str:
    """Return the answer after the last mark of a thought's end; one inside an argument of a call is part of the answer.

    The leaderboard's own handlers of thinking models cut there, whatever the format. The template may have written the
    opening mark, so it need not be in the text. Tags around the whole answer are cut too.
    """
    if worded := _GRANITE.match(text):
        return text[worded.end() :]
    end = len(text)
    for _ in range(_MAX_MARKS):
        at, mark = max((text.rfind(mark, 0, end), mark) for mark in ENDS_OF_THINKING)
        if at < 0:
            return text
        if not _is_in_a_value(text, at):
            answer = text[at + len(mark) :]
            wrapped = _WRAPPED.fullmatch(answer)
            return wrapped[2] if wrapped else answer
        end = at
    return text


def _is_in_a_value(text: str, at: int) -> bool:
    """Whether a place is inside a JSON value or a parameter's tag."""
    if any(text.rfind(start, 0, at) > text.rfind(end, 0, at) and text.find(end, at) >= 0 for start, end in _ARGUMENTS):
        return True
    openings = [found.start() for found in _OPENING.finditer(text, 0, at)]
    return any(_end_of_value(text, start) > at for start in reversed(openings[-_MAX_OPENINGS:]))


def _end_of_value(text: str, start: int) -> int:
    try:
        return _DECODER.raw_decode(text, start)[1]
    except (ValueError, RecursionError):
        return -1
