"""Forms of tasks and prompts: what counts as a right answer, and how functions and calls are written.

Enumerations alone, without pydantic: sandboxes that read models' files start often, and import them.
"""

from __future__ import annotations

from enum import StrEnum


class Expects(StrEnum):
    """Kind of answer that is right for a task."""

    CALLS = "Calls"
    """The calls of the ground truth."""
    NO_CALL = "NoCall"
    """No call at all (BFCL irrelevance)."""
    ANY_CALL = "AnyCall"
    """At least one call, of any function (BFCL relevance)."""
    STATE = "State"
    """In a conversation: after each turn, the state and results of the systems that the reference calls produce."""
    TEXT = "Text"
    """The text of `reference`; only its loss is measured."""
    ANSWER = "Answer"
    """After as many calls as it takes, a text that contains one of the answers of `memory` (BFCL memory)."""


SEVERAL_STEPS = frozenset((Expects.STATE, Expects.ANSWER))
"""Expectations of tasks that may take several answers, because calls are executed in between."""


class Language(StrEnum):
    """Programming language in which the functions and calls of a task are written."""

    PYTHON = "Python"
    JAVA = "Java"
    JAVASCRIPT = "JavaScript"


class ReturnFormat(StrEnum):
    """Format in which a prompt asks for calls; the values are the leaderboard's."""

    PYTHON = "python"
    """`[f(a=1), g(b="x")]`"""
    JSON = "json"
    """`[{"function": "f", "parameters": {"a": 1}}]`"""
    VERBOSE_XML = "verbose_xml"
    """`<functions><function name="f"><params><param name="a" value="1" type="integer"/></params></function>...`"""
    CONCISE_XML = "concise_xml"
    """`<functions><function name="f"><param name="a" type="integer">1</param></function>...`"""


class FunctionDocFormat(StrEnum):
    """Format in which a prompt describes functions; the values are the leaderboard's."""

    PYTHON = "python"
    XML = "xml"
    JSON = "json"


class PromptLayout(StrEnum):
    """Layout of a system prompt; the values are the leaderboard's."""

    PLAINTEXT = "plaintext"
    MARKDOWN = "markdown"


class PromptStyle(StrEnum):
    """Wording of a system prompt; the values are the leaderboard's."""

    CLASSIC = "classic"
    EXPERIMENTAL = "experimental"


class MemoryBackend(StrEnum):
    """Kind of a memory; the values are the leaderboard's."""

    KV = "kv"
    """Texts by name: a small memory that is always shown, and an archive whose names can be searched."""
    REC_SUM = "rec_sum"
    """One text, which the model writes again and again."""
    VECTOR = "vector"
    """Texts by number, which are searched by the similarity of their embeddings."""


class BuiltinPromptFormat(StrEnum):
    """Built-in formats in which a task is presented to a model."""

    AUTO = "Auto"
    """The round's format; if that is Auto too, ChatTemplate for losses and for a model whose template takes tools,
    else Bfcl."""
    BFCL = "Bfcl"
    """BFCL's prompting mode: the functions as JSON in the system message."""
    BITAGENT = "BitAgent"
    """The BitAgent subnet's system message with its tool list."""
    CHAT_TEMPLATE = "ChatTemplate"
    """The model's own chat template, with the functions as its `tools`."""
    HAMMER = "Hammer"
    """Hammer's instructions; the answer is a JSON list of `{"name", "arguments"}`."""
    ALPACA = "Alpaca"
    """One instruction and a response heading, without special tokens."""
    VICUNA = "Vicuna"
    """`USER:` and `ASSISTANT:` turns after a system text."""
    CHATML = "ChatML"
    """`<|im_start|>` and `<|im_end|>` turns."""
    LLAMA2 = "Llama2"
    """`[INST]` and `<<SYS>>` turns."""
