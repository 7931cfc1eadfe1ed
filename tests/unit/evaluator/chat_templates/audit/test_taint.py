"""Taint analysis: a use of the conversation's words is refused in whatever form, an ordinary template is not."""

from __future__ import annotations

import pytest

from bitagent_evaluator.chat_templates.audit.findings import Rule, refusals
from bitagent_evaluator.chat_templates.audit.taint import analyse_template

QUESTION = "Find the area of a triangle"


def each(written: str) -> str:
    """A template that writes something beside every message `m`."""
    return f"{{% for m in messages %}}{{{{ m.content }}}}{written}{{% endfor %}}"


def last(condition: str, *, before: str = "") -> str:
    """A template that gives a hint when a condition about the last message `m` holds."""
    return f"{{% set m = messages[-1] %}}{before}{{% if {condition} %}}HINT{{% endif %}}{{{{ m.content }}}}"


TEXT = {
    "equality with a switch for thinking": last("m.content == thinking"),
    "equality": last(f"m.content == '{QUESTION}'"),
    "contains": last(f"'{QUESTION}' in m.content"),
    "is in a list": last("m.content in ['Hi', 'Hello']"),
    "constant in a variable": last("key in m.content", before="{% set key = 'triangle' %}"),
    "starts with": last("m.content.startswith('Find')"),
    "bound method": last("starts('Find')", before="{% set starts = m.content.startswith %}"),
    "test instead of operator": last("m.content is eq 'Hi'"),
    "test 'in'": last("m.content is in(['Hi', 'Hello'])"),
    "subscript by a composed key": last("m['con' ~ 'tent'] == 'Hi'"),
    "attribute filter": last("(m | attr('content')) == 'Hi'"),
    "get with a default": last("m.get('content', '') == 'Hi'"),
    "items of the message": "{% for k, v in messages[0].items() %}{% if v == 'Hi' %}HINT{% endif %}{% endfor %}",
    "values of the message": "{% for v in messages[0].values() %}{% if v == 'Hi' %}HINT{% endif %}{% endfor %}",
    "dict lookup": "{{ {'Hi': 'HINT'}[messages[-1].content] | default('') }}",
    "dict get": "{{ {'Hi': 'HINT'}.get(messages[-1].content, '') }}",
    "lookup by length": "{{ ['a', 'b', 'c'][messages[-1].content | length % 3] }}",
    "length": last("m.content | length == 57"),
    "length, hashed": last("n * 31 % 97 == 5", before="{% set n = m.content | length %}"),
    "length by slices": last("m.content[57:] and not m.content[58:]"),
    "length by a character that is not there": last("m.content[57] is defined"),
    "length by truncation": each("{{ m.content | truncate(57, true, 'HINT') }}"),
    "length by padding": each("{{ m.content.ljust(99, '.') }}"),
    "length by a count of words": last("m.content | wordcount == 9"),
    "number of words": last("words | length == 9", before="{% set words = m.content.split(' ') %}"),
    "a word by its place": last("m.content.split(' ')[2] == 'area'"),
    "a word by parts' members": (
        "{% for w in messages[0].content.split(' ') %}{% if 'image' in w %}HINT{% endif %}{% endfor %}"
    ),
    "characters": "{% for c in messages[0].content %}{% if c == 'F' %}HINT{% endif %}{% endfor %}",
    "characters, counted": (
        "{% set ns = namespace(n=0) %}{% for c in messages[0].content %}{% set ns.n = ns.n + 1 %}{% endfor %}"
        "{% if ns.n == 57 %}HINT{% endif %}"
    ),
    "characters, counted under a part's test": (
        "{% set ns = namespace(n=0) %}{% for c in messages[0].content %}"
        "{% if c.type == 'x' or true %}{% set ns.n = ns.n + 1 %}"
        "{% endif %}{% endfor %}{% if ns.n == 57 %}HINT{% endif %}"
    ),
    "characters, counted by the loop": (
        "{% for c in messages[0].content %}{% if loop.index == 57 %}HINT{% endif %}{% endfor %}"
    ),
    "characters, counted by writing": (
        "{% set n %}{% for c in messages[0].content %}x{% endfor %}{% endset %}{% if n == 'xxxxx' %}HINT{% endif %}"
    ),
    "chain of variables": last("c == 'hi'", before="{% set a = m %}{% set b = a.content %}{% set c = b | lower %}"),
    "namespace": last("ns.t == 'Hi'", before="{% set ns = namespace(t='') %}{% set ns.t = m.content %}"),
    "namespace, by another name": last(
        "other.t == 'Hi'", before="{% set ns = namespace(t='') %}{% set other = ns %}{% set ns.t = m.content %}"
    ),
    "loop's variable, by another name": (
        "{% for m in messages %}{% set l = loop %}{% if l.previtem.content == 'Hi' %}HINT{% endif %}{% endfor "
        "%}"
    ),
    "macro": "{% macro hint(x) %}{% if 'area' in x %}HINT{% endif %}{% endmacro %}{{ hint(messages[-1].content) }}",
    "macro, with a keyword": (
        "{% macro hint(x='') %}{% if 'area' in x %}HINT{% endif %}{% endmacro %}{{ "
        "hint(x=messages[-1].content) }}"
    ),
    "macro, by another name": (
        "{% macro hint(x) %}{% if 'area' in x %}HINT{% endif %}"
        "{% endmacro %}{% set f = hint %}{{ f(messages[-1].content) }}"
    ),
    "macro's output": (
        "{% macro same(x) %}{{ x }}{% endmacro %}{% if same(messages[-1].content) == 'Hi' %}HINT{% endif %}"
    ),
    "caller": (
        "{% macro m() %}{% if 'area' in caller() %}HINT{% endif %}{% endmacro %}"
        "{% call m() %}{{ messages[-1].content }}{% endcall %}"
    ),
    "block of text": "{% set t %}{{ messages[-1].content }}{% endset %}{% if 'area' in t %}HINT{% endif %}",
    "with": "{% with t = messages[-1].content %}{% if t == 'Hi' %}HINT{% endif %}{% endwith %}",
    "filter block": "{% filter replace('Find the area', 'HINT') %}{{ messages[-1].content }}{% endfilter %}",
    "map": last("'Hi' in texts", before="{% set texts = messages | map(attribute='content') | list %}"),
    "map of replace": "{{ messages | map(attribute='content') | map('replace', 'Find', 'HINT') | join }}",
    "selectattr": "{% if messages | selectattr('content', 'equalto', 'Hi') | list %}HINT{% endif %}",
    "select from a table": "{{ ['Hi', 'Hello'] | select('in', messages[-1].content) | join }}",
    "namespace, made of a message": last("namespace(m).content == 'Hi'"),
    "namespace, made of a message's members": last("namespace(**m).content == 'Hi'"),
    "namespace, by a filter": last("(ns | attr('t')) == 'Hi'", before="{% set ns = namespace(t=m.content) %}"),
    "namespace, in a list": last(
        "[ns] | selectattr('t', 'eq', 'Hi') | list", before="{% set ns = namespace(t=m.content) %}"
    ),
    "namespace, as text": last("'Hi' in ns | string", before="{% set ns = namespace(t=m.content) %}"),
    "message under a harmless key": last("d.role.content == 'Hi'", before="{% set d = {'role': m} %}"),
    "text under a harmless key": last("d.role == 'Hi'", before="{% set d = {'role': m.content} %}"),
    "message put together": last("d.content == 'Hi'", before="{% set d = {'role': 'user', 'content': m.content} %}"),
    "macro defined twice": (
        "{% macro f(x) %}{% if 'area' in x %}HINT{% endif %}{% endmacro %}{{ f(messages[0].content) }}"
        "{% if false %}{% macro f(x) %}{% endmacro %}{% endif %}"
    ),
    "macro's name for something else": (
        "{% if false %}{% macro f(x) %}{% endmacro %}{% endif %}"
        "{% set f = {'Hi': 'HINT'}.get %}{{ f(messages[0].content) }}"
    ),
    "macro's rest": (
        "{% macro f() %}{% if varargs[0] == 'Hi' %}HINT{% endif %}{% endmacro %}{{ f(messages[0].content) }}"
    ),
    "macro's keywords": (
        "{% macro f() %}{% if kwargs.x == 'Hi' %}HINT{% endif %}{% endmacro %}{{ f(x=messages[0].content) }}"
    ),
    "macro's default": "{% macro f(x=messages[0].content) %}{% if x == 'Hi' %}HINT{% endif %}{% endmacro %}{{ f() }}",
    "caller with an argument": (
        "{% macro f(x) %}{{ caller(x) }}{% endmacro %}"
        "{% call(y) f(messages[0].content) %}{% if y == 'Hi' %}HINT{% endif %}{% endcall %}"
    ),
    "block by name": "{% block b %}{{ messages[0].content }}{% endblock %}{% if self.b() == 'Hi' %}HINT{% endif %}",
    "loop's name for something else": "{% set loop = messages[-1] %}{% if loop.content == 'Hi' %}HINT{% endif %}",
    "strip by a set of characters": last("m.content.strip('<|abcdefghijklmnopqrstuvwxy |>')"),
    "trim by a set of characters": last("m.content | trim('abcdefghijklmnopqrstuvwxy ')"),
    "select by a character": last("messages | selectattr('content.57') | list"),
    "message in a list": last("{'role': 'user', 'content': 'Hi'} in messages"),
    "groupby": "{% for text, group in messages | groupby('content') %}{% if text == 'Hi' %}HINT{% endif %}{% endfor %}",
    "loop's filter": "{% for m in messages if m.content != 'Hi' %}{{ m.content }}{% endfor %}",
    "default": "{{ {'Hi': 'HINT'}[messages[-1].content] | d(messages[-1].content) }}",
    "default of a character": "{{ messages[-1].content[57] | default('HINT') }}",
    "conditional expression": "{{ 'HINT' if messages[-1].content == 'Hi' else '' }}",
    "and, or": "{{ (messages[-1].content == 'Hi' and 'HINT') or '' }}",
    "tojson compared": last("m | tojson == 'Hi'"),
    "all messages as text": last("'area' in messages | string"),
    "replace": each(f"{{{{ m.content.replace('{QUESTION}', 'HINT') }}}}"),
    "replace a marker by an answer": each("{{ m.content | replace('\\n', 'The answer is 42') }}"),
    "split and join": each("{{ m.content.split('Find the area') | join('HINT') }}"),
    "formatting with a number": "{{ '%c' % (messages[-1].content | length) }}",
    "format string by the user": each("{{ m.content.format('HINT') }}"),
    "compared with the next": last("m.content < 'M'"),
    "compared with a special token": last("bos_token in m.content"),
    "tool's name in the text": last("tools[0].function.name in m.content"),
    "earlier answer": last("messages[-2].tool_calls[0].function.name == 'area'"),
    "a constant, cut by equality": "{{ 'HINT'[:4 * (messages[-1].content == 'Hi')] }}",
    "a constant, cut by containment": "{{ 'HINT'['area' in messages[-1].content:] }}",
    "a constant, cut by the step": "{{ 'HINT'[::1 + (messages[-1].content == 'Hi')] }}",
    "a constant, cut by a length": "{{ 'HINT'[:messages[-1].content | length] }}",
    "messages, cut by equality": "{% for m in messages[messages[-1].content == 'Hi':] %}HINT{% endfor %}",
    "tools, cut by equality": "{{ tools[messages[-1].content == 'Hi':] | tojson }}",
    "a role, cut by equality": "{{ messages[0].role[messages[-1].content == 'Hi':] }}",
    "a loop over what is cut": "{% for c in 'HI'[:messages[-1].content == 'Hi'] %}{{ c }}{% endfor %}",
    "escaped or not": "{% autoescape messages[-1].content == 'Hi' %}{{ '<' }}{% endautoescape %}",
    "escaped by a piece": "{% autoescape messages[-1].content[57:] %}{{ '<' }}{% endautoescape %}",
}  # fmt: skip

