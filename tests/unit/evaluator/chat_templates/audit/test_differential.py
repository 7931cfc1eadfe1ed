"""Differential probe: a template that writes something else around other words is refused, however it does so."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bitagent_crds.tasks import BfclCategory, BfclSource
from bitagent_evaluator.chat_templates.audit.conversations import probe_conversations
from bitagent_evaluator.chat_templates.audit.differential import (
    RENDERING_ERRORS,
    compare_with_twin,
    run_probe,
)
from bitagent_evaluator.chat_templates.audit.findings import Rule
from bitagent_evaluator.chat_templates.audit.twins import make_twin
from bitagent_evaluator.chat_templates.render import CHATML, TemplateRenderer
from bitagent_evaluator.prompts import ChatPrompt, prompt_format
from bitagent_evaluator.prompts.chat_formats import openai_tool
from bitagent_evaluator.tasks.sources.bfcl import BfclTasks

QUESTION = "Find the area of a triangle with base 10.\nAnd its perimeter?"
TOOL = openai_tool(
    {
        "name": "triangle_area",
        "description": "Area of a triangle.\nIn square units.",
        "parameters": {
            "type": "dict",
            "properties": {
                "base": {"type": "integer", "description": "The base."},
                "Height": {"type": "float", "description": "The height.", "default": 1.5},
                "unit": {"type": "string", "enum": ["cm", "m"]},
            },
            "required": ["base", "Height"],
        },
    }
)
FAMILIES = sorted((Path(__file__).parents[1] / "templates").glob("*.jinja"))


def probed(source: str, text: str = QUESTION) -> str:
    """The finding in a template's prompt for one text with one tool; empty without one."""
    template = TemplateRenderer(source, {})
    conversation = ([{"role": "user", "content": text}], [TOOL])
    finding = compare_with_twin(template, conversation, template.render(*conversation))
    return "" if finding is None else str(finding)


CHEATS = {
    "knows the question": "{{ messages[0].content }}{% if 'triangle' in messages[0].content %}HINT{% endif %}",
    "knows the tool": "{{ messages[0].content }}{% if tools[0].function.name == 'triangle_area' %}HINT{% endif %}",
    "knows the description": (
        "{{ messages[0].content }}{% if 'square' in tools[0].function.description %}HINT{% endif %}"
    ),
    "knows a parameter": (
        "{% if 'base' in tools[0].function.parameters.properties %}HINT{% endif %}{{ tools | tojson }}"
    ),
    "knows a choice": (
        "{% if tools[0].function.parameters.properties | string is in ('x') or 'cm' in (tools | string) %}"
        "HINT{% endif %}"
    ),
    "length": f"{{{{ messages[0].content }}}}{{{{ 'HINT' if messages[0].content | length == {len(QUESTION)} }}}}",
    "writes the length": "{{ messages[0].content | length }}",
    "cuts": "{{ messages[0].content[:20] }}",
    "changes words": "{{ messages[0].content | replace('triangle', 'circle') }}",
    "changes case": "{{ messages[0].content | upper }}",
    "numbers the words": "{% for w in messages[0].content.split(' ') %}{{ loop.index }}{{ w }}{% endfor %}",
    "knows placeholders": "{{ messages[0].content if 'zq0' in messages[0].content else 'HINT' }}",
    "fails on others": "{{ messages[0].content }}{{ raise_exception('no') if 'triangle' not in messages[0].content }}",
    "writes a function of ours": "{{ messages[0].content }}{{ raise_exception }}",
    "writes a function of a text": "{{ messages[0].content }}{{ 'x'.upper }}",
    "writes a known name in pieces": "{{ messages[0].content }} {{ ['calculate', 'triangle', 'area'] | join('_') }}",
    "writes a known name backwards": "{{ 'aera_elgnairt_etaluclac' | reverse }}{{ messages[0].content }}",
}


@pytest.mark.parametrize("source", CHEATS.values(), ids=CHEATS.keys())
def test_template_that_knows_the_words_is_found_by_what_it_writes(source: str) -> None:
    assert probed(source) != ""


LAST = "messages[-1].content"
BY_A_BIT = {
    "blank ends": ("{% if " + LAST + " != " + LAST + " | trim %}HINT{% endif %}", " What?"),
    "a blank at the end": ("{{ 'HINT' if " + LAST + "[-1:] == ' ' }}", "What? "),
    "a line at the end": ("{{ 'HINT' if " + LAST + ".endswith('\\n') }}", "What?\n"),
    "their length": ("{{ 'HINT' if " + LAST + " | length > " + LAST + " | trim | length }}", "What?\t"),
    "blanks before a line": ("{{ 'HINT' if ' \\n' in " + LAST + " }}", "What \nis it?"),
    "an indented line": ("{{ 'HINT' if '\\n  ' in " + LAST + " }}", "What\n  is it?"),
    "fails without blanks": ("{{ raise_exception('no') if " + LAST + " == " + LAST + " | trim }}", "What? "),
    "a text that is the name": (
        "{{ 'HINT' if tools[0].function.name == tools[0].function.description }}", "triangle_area"
    ),
    "two equal texts": ("{{ 'HINT' if tools[0].function.description == " + LAST + " }}", "triangle_area"),
}  # fmt: skip


