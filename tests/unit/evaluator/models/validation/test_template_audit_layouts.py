"""Constructs of public templates that lay out a conversation: none is refused, before a round or by its prompts."""

from __future__ import annotations

import pytest

from bitagent_evaluator.chat_templates.audit.findings import refusals
from bitagent_evaluator.models.validation.template_audit import audit_source

SPECIAL = {"bos_token": "<s>", "eos_token": "</s>"}

_EACH = "{% for m in messages %}"
_TYPES = (
    "{% macro type_of(s) %}{% if s.enum %}{{ s.enum | join(' | ') }}{% elif s.type == 'array' %}"
    "{{ type_of(s['items'] or {}) }}[]{% else %}{{ s.type }}{% endif %}{% endmacro %}"
)

_TOOLS = "{% for t in tools or [] %}{{ t.function.name }}"
_PARAMETERS = "{% for n, s in t.function.parameters.properties.items() %}{{ n }}"

LAYOUTS = {
    "marker found by length and cut": (
        "{% set open = '<tool_response>' %}" + _EACH + "{% set c = m.content %}"
        "{% set start = c | length - open | length %}{% if start < 0 %}{% set start = 0 %}{% endif %}"
        "{% if c[: open | length] != open and c[start:] != open %}{{ c }}{% endif %}{% endfor %}"
    ),
    "marker looked for in what a macro wrote": (
        "{% macro text(c) %}{% if c is string %}{{ c }}{% else %}{% for p in c %}"
        "{% if p.type == 'text' %}{{ p.text }}{% endif %}{% endfor %}{% endif %}{% endmacro %}"
        + _EACH + "{% set c = text(m.content) %}"
        "{% if '</think>' in c %}{{ c.split('</think>')[-1] }}{% elif c %}{{ c }}{% endif %}{% endfor %}"
    ),
    "first found in arguments": (
        _EACH + "{{ m.content }}{% for call in m.tool_calls or [] %}{% set n = namespace(found=false) %}"
        "{% for k, v in call.function.arguments.items() %}{% if n.found %}, {% endif %}{% set n.found = true %}"
        "{{ k }}={{ v }}{% endfor %}{% endfor %}{% endfor %}"
    ),
    "messages put together": (
        "{% set n = namespace(all=[], role=none, text='') %}{% for m in messages + [{'role': '__end__'}] %}"
        "{% if m.role != n.role and n.role is not none %}"
        "{% set n.all = n.all + [{'role': n.role, 'content': n.text}] %}{% set n.text = '' %}{% endif %}"
        "{% set n.role = m.role %}{% if m.content %}{% set n.text = n.text + m.content %}{% endif %}{% endfor %}"
        "{% for m in n.all %}{% if m.role == 'user' %}U:{% elif m.role == 'tool' %}T:{% endif %}{{ m.content }}\n"
        "{% endfor %}"
    ),
    "parts that are kept": (
        "{% set n = namespace(parts=[]) %}" + _EACH + "{% if m.content is string %}"
        "{% set n.parts = n.parts + [m.content] %}{% else %}{% for p in m.content %}{% if 'image' in p %}<image>"
        "{% elif 'text' in p %}{% set n.parts = n.parts + [p.text] %}{% endif %}{% endfor %}{% endif %}{% endfor %}"
        "{% if n.parts | length > 0 %}{{ n.parts | join('\n') }}{% endif %}"
    ),
    "state of the last message": (
        "{% set n = namespace(before='') %}" + _EACH + "{% if n.before != m.role %}[{{ m.role }}]{% endif %}"
        "{% set n.before = m.role %}{{ m.content }}{% endfor %}"
    ),
    "call's arguments as text or mapping": (
        _EACH + "{{ m.content }}{% for call in m.tool_calls or [] %}{% set a = call.function.arguments %}"
        "{% if a is mapping %}{{ a | tojson }}{% elif a is string and a | trim not in ['', '{}', 'null'] %}{{ a }}"
        "{% endif %}{% endfor %}{% endfor %}"
    ),
    "switch of thinking in the system message": (
        "{% set s = messages[0].content if messages[0].role == 'system' else '' %}"
        "{% set think = 'detailed thinking off' not in s and '/no_think' not in s %}" + _EACH + "{{ m.content }}"
        "{% endfor %}{{ '<think>' if think }}"
    ),
    "lines of an answer": _EACH + "{{ m.content.rstrip('\n').split('\n') | join('\n') }}{% endfor %}",
    "types of nested schemas": (
        _TYPES + _EACH + "{{ m.content }}{% endfor %}{% for t in tools or [] %}{{ t.function.name }}("
        "{% for n, s in t.function.parameters.properties.items() %}{{ n }}"
        "{% if n not in (t.function.parameters.required or []) %}?{% endif %}: {{ type_of(s) }}"
        "{% if not loop.last %}, {% endif %}{% endfor %})\n{% endfor %}"
    ),
    "long types are shortened to any": (
        _TOOLS + _PARAMETERS + "{% set inner %}{{ s.type }}[]{% endset %}"
        "{% if inner | length > 50 %}any{% else %}{{ inner }}{% endif %}; {% endfor %}{% endfor %}"
        "{{ messages[-1].content }}"
    ),
    "types in capitals": (
        _TOOLS + _PARAMETERS +
        "{% if s.type | upper == 'STRING' %}<str>{% endif %}{{ s.type | upper }}{% endfor %}{% endfor %}"
        "{{ messages[-1].content }}"
    ),
    "classes named as tools": (
        "{% for t in tools or [] %}class {{ t.function.name[0] | upper ~ t.function.name[1:] }}:\n{% endfor %}"
        "{{ messages[-1].content }}"
    ),
    "Python's own representation": "{% for t in tools or [] %}{{ t }}{% endfor %}{{ messages[-1].content }}",
    "schema words of a table": (
        _TOOLS + _PARAMETERS +
        "{% for word, title in [('minimum', 'Minimum'), ('maximum', 'Maximum'), ('default', 'Default')] %}"
        "{% if word in s %} {{ title }}={{ s[word] }}{% endif %}{% endfor %}{% endfor %}{% endfor %}"
        "{{ messages[-1].content }}"
    ),
    "table that no text chooses from": (
        "{% set names = {" + ", ".join(f"'l{n}': 'Language {n}'" for n in range(40)) + "} %}"
        "{{ names[language | default('l1')] }}{{ messages[-1].content }}"
    ),
    "all other members of a schema as tags": (
        "{% macro rest(s, done) %}{% for k in s if k not in done %}<{{ k }}>"
        "{{ s[k] | tojson if s[k] is mapping or (s[k] is sequence and s[k] is not string) else s[k] }}</{{ k }}>"
        "{% endfor %}{% endmacro %}" + _TOOLS + _PARAMETERS + "{{ rest(s, ['type', 'description']) }}{% endfor %}"
        "{{ rest(t.function.parameters, ['type', 'properties']) }}{% endfor %}{{ messages[-1].content }}"
    ),
    "the last question, sought from the end": (
        "{% set n = namespace(open=true, at=0) %}{% for m in messages[::-1] %}"
        "{% if n.open and m.role == 'user' and not m.content.startswith('<tool_response>') %}"
        "{% set n.open = false %}{% set n.at = messages | length - 1 - loop.index0 %}{% endif %}{% endfor %}"
        + _EACH + "{{ m.content }}{% if m.role == 'assistant' and loop.index0 > n.at %}<think></think>{% endif %}"
        "{% endfor %}"
    ),
    "tools beside the last question": (
        "{% set asked = messages | selectattr('role', 'equalto', 'user') | list %}"
        + _EACH + "{% if tools and m == asked[-1] %}[AVAILABLE_TOOLS]{{ tools | tojson }}[/AVAILABLE_TOOLS]{% endif %}"
        "{{ m.content }}{% endfor %}"
    ),
    "system message grown by tools in a namespace": (
        "{% set n = namespace(s='') %}{% for m in messages if m.role == 'system' %}"
        "{% set n.s = n.s ~ ('\n\n' if n.s) ~ m.content %}{% endfor %}{% for t in tools or [] %}"
        "{% set n.s = n.s ~ '\n### ' ~ t.function.name ~ '\n' ~ (t.function.parameters | tojson) %}{% endfor %}"
        "{{ n.s }}{% for m in messages if m.role != 'system' %}{{ m.content }}{% endfor %}"
    ),
    "arguments as pairs of tags": (
        _EACH + "{{ m.content }}{% for call in m.tool_calls or [] %}<tool_call>{{ call.function.name }}"
        "{% for k, v in call.function.arguments.items() %}<arg_key>{{ k }}</arg_key>"
        "<arg_value>{{ v if v is string else v | tojson }}</arg_value>{% endfor %}</tool_call>{% endfor %}{% endfor %}"
    ),
    "results numbered as their calls": (
        "{% macro number(id) %}{% set n = namespace(v=0) %}{% for m in messages %}{% for c in m.tool_calls or [] %}"
        "{% if c.id == id %}{{ n.v }}{% endif %}{% set n.v = n.v + 1 %}{% endfor %}{% endfor %}{% endmacro %}"
        + _EACH + "{% if m.role == 'tool' %}[{{ number(m.tool_call_id) }}] {% endif %}{{ m.content }}{% endfor %}"
    ),
    "tool of the last call": (
        "{% set n = namespace(called=none) %}" + _EACH + "{% for c in m.tool_calls or [] %}"
        "{% set n.called = c.function.name %}{% endfor %}{% if m.role == 'tool' %}{{ raise_exception('no call') "
        "if n.called is none }}functions.{{ n.called }}: {% endif %}{{ m.content }}{% endfor %}"
    ),
    "later answers looked for": (
        _EACH + "{% set n = namespace(found=false) %}{% for later in messages[loop.index:] %}"
        "{% if later.role == 'assistant' and 'tool_calls' not in later %}{% set n.found = true %}{% endif %}"
        "{% endfor %}{{ m.content }}{{ '<|end|>' if n.found }}{% endfor %}"
    ),
    "switches of thinking taken out": (
        _EACH + "{{ m.content.replace('/no_think', '').replace('/think', '').strip() }}\n{% endfor %}"
    ),
    "date in the system message": (
        "{% set today = strftime_now('%d %B %Y') %}{{ bos_token }}Today is {{ today }}.\n" + _EACH
        + "{{ m.content }}{% endfor %}"
    ),
    "one tool or several": (
        "{% if tools %}You have {{ 'tools' if tools | length > 0 }}: {{ tools | tojson }}{% endif %}"
        "{{ messages[-1].content }}"
    ),
}  # fmt: skip


@pytest.mark.parametrize("source", LAYOUTS.values(), ids=LAYOUTS)
def test_layout_is_not_refused(source: str) -> None:
    assert refusals(audit_source(source, SPECIAL)) == []