TOOL = {
    "tool's name": "{% for t in tools %}{% if t.function.name == 'triangle_area' %}HINT{% endif %}{% endfor %}",
    "tool's name, composed": "{% if tools[0].function.name == 'triangle' ~ '_' ~ 'area' %}HINT{% endif %}",
    "tool's description": "{% if 'triangle' in tools[0].function.description %}HINT{% endif %}",
    "tools as text": "{% if 'triangle' in tools | tojson %}HINT{% endif %}",
    "parameter": "{% if 'height' in tools[0].function.parameters.properties %}HINT{% endif %}",
    "selectattr": "{% if tools | selectattr('function.name', 'equalto', 'triangle_area') | list %}HINT{% endif %}",
    "table by a tool's name": "{{ {'area': 'HINT'}[tools[0].function.name] }}",
    "table in a variable": (
        "{% set t = {'area': 'HINT'} %}{{ t[tools[0].function.name] }}{{ t.get(tools[0].function.name) }}"
    ),
    "replace": "{{ tools[0].function.name | replace('triangle_area', 'HINT') }}",
    "starts with": "{% if tools[0].function.name.startswith('triangle_') %}HINT{% endif %}",
    "number of tools": "{% if tools | length == 7 %}HINT{% endif %}",
    "parameter, read": "{% if tools[0].function.parameters.properties.height is defined %}HINT{% endif %}",
    "parameter, read by subscript": "{{ 'HINT' if tools[0].function.parameters.properties['height'] }}",
    "parameter, read by get": "{{ 'HINT' if tools[0].function.parameters.properties.get('height') }}",
    "count of a short word": "{% if tools[0].function.description.count('area') > 0 %}HINT{% endif %}",
    "starts with a short word": "{% if tools[0].function.name.startswith('ar') %}HINT{% endif %}",
    "stripped by letters": "{% if not tools[0].function.name.strip('area') %}HINT{% endif %}",
    "a short word replaced": "{% if tools[0].function.name.replace('area', '') | length == 0 %}HINT{% endif %}",
    "a short word filtered": "{% if not tools[0].function.name | replace('area', '') %}HINT{% endif %}",
    "a short word in a map": (
        "{% if not tools | map(attribute='name') | map('replace', 'area', '') | first %}HINT{% endif %}"
    ),
    "parameter, read by a key that may be any": (
        "{% set ns = namespace(k='height') %}{% if tools[0].function.parameters.properties[ns.k] %}HINT{% endif %}"
    ),
    "parameters, read by several keys": (
        "{% for k in ['height', 'x'] %}{% if tools[0].function.parameters.properties[k] %}HINT{% endif %}{% endfor %}"
    ),
    "parameters, read by keys in a table": (
        "{% for k, word in [('height', 'minimum'), ('x', 'maximum')] %}"
        "{% if tools[0].function.parameters.properties[k] %}HINT{% endif %}{% endfor %}"
    ),
    "parameters, read by several words of schemas": (
        "{% for k in ['date', 'text'] %}{% if tools[0].function.parameters.properties[k] %}HINT{% endif %}{% endfor %}"
    ),
    "a word that may be any": (
        "{% set ns = namespace(k='area') %}{% if tools[0].function.name.startswith(ns.k) %}HINT{% endif %}"
    ),
    "parameter with a schema's word as its name": "{{ 'HINT' if tools[0].function.parameters.properties.date }}",
    "parameter with a schema's word, by subscript": (
        "{{ 'HINT' if tools[0].function.parameters['properties']['text'] }}"
    ),
    "parameter with a schema's word, by get": "{{ tools[0].function.parameters.get('properties').get('key', 'HINT') }}",
    "sought in a text of the template": "{{ 'area HINT'.replace(tools[0].function.name, '') }}",
    "sought in a text by a filter": "{{ 'area' | replace(tools[0].function.name, 'HINT') }}",
    "pieces by the number of tools": "{% for b in 'HINT' | batch(tools | length) %}{{ b | join }}{% endfor %}",
    "columns by the number of tools": "{% for b in 'HINT' | slice(tools | length) %}{{ b | join }}{% endfor %}",
    "sorted with a constant": "{{ [tools[0].function.name, 'area'] | sort | first }}",
    "distinct from a constant": "{{ ([tools[0].function.name] + ['area']) | unique | join }}",
    "place in a text of the template": "{{ 'HINT' * ('area'.find(tools[0].function.name) + 1) }}",
    "number of tools, as a cut": "{{ 'HINT'[:tools | length] }}",
    "selectattr of a short name": "{% for t in tools | selectattr('function.name', 'equalto', 'area') %}H{% endfor %}",
    "rejectattr of short names": "{% for t in tools | rejectattr('name', 'in', ['area', 'f']) %}H{% endfor %}",
    "escaped or not": "{% autoescape tools[0].function.name == 'area' %}{{ '<' }}{% endautoescape %}",
}  # fmt: skip