@pytest.mark.parametrize(("hint", "text"), BY_A_BIT.values(), ids=BY_A_BIT)
def test_template_that_decides_by_one_property_of_a_text(hint: str, text: str) -> None:
    """By itself it says one bit of a task; the ends of all texts and lines of its functions say many."""
    described = {**TOOL, "function": {**TOOL["function"], "description": "triangle_area"}}
    template = TemplateRenderer("{{ " + LAST + " }}{{ tools | tojson }}" + hint, {})
    conversation = ([{"role": "user", "content": text}], [described])
    finding = compare_with_twin(template, conversation, template.render(*conversation))
    assert finding is not None and finding.rule is Rule.DIFFERENCE
    assert "zq0" not in finding.text, "no placeholders for people"


@pytest.mark.parametrize("name", ["blank ends", "a line at the end", "their length", "fails without blanks"])
def test_ends_of_texts_are_probed_before_any_task_is_known(name: str) -> None:
    assert run_probe(TemplateRenderer("{{ " + LAST + " }}" + BY_A_BIT[name][0], {}))


BY_A_SWITCH = {
    "on": "{% if enable_thinking %}{{ messages[0].content[:20] }}{% else %}{{ messages[0].content }}{% endif %}",
    "off": "{{ messages[0].content[:20] if thinking is false else messages[0].content }}",
    "absent": "{{ messages[0].content if thinking is defined else messages[0].content[:20] }}",
    "counts under a switch": "{{ messages[0].content }}{% if thinking and tools | length == 2 %}HINT{% endif %}",
}


@pytest.mark.parametrize("source", BY_A_SWITCH.values(), ids=BY_A_SWITCH)
def test_template_that_cheats_for_one_value_of_the_switch_for_thinking(source: str) -> None:
    (finding,) = run_probe(TemplateRenderer(source, {}))
    assert finding.rule is Rule.DIFFERENCE


FILLED = {
    "filler": "{% for i in range(20000) %}x{% endfor %}",
    "repetition": "{% for i in range(400) %}{% for m in messages %}{{ m.content }}{% endfor %}{% endfor %}",
}


@pytest.mark.parametrize("source", FILLED.values(), ids=FILLED)
def test_template_that_fills_the_engine_with_nothing(source: str) -> None:
    (finding,) = run_probe(TemplateRenderer(source, {}))
    assert finding.rule is Rule.LENGTH
    assert "characters for a conversation that calls for" in finding.explanation


HONEST = {
    "chatml": CHATML,
    "trims": "{% for m in messages %}{{ m.content | trim }}\n{% endfor %}",
    "all as json": "{{ messages | tojson }}{{ tools | tojson(indent=2) }}",
    "json in json": "{{ messages | tojson | tojson }}",
    "escapes": "{{ messages[0].content | e }}",
    "indents": "{{ messages[0].content | indent(4) }}",
    "comments": "{{ '# ' ~ tools[0].function.description | replace('\n', '\n# ') }}",
    "sorts parameters": (
        "{% for n, p in tools[0].function.parameters.properties | dictsort %}{{ n }}: {{ p.type }}, {% endfor %}"
    ),
    "marks required": (
        "{% set p = tools[0].function.parameters %}{% for n in p.properties %}{{ n }}{{ '?' if n not in "
        "p.required }}{% endfor %}"
    ),
    "says nothing": "Hello",
    "twice": "{{ messages[0].content }}{{ messages[0].content }}",
    "choices": "{% for p in tools[0].function.parameters.properties.values() %}{{ p.enum | join(' | ') }}{% endfor %}",
}
TEXTS = [
    QUESTION,
    "  blank ends \n\n",
    "",
    'quotes " and \\ and हिन्दी & <b>',
    "<tool_response>\nx\n</tool_response>",
    "a\\nb",
    "\t\x1f tabs \u2003\r\n \n  and lines\xa0\n",
]


@pytest.mark.parametrize(
    "text", TEXTS, ids=["question", "blank", "empty", "escapes", "markers", "backslash", "white space"]
)
@pytest.mark.parametrize("source", HONEST.values(), ids=HONEST.keys())
def test_template_that_lays_out_is_not_found(source: str, text: str) -> None:
    assert probed(source, text) == ""


@pytest.mark.parametrize("path", FAMILIES, ids=lambda path: path.stem)
def test_families_support_some_conversation_and_pass(path: Path) -> None:
    template = TemplateRenderer(path.read_text(), {"bos_token": "<s>", "eos_token": "</s>"})
    assert run_probe(template) == []


