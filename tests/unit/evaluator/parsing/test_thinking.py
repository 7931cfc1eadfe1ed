"""The end of thinking: the last mark that is not part of an argument."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bitagent_evaluator.parsing import AnswerSyntax, parse_answer
from bitagent_evaluator.parsing.thinking import strip_thinking
from bitagent_evaluator.prompts.chat_formats import ChatTemplate

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
        "<function=write>\n<parameter=text>\nclose it with </think> here\n</parameter>\n</function>",
        '[TOOL_CALLS]write[ARGS]{"text": "close it with </think> here"}',
    ],
    ids=["block", "list", "block after thinking", "Python", "tags", "Mistral"],
)
def test_a_mark_inside_an_argument_is_part_of_the_call(text: str) -> None:
    assert parse_answer(text, ChatTemplate.syntaxes).calls == WRITTEN


@pytest.mark.parametrize("draft", [ARGUMENT, f"<tool_call>{ARGUMENT}</tool_call>"], ids=["json", "block"])
def test_a_draft_in_a_thought_is_no_call(draft: str) -> None:
    answer = parse_answer(f"{draft.replace('</think>', 'a tag')} would do.</think>I must not.", ChatTemplate.syntaxes)
    assert (answer.text, answer.calls) == ("I must not.", None)


@given(st.text(alphabet="<>/think[]{}\"' ,:a=", max_size=60).map(lambda text: f"{text}</think>f(a=1)"))
def test_a_python_answer_after_any_thought_is_read(text: str) -> None:
    assert parse_answer(text, [AnswerSyntax.PYTHON]).calls in ([{"f": {"a": 1}}], parse_answer(text).calls)
