"""Markers of conversation formats: the only words in a text that a template may look for.

No task of a benchmark contains them, so a decision on a marker tells nothing about the task. `</think>` in an earlier answer is the usual one.
"""

from __future__ import annotations

import re

_TAGS = (
    "think|thinking|thought|reasoning|reflection|answer|tool|tools|tool_call|tool_calls|tool_response|tool_result|tool_results"
    "|tool_outputs?|function|functions|function_call|function_calls|function_results?|available_tools|scratch_pad|s|bos|eos|turn"
    "|start_of_turn|end_of_turn|start_of_image|end_of_image|image_soft_token|image|video|audio"
)
_BRACKETS = (
    "INST|AVAILABLE_TOOLS|TOOL_CALLS|TOOL_RESULTS|TOOL_CONTENT|SYSTEM_PROMPT|MODEL_SETTINGS|THINK|ARGS|CALL_ID|IMG"
)
MARKER = re.compile(
    rf"<\|[^<>|\n]{{1,40}}\|>|<｜[^<>｜\n]{{1,40}}｜>|</?(?:{_TAGS})>|<<?/?SYS>>?|\[/?(?:{_BRACKETS})\]|/(?:no_)?think\b|/system_override\b"
)
"""One marker."""


def is_marker(text: object) -> bool:
    """Whether a constant is one marker, with whitespace around it or not."""
    return isinstance(text, str) and MARKER.fullmatch(text.strip()) is not None


def is_separator(text: object) -> bool:
    """Whether a constant is a marker or only whitespace: what a template may split, strip and replace."""
    return isinstance(text, str) and (not text.strip() or is_marker(text))
