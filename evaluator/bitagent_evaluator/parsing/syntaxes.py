"""From an answer's text to calls: the syntaxes, and the order in which they are tried."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from enum import StrEnum
from typing import Any

from bitagent_crds.task_forms import Language
from bitagent_evaluator.parsing.calls import AnswerError, Calls
from bitagent_evaluator.parsing.gemma import parse_gemma_calls
from bitagent_evaluator.parsing.json import parse_json_list, parse_tool_call_blocks, parse_tool_calls
from bitagent_evaluator.parsing.named_calls import parse_mistral_calls, parse_named_calls
from bitagent_evaluator.parsing.python import parse_python
from bitagent_evaluator.parsing.python_blocks import parse_python_blocks
from bitagent_evaluator.parsing.react import parse_react
from bitagent_evaluator.parsing.rewoo import parse_rewoo
from bitagent_evaluator.parsing.tags import parse_argument_tags, parse_function_tags, parse_invoke_tags
from bitagent_evaluator.parsing.thinking import strip_thinking
from bitagent_evaluator.parsing.tree_sitter import Decoded, parse_java, parse_javascript
from bitagent_evaluator.parsing.yaml import parse_function_params

MAX_CHARACTERS = 65_536
"""Longest answer that is read: eight characters for each of the 8192 tokens that a round may allow."""


class AnswerSyntax(StrEnum):
    """Syntaxes of answers. A prompt format names those that it accepts."""

    PYTHON = "Python"
    """BFCL's list of Python calls, `[f(a=1), g(b="x")]`, exactly as the official decoder reads it."""
    JSON_LIST = "JsonList"
    """Hammer's `[{"name": "f", "arguments": {"a": 1}}]`."""
    TOOL_CALLS = "ToolCalls"
    """OpenAI's `{"tool_calls": [{"function": {"name": "f", "arguments": "{\\"a\\": 1}"}}]}`."""
    TOOL_CALL_BLOCKS = "ToolCallBlocks"
    """`<tool_call>{"name": "f", "arguments": {"a": 1}}</tool_call>`, as Qwen and Hermes write."""
    FUNCTION_TAGS = "FunctionTags"
    """`<function=f>{"a": 1}</function>`, as Llama 3 writes, or `<function=f><parameter=a>1</parameter></function>`, as
    Qwen3-Coder does."""
    ARGUMENT_TAGS = "ArgumentTags"
    """`<tool_call>f<arg_key>a</arg_key><arg_value>1</arg_value></tool_call>`, as GLM since 4.5, Ling 3 and Hunyuan 3
    write."""
    INVOKE_TAGS = "InvokeTags"
    """`<invoke name="f"><parameter name="a">1</parameter></invoke>`, in any name space of tags, as MiniMax and DeepSeek
    since V3.2 write; and Kimi K3's `<|open|>call tool="f"<|sep|>`."""
    MISTRAL_CALLS = "MistralCalls"
    """`[TOOL_CALLS]f[ARGS]{"a": 1}` or `[TOOL_CALLS]f{"a": 1}`."""
    NAMED_CALLS = "NamedCalls"
    """A function named between marks, before a JSON object: DeepSeek-V3, Kimi K2, gpt-oss, Functionary, Apertus,
    PLaMo 3; and GLM-4, which writes the name alone on the line before."""
    PYTHON_BLOCKS = "PythonBlocks"
    """Python calls between marks, in a fence, after a lead such as `Call:`, or one a line: OLMo 3, LFM2, Llama 4,
    Gemma 3, Gorilla, NexusRaven."""
    GEMMA_CALLS = "GemmaCalls"
    """`<start_function_call>call:f{a:1}<end_function_call>`, as FunctionGemma and Gemma 4 write."""
    REACT = "ReAct"
    """`Action:` and `Action Input:`, and what LangChain, Qwen-Agent and Command-R make of them."""
    FUNCTION_PARAMS = "FunctionParams"
    """Bagel's `{"function": "f", "params": {"a": 1}}`, in JSON or YAML."""
    REWOO = "ReWoo"
    """The steps of a reWOO plan: `#E1 = f[a=1]`, `:evidence1: = f(a=1)`."""


FORMS_OF_TEMPLATES = (
    AnswerSyntax.FUNCTION_TAGS,
    AnswerSyntax.INVOKE_TAGS,
    AnswerSyntax.MISTRAL_CALLS,
    AnswerSyntax.NAMED_CALLS,
    AnswerSyntax.GEMMA_CALLS,
    AnswerSyntax.PYTHON_BLOCKS,
    AnswerSyntax.REACT,
    AnswerSyntax.TOOL_CALLS,
    AnswerSyntax.JSON_LIST,
)
"""Forms in which chat templates write calls, in the order in which they are tried; `<arg_key>` and `<tool_call>` come
before them."""

