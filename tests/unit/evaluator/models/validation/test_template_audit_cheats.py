"""Every roundabout way to answer or read for the model is refused before a round.

`m` is the last message, `t` the first tool, `p` the properties of its parameters.
"""

from __future__ import annotations

import pytest

from bitagent_evaluator.chat_templates.audit.findings import Rule, refusals
from bitagent_evaluator.models.validation.template_audit import audit_source

SPECIAL = {"bos_token": "<s>", "eos_token": "</s>"}

_START = (
    "{% set m = messages[-1] %}{% set t = (tools or [{'function': {}}])[0].function %}"
    "{% set p = t.parameters.properties if t.parameters else {} %}"
)
_END = "{{ messages | map(attribute='content') | join }}{{ tools | tojson if tools else '' }}"


def _with(body: str) -> str:
    return _START + body + _END


COUNTED = {
    "number of parameters": _with("{% if p | length == 3 %}HINT{% endif %}"),
    "number of parameters, at least": _with("{% if p | length > 2 %}HINT{% endif %}"),
    "number of parameters, counted": _with(
        "{% set n = namespace(v=0) %}{% for x in p %}{% set n.v = n.v + 1 %}{% endfor %}{{ 'HINT' if n.v == 3 }}"
    ),
    "number of parameters, in flags": _with(
        "{% set n = namespace(a=false, b=false, c=false) %}{% for x in p %}{% if n.b %}{% set n.c = true %}{% endif %}"
        "{% if n.a %}{% set n.b = true %}{% endif %}{% set n.a = true %}{% endfor %}{{ 'HINT' if n.c }}"
    ),
    "number of parameters, in a text": _with(
        "{% set s %}{% for x in p %}x{% endfor %}{% endset %}{{ 'HINT' if s == 'xxx' }}"
    ),
    "number of parameters, by recursion": _with(
        "{% macro n(l) %}{% if l %}x{{ n(l[1:]) }}{% endif %}{% endmacro %}{{ 'HINT' if n(p | list) == 'xxx' }}"
    ),
    "last place": _with("{% for x in p %}{% if loop.last and loop.index == 3 %}HINT{% endif %}{% endfor %}"),
    "length of the loop": _with("{% for x in p %}{{ 'HINT' if loop.length == 3 and loop.first }}{% endfor %}"),
    "parity": _with("{{ 'HINT' if p | length % 2 else 'HUNT' }}"),
    "table by number": _with("{{ ['A', 'B', 'C', 'D', 'E'][p | length] }}"),
    "number in the text of a table": _with("{{ 'ABCDEFGHIJ'[p | length] }}"),
    "number of required ones": _with("{{ 'HINT' if t.parameters and t.parameters.required | length == 1 }}"),
    "all required": _with(
        "{{ 'HINT' if t.parameters and t.parameters.required | length == p | length }}"
    ),
    "number of choices": _with(
        "{% for x in p.values() %}{% if x.enum and x.enum | length > 2 %}HINT{% endif %}{% endfor %}"
    ),
    "number of tools": _with("{{ 'HINT' if tools and tools | length == 2 }}"),
    "third tool": _with("{% if tools and tools[2] is defined %}HINT{% endif %}"),
    "third parameter": _with("{% if (p | list)[2] is defined %}HINT{% endif %}"),
    "slice of parameters": _with("{% if (p | list)[2:] %}HINT{% endif %}"),
    "batches": _with("{% for b in p | batch(3) %}{% if not loop.first %}HINT{% endif %}{% endfor %}"),
    "sum of lengths": _with(
        "{% set n = namespace(v=0) %}{% for x in p %}{% set n.v = n.v + x | length %}{% endfor %}"
        "{{ 'HINT' if n.v == 16 }}"
    ),
    "length of a rendered schema": _with("{{ 'HINT' if p | tojson | length > 200 }}"),
    "length of the description": _with("{{ 'HINT' if t.description and t.description | length > 20 }}"),
    "kinds in order": _with(
        "{% set n = namespace(s='') %}{% for x in p.values() %}{% set n.s = n.s ~ x.type[0] %}{% endfor %}"
        "{{ 'HINT' if n.s == 'sia' }}"
    ),
    "hash of kinds": _with(
        "{% set n = namespace(h=0) %}{% for x in p.values() %}"
        "{% set n.h = (n.h * 31 + {'string': 3, 'integer': 5, 'array': 7}.get(x.type, 1)) % 97 %}{% endfor %}"
        "{{ 'HINT' if n.h == 41 }}"
    ),
    "kinds in a signature": _with(
        "{% if p.values() | map(attribute='type') | join == 'stringintegerarray' %}HINT{% endif %}"
    ),
    "there is an array, but no number": _with(
        "{% set k = p.values() | map(attribute='type') | list %}{{ 'HINT' if 'array' in k and 'number' not in k }}"
    ),
    "depth": _with(
        "{% macro d(x) %}{% if x.properties %}o{% for y in x.properties.values() %}{{ d(y) }}{% endfor %}{% endif %}"
        "{% endmacro %}{{ 'HINT' if d(t.parameters or {}) == 'o' }}"
    ),
    "sorted or not": _with("{{ 'HINT' if p | list == p | list | sort }}"),
    "first of the sorted": _with("{{ 'HINT' if (p | list | sort | first) == (p | list | first) and p }}"),
    "order of two names": _with("{% if tools and tools[0].function.name < tools[-1].function.name %}HINT{% endif %}"),
    "groups": _with("{% for g in p.values() | groupby('type') %}{% if loop.index == 3 %}HINT{% endif %}{% endfor %}"),
    "different kinds": _with("{{ 'HINT' if p.values() | map(attribute='type') | unique | list | length == 3 }}"),
    "largest default": _with("{% if p.values() | map(attribute='default', default=0) | max > 0 %}HINT{% endif %}"),
    "sum of defaults": _with("{{ 'HINT' if p.values() | sum(attribute='default', start=0) == 1 }}"),
    "number of lines": _with("{{ 'HINT' if m.content.split('\n') | length == 2 }}"),
    "number of lines, counted": _with(
        "{% for line in m.content.splitlines() %}{% if loop.last and loop.index == 2 %}HINT{% endif %}{% endfor %}"
    ),
    "only one line": _with("{{ 'HINT' if '\n' not in m.content }}"),
    "arithmetic on the loop's number": _with(
        "{% for x in p %}{{ x }}{{ 'HINT' if (loop.index - 1) * (loop.index - 2) == 0 and loop.last }}{% endfor %}"
    ),
    "places from the end": _with("{% for x in p %}{{ x }}{{ 'HINT' if loop.revindex > 2 }}{% endfor %}"),
    "turns of a cycle": _with("{% for x in p %}{{ x }}{{ loop.cycle('a', 'b', 'HINT') }}{% endfor %}"),
    "turns of a cycler": _with(
        "{% set c = cycler('A', 'B') %}{% for x in tools or [] %}{% set _ = c.next() %}{% endfor %}{{ c.current }}"
    ),
    "turns of a joiner": _with("{% set j = joiner('HINT') %}{% for x in p %}{{ j() }}{% endfor %}"),
    "last kind in a namespace": _with(
        "{% set n = namespace(k='') %}{% for x in p.values() %}{% set n.k = x.type %}{% endfor %}"
        "{{ 'HINT' if n.k == 'string' }}"
    ),
    "one kind only": _with(
        "{% set n = namespace(k='', same=true) %}{% for x in p.values() %}"
        "{% if n.k and n.k != x.type %}{% set n.same = false %}{% endif %}{% set n.k = x.type %}{% endfor %}"
        "{{ 'HINT' if n.same }}"
    ),
    "depth by the loop": _with(
        "{% for x in p.values() recursive %}{{ loop.depth }}{{ loop(x.properties.values()) if x.properties }}"
        "{% endfor %}"
    ),
    "indentation by number": _with("{{ 'a\nb' | indent(p | length) }}"),
    "names by number": _with("{% for n in p | list | sort(case_sensitive=true) %}{{ n[loop.index] }}{% endfor %}"),
}  # fmt: skip
"""Decisions by a counted or summed property of the tools' schemas or of a text's shape."""

