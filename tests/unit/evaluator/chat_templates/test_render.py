"""Chat templates as they are rendered."""

from __future__ import annotations

import pytest

from bitagent_evaluator.chat_templates.render import CHATML, TemplateRenderer

QUESTION = [{"role": "user", "content": "Give me a random number between 205 and 390."}]


@pytest.mark.parametrize(
    ("source", "text"),
    [
        ("{{ bos_token }}{{ messages[0].content }}", "<s>hi"),
        ("{% generation %}{{ 'a' }}{% endgeneration %}", "a"),
        ("{% for m in messages %}{% break %}{% endfor %}x", "x"),
        ("{{ {'b': '<é>', 'a': 1} | tojson }}", '{"b": "<é>", "a": 1}'),
        ("{{ strftime_now('%Y-%m-%d') }}", "2026-01-01"),
        ("  {% if tools %}\n  tools\n  {% endif %}\nend", "end"),
        ("{{ tools is none and documents is none }}", "True"),
        (CHATML, "<|im_start|>user\nhi<|im_end|>\n<|im_start|>assistant\n"),
    ],
    ids=["special token", "generation", "break", "tojson", "frozen clock", "trimmed", "nothing given", "chatml"],
)
def test_template_environment(source: str, text: str) -> None:
    chat = TemplateRenderer(source, {"bos_token": "<s>"})
    assert chat.render([{"role": "user", "content": "hi"}], None) == text


def test_template_cannot_change_what_it_is_given() -> None:
    with pytest.raises(Exception, match="unsafe"):
        TemplateRenderer("{{ messages.append(1) }}", {}).render(QUESTION, None)


def test_macros_without_end_cost_one_conversation_its_prompt() -> None:
    """As one of a public template does for a type that it does not know, a letter of which it takes for another."""
    types = "{% macro of(t) %}{% if t == 'string' %}str{% else %}{% for c in t %}{{ of(c) }}{% endfor %}{% endif %}"
    template = TemplateRenderer(types + "{% endmacro %}{{ of(tools[0].type) }}", {})
    assert template.render(QUESTION, [{"type": "string"}]) == "str"
    with pytest.raises(ValueError, match="nested"):
        template.render(QUESTION, [{"type": "any"}])


SWITCHED = "{{ 'T' if enable_thinking }}{{ 'F' if thinking is false }}{{ '?' if thinking is not defined }}"


@pytest.mark.parametrize(("thinking", "text"), [(None, "?"), (True, "T"), (False, "F")])
def test_both_variables_of_thinking_are_set_or_neither(thinking: bool | None, text: str) -> None:
    template = TemplateRenderer(SWITCHED, {})
    assert template.with_thinking(thinking).render(QUESTION, None) == text
    assert template.with_thinking(thinking).with_thinking(None).render(QUESTION, None) == "?"
    assert template.render(QUESTION, None) == "?"


@pytest.mark.parametrize(
    ("source", "names"),
    [("{{ enable_thinking }}", True), ("{% set thinking = 1 %}", True), ("{# thinking #}thinking", False)],
    ids=["used", "assigned", "words"],
)
def test_whether_a_template_has_a_switch_for_thinking(source: str, names: bool) -> None:
    assert TemplateRenderer(source, {}).names_thinking is names


@pytest.mark.parametrize(
    ("source", "uses"), [("{{ tools }}", True), ("{# tools #}x", False), ("{% set tools = 1 %}{{ tools }}", False)]
)
def test_whether_a_template_takes_tools(source: str, uses: bool) -> None:
    assert TemplateRenderer(source, {}).uses_tools is uses