SYNTAXES: Mapping[AnswerSyntax, Callable[[str], Calls]] = {
    AnswerSyntax.PYTHON: parse_python,
    AnswerSyntax.JSON_LIST: parse_json_list,
    AnswerSyntax.TOOL_CALLS: parse_tool_calls,
    AnswerSyntax.TOOL_CALL_BLOCKS: parse_tool_call_blocks,
    AnswerSyntax.FUNCTION_TAGS: parse_function_tags,
    AnswerSyntax.ARGUMENT_TAGS: parse_argument_tags,
    AnswerSyntax.INVOKE_TAGS: parse_invoke_tags,
    AnswerSyntax.MISTRAL_CALLS: parse_mistral_calls,
    AnswerSyntax.NAMED_CALLS: parse_named_calls,
    AnswerSyntax.PYTHON_BLOCKS: parse_python_blocks,
    AnswerSyntax.GEMMA_CALLS: parse_gemma_calls,
    AnswerSyntax.REACT: parse_react,
    AnswerSyntax.FUNCTION_PARAMS: parse_function_params,
    AnswerSyntax.REWOO: parse_rewoo,
}
"""Parsers of the syntaxes. They raise AnswerError and nothing else."""
_WITH_FUNCTIONS: Mapping[AnswerSyntax, Callable[[str, Sequence[Mapping[str, Any]]], Calls]] = {
    AnswerSyntax.FUNCTION_TAGS: parse_function_tags,
    AnswerSyntax.ARGUMENT_TAGS: parse_argument_tags,
    AnswerSyntax.INVOKE_TAGS: parse_invoke_tags,
    AnswerSyntax.REACT: parse_react,
}
"""The parsers that take the descriptions of the functions as well."""
_EVIDENCE: Mapping[AnswerSyntax, tuple[str, ...]] = {
    AnswerSyntax.ARGUMENT_TAGS: ("<arg_key>",),
    AnswerSyntax.FUNCTION_TAGS: ("<function=",),
    AnswerSyntax.INVOKE_TAGS: ("invoke name=", "<function name=", "<|open|>call tool="),
    AnswerSyntax.MISTRAL_CALLS: ("[ARGS]",),
    AnswerSyntax.NAMED_CALLS: (
        "<｜tool▁sep｜>",
        "<|tool_call_argument_begin|>",
        "<|tools_prefix|>",
        "<|recipient|>",
        "to=functions.",
        "<|plamo:begin_tool_name:plamo|>",
        ">>>",
    ),
    AnswerSyntax.GEMMA_CALLS: ("<start_function_call>", "<|tool_call>call:"),
    AnswerSyntax.PYTHON_BLOCKS: (
        "<function_calls>",
        "<|tool_call_start|>",
        "<|python_start|>",
        "tool_code",
        "<bot_end>",
    ),
    AnswerSyntax.REACT: ("Action Input:", "✿ARGS✿", "action_input", '"tool_name"'),
    AnswerSyntax.TOOL_CALL_BLOCKS: ("<tool_call>",),
    AnswerSyntax.JSON_LIST: (
        "[TOOL_CALLS]",
        "<|tool_call|>",
        "<tool_calls>",
        "<TOOLCALL>",
        "functools[",
        "<|python_tag|>",
    ),
}
"""Marks by which a chat template shows in which syntax its model calls, from the most particular on."""


def syntax_in_template(source: str) -> AnswerSyntax | None:
    """Return the syntax in which the chat template of a model writes calls; None if it has none of the known marks."""
    return next((syntax for syntax, marks in _EVIDENCE.items() if any(mark in source for mark in marks)), None)


LANGUAGES: Mapping[Language, Callable[[str], Decoded]] = {
    Language.PYTHON: parse_python,
    Language.JAVA: parse_java,
    Language.JAVASCRIPT: parse_javascript,
}
"""Parsers of BFCL's own syntax in each language. They raise AnswerError and nothing else."""
BFCL_SYNTAX = (AnswerSyntax.PYTHON,)
"""What a prompt format accepts that asks for BFCL's own syntax alone."""


def parse_bfcl(text: str, language: Language = Language.PYTHON) -> Decoded:
    """Parse an answer in BFCL's own syntax for a language, by the rules of BFCL's prompting decoder.

    Backticks, newlines and spaces around the answer are dropped and missing outer brackets are added. An answer without
    calls, such as `[]`, gives an empty list. For Python the result is always a list of calls; for Java and JavaScript
    it need not be (see `is_call_list`), again as in the official decoder. These two pass the text to parsers written in
    C: parse untrusted answers with them in a process that may die, as `bitagent_evaluator.scoring` does.

    Raises AnswerError, and nothing else, whatever the text.
    """
    _check_length(text)
    return LANGUAGES[language](text)


def parse_calls(text: str, syntaxes: Sequence[AnswerSyntax], functions: Sequence[Mapping[str, Any]] = ()) -> Calls:
    """Parse an answer in the first of `syntaxes`, in their order, that can read it.

    `functions`, in BFCL's form, give a type to values that are written without one. If a syntax refuses the answer
    (AnswerError.refused), no further one is tried. Raises AnswerError, and nothing else, whatever the text; its message
    is the reason of the syntax that got furthest, its position that syntax's.
    """
    text = strip_thinking(text)
    _check_length(text)
    best: AnswerError | None = None
    for syntax in syntaxes:
        try:
            if syntax in _WITH_FUNCTIONS:
                return _WITH_FUNCTIONS[syntax](text, functions)
            return SYNTAXES[syntax](text)
        except AnswerError as error:
            if error.refused:
                raise
            if best is None or error.position > best.position:
                best = AnswerError(f"{syntax}: {error}", position=error.position)
    raise best or AnswerError("no syntax is accepted")


def _check_length(text: str) -> None:
    if len(text) > MAX_CHARACTERS:
        raise AnswerError(f"the answer has {len(text)} characters, more than {MAX_CHARACTERS}", refused=True)
