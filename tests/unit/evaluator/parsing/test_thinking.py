"""The end of thinking: the last mark that is not part of an argument."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bitagent_evaluator.parsing import AnswerSyntax, parse_answer
from bitagent_evaluator.parsing.thinking import ENDS_OF_THINKING, STARTS_OF_THINKING, strip_thinking
from bitagent_evaluator.prompts.chat_formats import Bfcl, ChatTemplate, Hammer

ARGUMENT = '{"name": "write", "arguments": {"text": "close it with </think> here"}}'
WRITTEN = [{"write": {"text": "close it with </think> here"}}]
CASES = {
    "none": ("f(a=1)", "f(a=1)"),
    "at the beginning": ("<think>x</think>f(a=1)", "f(a=1)"),
    "opened by the template": ("x</think>f(a=1)", "f(a=1)"),
    "twice": ("a</think>b</think>c", "c"),
    "with a draft": ('I could write {"a": [1]} or [.</think>done', "done"),
    "in a value": (ARGUMENT, ARGUMENT),
    "before a value with one": (f"hm</think>{ARGUMENT}", ARGUMENT),
    "in a parameter": (
        "<function=f><parameter=a></think></parameter>",
        "<function=f><parameter=a></think></parameter>",
    ),
    "after a parameter that is not closed": ("<parameter=a> maybe</think>f()", "f()"),
    "Magistral": ("[THINK]f(a=2)?[/THINK]f(a=1)", "f(a=1)"),
    "Seed-OSS": ("<seed:think>x</seed:think>f(a=1)", "f(a=1)"),
    "Command-A": ("<|START_THINKING|>x<|END_THINKING|>f(a=1)", "f(a=1)"),
    "Kimi-VL": ("◁think▷x◁/think▷f(a=1)", "f(a=1)"),
    "gpt-oss": (
        "<|channel|>analysis<|message|>f?<|end|><|start|>assistant<|channel|>final<|message|>f(a=1)",
        "f(a=1)",
    ),
    "Granite 3.2": ("Here is my thought process:\n\nf?\n\nHere is my response:\n\nf(a=1)", "\n\nf(a=1)"),
    "Granite 3.3": ("<think>f(a=2)?</think>\n<response>f(a=1)</response>", "f(a=1)"),
    "Hunyuan": ("<think>\nx\n</think>\n<answer>\nf(a=1)\n</answer>\n", "\nf(a=1)\n"),
    "a fine-tune by rewards": ("<reasoning>\nx\n</reasoning>\n<answer>\nf(a=1)", "\nf(a=1)"),
    "thinking": ("<thinking>x</thinking><output>f(a=1)</output>", "f(a=1)"),
    "two families' marks": ("<thought>a</thought>b</think>c", "c"),
    "tags around an answer without a thought": ("<answer>f(a=1)</answer>", "<answer>f(a=1)</answer>"),
    "words of Granite in an answer": ("So. Here is my response: x", "So. Here is my response: x"),
    "another family's mark in a value": (
        ARGUMENT.replace("</think>", "[/THINK]"),
        ARGUMENT.replace("</think>", "[/THINK]"),
    ),
}


@pytest.mark.parametrize(("text", "answer"), CASES.values(), ids=CASES)
def test_the_answer_is_what_follows(text: str, answer: str) -> None:
    assert strip_thinking(text) == answer


@pytest.mark.parametrize(
    "text",
    [
        f"<tool_call>\n{ARGUMENT}\n</tool_call>",
        f"[{ARGUMENT}]",
        f"I think so</think><tool_call>{ARGUMENT}</tool_call>",
        '[write(text="close it with </think> here")]',
        '<think>So.</think>[write(text="close it with </think> here")]',
        'So.</think>\n\nwrite(text="close it with </think> here")',
        "<function=write>\n<parameter=text>\nclose it with </think> here\n</parameter>\n</function>",
        '[TOOL_CALLS]write[ARGS]{"text": "close it with </think> here"}',
    ],
    ids=[
        "block",
        "list",
        "block after thinking",
        "Python",
        "Python after thinking",
        "Python after half",
        "tags",
        "Mistral",
    ],
)
def test_a_mark_inside_an_argument_is_part_of_the_call(text: str) -> None:
    assert parse_answer(text, ChatTemplate.syntaxes).calls == WRITTEN


@pytest.mark.parametrize("draft", [ARGUMENT, f"<tool_call>{ARGUMENT}</tool_call>"], ids=["json", "block"])
def test_a_draft_in_a_thought_is_no_call(draft: str) -> None:
    answer = parse_answer(f"{draft.replace('</think>', 'a tag')} would do.</think>I must not.", ChatTemplate.syntaxes)
    assert (answer.text, answer.calls) == ("I must not.", None)


@pytest.mark.parametrize(
    "syntaxes", [Bfcl.syntaxes, Hammer.syntaxes, ChatTemplate.syntaxes], ids=["Bfcl", "Hammer", "ChatTemplate"]
)
def test_a_thought_in_any_marks_costs_no_format_its_answer(syntaxes: tuple[AnswerSyntax, ...]) -> None:
    for start, end in zip(STARTS_OF_THINKING, ENDS_OF_THINKING, strict=True):
        assert parse_answer(f"{start}\nf(a=2)?\n{end}\n\n[f(a=1)]", syntaxes).calls == [{"f": {"a": 1}}]


@given(st.text(alphabet="<>/think[]{}\"' ,:a=", max_size=60).map(lambda text: f"{text}</think>f(a=1)"))
def test_a_python_answer_after_any_thought_is_read(text: str) -> None:
    assert parse_answer(text, [AnswerSyntax.PYTHON]).calls in ([{"f": {"a": 1}}], parse_answer(text).calls)