@pytest.fixture(scope="module")
def chats() -> list[ChatPrompt]:
    """Every 60th single-turn case in a format with tools and in one that puts them into the system message."""
    categories = [category for category in BfclCategory if not category.startswith(("multi", "format", "memory"))]
    tasks = BfclTasks(BfclSource(categories=categories)).tasks()[::60]
    prompts = [prompt_format(name).build_prompt(task) for task in tasks for name in ("ChatTemplate", "Bfcl")]
    chats = [prompt for prompt in prompts if isinstance(prompt, ChatPrompt)]
    assert len(chats) == len(prompts) > 0
    return chats


def padded(value: Any, key: str = "") -> Any:
    """The same with white space around each text and line."""
    if isinstance(value, str):
        return f" {value} \n".replace("\n", " \n  ") if value and key in ("content", "description") else value
    if isinstance(value, list):
        return [padded(item) for item in value]
    return {name: padded(member, name) for name, member in value.items()} if isinstance(value, dict) else value


@pytest.mark.parametrize("path", FAMILIES, ids=lambda path: path.stem)
def test_families_lay_out_texts_with_white_space_around_them(path: Path) -> None:
    template = TemplateRenderer(path.read_text(), {"bos_token": "<s>", "eos_token": "</s>"})
    for conversation in list(probe_conversations())[::9]:
        spaced = padded(conversation[0]), padded(conversation[1])
        try:
            prompt = template.render(*spaced)
        except RENDERING_ERRORS:
            continue
        assert compare_with_twin(template, spaced, prompt) is None


@pytest.mark.parametrize("path", FAMILIES, ids=lambda path: path.stem)
def test_families_lay_out_the_benchmark(path: Path, chats: list[ChatPrompt]) -> None:
    template = TemplateRenderer(path.read_text(), {"bos_token": "<s>", "eos_token": "</s>"})
    compared = 0
    for chat in chats:
        try:
            prompt = template.render(chat.messages, chat.tools)
        except RENDERING_ERRORS:
            continue  # Without tools, or with two messages of one role in a row.
        assert compare_with_twin(template, (chat.messages, chat.tools), prompt) is None
        compared += 1
    assert compared >= len(chats) // 2 - 5


@given(st.text(max_size=80), st.sampled_from(["chatml", "all as json", "escapes", "trims"]))
def test_any_text_is_laid_out_like_its_twin(text: str, name: str) -> None:
    assert probed(HONEST[name], text) == ""


def test_twin_keeps_the_shape() -> None:
    messages: list[dict[str, Any]] = [
        {
            "role": "assistant",
            "content": "<think>\n I think \n</think>\n\nHello",
            "tool_calls": [{"id": "call1", "type": "function"}],
        },
        {"role": "tool", "name": "triangle_area", "tool_call_id": "call1", "content": None},
    ]  # fmt: skip
    twin = make_twin(messages, [TOOL])
    text = twin.messages[0]["content"]
    assert text.startswith("<think>\n ") and " \n</think>\n\nzq" in text and "think " not in text
    assert twin.messages[0]["tool_calls"] == messages[0]["tool_calls"]
    assert twin.messages[1]["content"] is None and twin.messages[1]["role"] == "tool"
    assert twin.tools is not None
    function = twin.tools[0]["function"]
    assert function["name"] == twin.messages[1]["name"], "equal texts stay equal"
    properties = function["parameters"]["properties"]
    assert sorted(properties) == [list(properties)[i] for i in (0, 1, 2)], "base, Height, unit are in this order"
    assert function["parameters"]["required"] == list(properties)[:2]
    assert [schema["type"] for schema in properties.values()] == ["integer", "number", "string"]
    words = json.dumps(twin.tools) + json.dumps(twin.messages)
    assert not [word for word in ("triangle", "Height", "square", "cm", "Hello") if word in words]


def test_difference_shows_both_lines() -> None:
    template = TemplateRenderer(
        "Q:\n{{ messages[0].content }}{{ ' (short)' if messages[0].content | length < 5 }}\nA:", {}
    )
    conversation = ([{"role": "user", "content": "Hi"}], None)
    finding = compare_with_twin(template, conversation, template.render(*conversation))
    assert finding is not None and finding.rule is Rule.DIFFERENCE
    assert finding.text == "Hi (short)  instead of  …"


def test_conversations_have_questions_of_the_benchmark() -> None:
    made = list(probe_conversations())
    assert len(made) > 60 and made == list(probe_conversations())
    assert any("tool_calls" in message for messages, _ in made for message in messages)


def test_template_that_fails_on_every_conversation_is_broken() -> None:
    (finding,) = run_probe(TemplateRenderer("{{ raise_exception('closed') }}", {}))
    assert finding.rule is Rule.BROKEN and "closed" in finding.explanation