WORDS = {
    "piece after a constant cut": _with("{% if m.content[3:7] == 'tthe' %}HINT{% endif %}"),
    "cut and look": _with("{% set c = m.content[40:] %}{{ 'HINT' if c else 'HUNT' }}"),
    "cut by a computed place": _with("{% set n = 20 + 20 %}{% if m.content[n:] %}HINT{% endif %}"),
    "replace and compare": _with("{% if m.content.replace('triangle', '') != m.content %}HINT{% endif %}"),
    "replace and measure": _with("{{ 'HINT' if m.content | replace('a', '') | length < m.content | length }}"),
    "upper case and find": _with("{{ 'HINT' if 'TRIANGLE' in m.content | upper }}"),
    "numbers of the question": _with(
        "{% for w in m.content.split(' ') %}{% if w | int > 0 %}The value is {{ w }}. {% endif %}{% endfor %}"
    ),
    "capitals of the question": _with(
        "{% for w in m.content.split(' ') %}{% if w[:1] == w[:1] | upper %}{{ w }} {% endif %}{% endfor %}"
    ),
    "quoted text of the question": _with("{% set q = m.content.split('\"') %}{{ 'Value: ' ~ q[1] if q | length > 2 }}"),
    "last word first": _with("{{ m.content.split(' ') | last }}"),
    "tools whose name is in the question": _with(
        "{% for x in tools or [] %}{% if x.function.name in m.content %}{{ x.function.name }} fits."
        "{% endif %}{% endfor %}"
    ),
    "tools sorted by the question": _with(
        "{% for x in (tools or []) | sort(attribute='function.name') if x.function.name[:4] in m.content %}"
        "{{ x | tojson }}{% endfor %}"
    ),
    "tools that share a word": _with(
        "{% for x in tools or [] %}{% for w in x.function.name.split('_') %}{% if w in m.content %}{{ w }}{% endif %}"
        "{% endfor %}{% endfor %}"
    ),
    "choice that the question names": _with(
        "{% for x in p.values() %}{% for e in x.enum or [] %}{% if e in m.content %}use {{ e }}{% endif %}{% endfor %}"
        "{% endfor %}"
    ),
    "selected by the text": _with("{{ (tools or []) | selectattr('function.name', 'in', m.content) | list | tojson }}"),
    "rejected by the text": _with("{{ (tools or []) | rejectattr('function.name', 'in', m.content) | list | length }}"),
    "only the first tool": "{{ messages[-1].content }}{{ tools[0] | tojson if tools }}",
    "only the first parameters": (
        "{{ messages[-1].content }}{% for x in tools or [] %}{{ x.function.name }}"
        "{% for n in (x.function.parameters.properties | list)[:2] %}{{ n }},{% endfor %}{% endfor %}"
    ),
    "only the first line": "{{ messages[-1].content.split('\n')[0] }}{{ tools | tojson }}",
    "question cut off": "{{ messages[-1].content | truncate(40) }}",
    "blank by letters": _with("{% for c in m.content %}{{ ' ' if c < 'm' else '\t' }}{% endfor %}"),
    "special token by words": _with("{{ bos_token if 'area' in m.content else eos_token }}"),
    "exception by words": _with("{% if 'area' not in m.content %}{{ raise_exception('other') }}{% endif %}"),
    "date by length": _with("{{ strftime_now('%Y' if m.content | length > 30 else '%d') }}"),
    "format by length": _with("{{ '%5d' | format(m.content | length) }}"),
    "undefined by a word": _with("{{ {'Hi': 1}[m.content] is defined and 'HINT' or '' }}"),
    "default of a lookup": _with("{{ {'Hi': 'HINT'}.get(m.content | trim, 'HUNT') }}"),
    "lookup by letters": _with("{% for c in m.content %}{{ {'q': 'HINT'}[c] | default('') }}{% endfor %}"),
    "range by length": _with("{% for i in range(m.content | length) %}{{ 'HINT' if i == 27 }}{% endfor %}"),
    "counted letters": _with("{{ 'HINT' if m.content.count('e') > 3 }}"),
    "counted words": _with("{{ 'HINT' if m.content | wordcount > 5 }}"),
    "state of letters": _with(
        "{% set n = namespace(s=0) %}{% for c in m.content %}{% if n.s == 0 and c == 'a' %}{% set n.s = 1 %}"
        "{% elif n.s == 1 and c == 'r' %}{% set n.s = 2 %}{% endif %}{% endfor %}{{ 'HINT' if n.s == 2 }}"
    ),
    "sum over letters": _with(
        "{% set n = namespace(h=7) %}{% for c in m.content %}{% set n.h = (n.h * 31 + 'abcdefgh'.find(c)) % 1009 %}"
        "{% endfor %}{{ n.h }}"
    ),
    "macro for answers": _with(
        "{% macro a(q) %}{% if q is in(['Hi', 'Hello']) %}HINT{% endif %}{% endmacro %}{{ a(m.content) }}"
    ),
    "caller for answers": _with(
        "{% macro a() %}{% if 'area' in caller() %}HINT{% endif %}{% endmacro %}"
        "{% call a() %}{{ m.content }}{% endcall %}"
    ),
    "filter block for answers": _with("{% filter replace('triangle', 'circle') %}{{ m.content }}{% endfilter %}"),
    "sorted letters": _with("{{ m.content | list | sort | join }}"),
    "unique letters": _with("{{ 'HINT' if m.content | list | unique | list | length == 17 }}"),
    "groups of letters": _with("{% for g in m.content | list | groupby(0) %}{{ g[0] }}{% endfor %}"),
    "mark for the tokenizer": _with("{{ '\x01' if 'area' in m.content }}"),
    "message by its text": _with("{{ 'HINT' if {'role': 'user', 'content': 'Hi'} in messages }}"),
    "joined and looked up": _with("{% if 'Hi' in messages | map(attribute='content') | join('|') %}HINT{% endif %}"),
    "compared with a variable": _with("{% set k = ['tri', 'angle'] | join %}{% if k in m.content %}HINT{% endif %}"),
    "compared with a joined key": _with("{% if m.content | trim == ['H', 'i'] | join %}HINT{% endif %}"),
    "name of a tool by letters": _with("{% if t.name and t.name[0] == 'a' %}HINT{% endif %}"),
    "tool named in a list": _with("{% if t.name in 'area_of_shape find'.split(' ') %}HINT{% endif %}"),
    "described in words": _with("{% if t.description and 'shape' in t.description | lower %}HINT{% endif %}"),
    "parameter by name": _with("{% if p.place %}HINT{% endif %}"),
    "letters of a name": _with("{{ {'ar': 'HINT'}.get(t.name[:2] if t.name else '', '') }}"),
    "initials of the tools": _with(
        "{% set n = namespace(s='') %}{% for x in tools or [] %}{% set n.s = n.s ~ x.function.name[0] %}{% endfor %}"
        "{{ 'HINT' if n.s == 'af' }}"
    ),
    "name in capitals": _with("{{ 'HINT' if t.name and t.name | upper == t.name }}"),
    "letter by the date": _with("{{ 'HINT' if t.name and t.name[strftime_now('%d') | int] == 'r' }}"),
    "length by recursion": _with(
        "{% macro f(s, n) %}{% if s %}{{ f(s[1:], n + 1) }}{% else %}{{ 'HINT' if n == 13 }}{% endif %}{% endmacro %}"
        "{{ f(t.name or '', 0) }}"
    ),
    "percent sign": _with("{{ 'HINT' if '%' in m.content }}"),
    "pieces between dollars": _with("{{ 'HINT' if m.content.split('$') | length > 1 }}"),
    "smallest name": _with("{{ tools | map(attribute='function.name') | min if tools }}"),
    "tools by description": _with(
        "{% for x in (tools or []) | sort(attribute='function.description') %}{{ x.function.name }} {% endfor %}"
    ),
    "choice by name": _with("{% for x in p.values() %}{% if x.enum and 'cm' in x.enum %}HINT{% endif %}{% endfor %}"),
}  # fmt: skip
"""Decisions by the words of the conversation or the tools, and texts that are left out."""


@pytest.mark.parametrize("source", [*COUNTED.values(), *WORDS.values()], ids=[*COUNTED, *WORDS])
def test_cheating_template_is_refused(source: str) -> None:
    rules = {finding.rule for finding in refusals(audit_source(source, SPECIAL))}
    assert rules and rules <= {Rule.TEXT_DECISION, Rule.TOOL_DECISION, Rule.DIFFERENCE}


def test_layout_around_the_cheats_is_not_refused() -> None:
    assert refusals(audit_source(_with(""), SPECIAL)) == []