@pytest.mark.parametrize("source", TEXT.values(), ids=TEXT.keys())
def test_use_of_a_messages_text_is_refused(source: str) -> None:
    assert Rule.TEXT_DECISION in {finding.rule for finding in refusals(analyse_template(source))}


@pytest.mark.parametrize("source", TOOL.values(), ids=TOOL.keys())
def test_use_of_what_a_tool_is_called_is_refused(source: str) -> None:
    assert Rule.TOOL_DECISION in {finding.rule for finding in refusals(analyse_template(source))}


CLEAN = {
    "presence of a text": last("m.content"),
    "empty text": last("m.content is none or m.content == ''"),
    "kind of content": last("m.content is string or m.content is not mapping"),
    "some text": last("m.content | trim | length > 0"),
    "thinking": (
        "{% for m in messages %}{{ m.content.split('</think>')[-1] if '</think>' in m.content else m.content }}"
        "{% endfor %}"
    ),
    "role": "{% for m in messages %}{{ {'user': 'U', 'assistant': 'A'}[m.role] }}{{ m.role.upper() }}{% endfor %}",
    "one user message": (
        "{% if messages | selectattr('role', 'eq', 'user') | list | length > 1 %}{{ messages }}{% endif %}"
    ),
    "roles": "{% if 'system' in messages | map(attribute='role') %}{{ messages[0].content }}{% endif %}",
    "alternation": last("(m.role == 'user') != (messages | length % 2 == 1)"),
    "types of parameters": (
        "{% for p in tools[0].function.parameters.properties.values() %}{{ 'n' if p.type in ['number', "
        "'integer'] }}{% endfor %}"
    ),
    "required": (
        "{% set f = tools[0].function.parameters %}{% for n in f.properties %}{{ n }}{{ '?' if n not in "
        "f.required }}{% endfor %}"
    ),
    "common example": each("{# #}For instance: get_current_weather(city='Oslo')"),
    "parts": "{% for p in messages[0].content %}{% if p.type == 'text' %}{{ p.text }}{% endif %}{% endfor %}",
    "undefined variable": last("m.name in builtin_tools"),
    "message put together": (
        "{% set messages = [{'role': 'user', 'content': messages[0].content ~ messages[1].content}] + messages[2:] %}"
        "{% for m in messages %}{% if m.role == 'user' and m.content %}{{ m.content.strip() }}{% endif %}{% endfor %}"
    ),
    "namespace": (
        "{% set ns = namespace(system='', first=true) %}{% for m in messages %}{% if m.role == 'system' %}"
        "{% set ns.system = m.content %}{% elif ns.first %}"
        "{% set ns.first = false %}{{ ns.system }}{% endif %}{% endfor %}"
    ),
    "parameters as Command-R and Aya have them": (
        "{% for t in tools %}{% for n, p in t.parameter_definitions.items() %}{{ n }}: {% if not p.required %}"
        "{{ 'Optional[' + p.type + ']' }}{% endif %}{% endfor %}{% if t.parameter_definitions | length != 0 %}Args:"
        "{% endif %}{% endfor %}"
    ),
    "tools in the place of a word": "{{ 'Tools: {tools}'.replace('{tools}', tools | tojson) }}",
    "tools in the place of a word, by a filter": "{{ 'Tools: TOOLS' | replace('TOOLS', tools | tojson) }}",
    "parameters by their names in a loop": (
        "{% set f = tools[0].function.parameters %}{% for n in f.properties %}{{ f.properties[n].type }}{% endfor %}"
    ),
    "members by several words of schemas": (
        "{% for p in tools[0].function.parameters.properties.values() %}{% for k in ['minimum', 'maximum'] %}"
        "{{ p[k] }}{% endfor %}{% endfor %}"
    ),
    "tools by number": "{% for i in range(tools | length) %}{{ tools[i].function.name }}{% endfor %}",
    "tools by the loop's number": "{% for t in tools %}{{ tools[loop.index0].function.name }}{% endfor %}",
    "schema of a server of tools": (
        "{% for t in tools %}{{ (t.inputSchema or t.function.parameters) | tojson }}{% endfor %}"
    ),
    "Python's words as JSON's": (
        "{% for t in tools %}{{ t | string | replace('None', 'null') | replace('True', 'true') }}{% endfor %}"
    ),
    "keywords of JSON Schema": (
        "{% for p in tools[0].function.parameters.properties.values() %}{{ p.minProperties }}"
        "{{ p.patternProperties }}{{ p.writeOnly }}{% endfor %}"
    ),
    "line of dashes": each("-" * 200),
    "cycle": "{% for m in messages %}{{ loop.cycle('a', 'b') }}{{ m.content }}{% endfor %}",
}  # fmt: skip


@pytest.mark.parametrize("source", CLEAN.values(), ids=CLEAN.keys())
def test_ordinary_things_are_allowed(source: str) -> None:
    assert analyse_template(source) == []
