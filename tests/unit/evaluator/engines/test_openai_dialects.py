"""How servers are asked that do not take what OpenAI's API has."""

from __future__ import annotations

from typing import Any

import pytest

from bitagent_evaluator.engines.openai_dialects import OPENAI, Dialect, adapted, is_other_model

CHAT: dict[str, Any] = {"messages": [], "max_tokens": 9, "temperature": 0.0, "seed": 1}

WAYS: dict[str, tuple[str, dict[str, Any], Dialect]] = {
    "OpenAI's": ("Use 'max_completion_tokens' instead.", CHAT, Dialect(limit="max_completion_tokens")),
    "Azure's, in a finished text": ("max_completion_tokens", {"prompt": "x", "max_tokens": 9}, OPENAI),
    "DashScope's": ("This model only support stream mode", CHAT, Dialect(streams=True)),
    "DashScope's thoughts": ("must be set to false for non-streaming calls", CHAT, Dialect(streams=True)),
    "ModelScope's": ("can not be support when `stream=False`", CHAT, Dialect(streams=True)),
    "a proxy's": ("Stream must be set to true", CHAT, Dialect(streams=True)),
    "SDKs'": ("Streaming is required for operations that may take longer", CHAT, Dialect(streams=True)),
    "Mistral's": ('[{"type": "extra_forbidden", "loc": ["body", "seed"]}]', CHAT, Dialect(seeds=False)),
    "a seed that is not sent": ("seed", {"messages": [], "max_tokens": 9}, OPENAI),
    "temperature": ("'temperature' does not support 0", CHAT, OPENAI),
    "a long prompt": ("maximum context length is 8192 tokens", CHAT, OPENAI),
    "a word like it": ("the bitstream of seeds", CHAT, OPENAI),
    "nothing": ("", CHAT, OPENAI),
}


@pytest.mark.parametrize(("words", "given", "dialect"), WAYS.values(), ids=WAYS)
def test_how_a_server_is_asked_after_a_refusal(words: str, given: dict[str, Any], dialect: Dialect) -> None:
    assert adapted(OPENAI, words, given) == dialect


@pytest.mark.parametrize(
    "dialect",
    [Dialect(limit="max_completion_tokens"), Dialect(streams=True), Dialect(seeds=False)],
    ids=lambda d: d.shown,
)
def test_a_refusal_of_what_is_asked_already_changes_nothing(dialect: Dialect) -> None:
    words = {"with": "max_completion_tokens", "for": "stream=False", "without": "seed"}[dialect.shown.split()[0]]
    assert adapted(dialect, words, CHAT) == dialect


def test_the_arguments_in_all_ways() -> None:
    assert OPENAI.arguments(CHAT) == CHAT
    given = {**CHAT, "extra_body": {"chat_template_kwargs": {"thinking": True}}}
    assert Dialect(limit="max_completion_tokens", streams=True, seeds=False).arguments(given) == {
        "messages": [],
        "temperature": 0.0,
        "max_completion_tokens": 9,
        "extra_body": {
            "chat_template_kwargs": {"thinking": True},
            "stream": True,
            "stream_options": {"include_usage": True},
        },
    }


@pytest.mark.parametrize(
    ("asked", "answered", "other"),
    [
        ("m", "m", False),
        ("gpt-4o", "gpt-4o-2024-08-06", False),
        ("Qwen/Qwen3-8B", "qwen3-8b", False),
        ("qwen3:8b", "qwen3:8b", False),
        ("llama3:latest", "llama3", False),
        ("qwen3-8b", "/models/Qwen3-8B.gguf", False),
        ("qwen3-8b", "C:\\models\\Qwen3-8B-Q4_K_M.gguf", False),
        ("models/gemini-2.5-flash", "gemini-2.5-flash", False),
        ("m", "", False),
        ("me/my-model", "gpt-3.5-turbo", True),
        ("qwen3-8b", "llama-3.1-8b-instruct", True),
    ],
)
def test_another_model_is_recognised(asked: str, answered: str, other: bool) -> None:
    assert is_other_model(asked, answered) is other
