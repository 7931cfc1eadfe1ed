"""Checks of single nodes: tables, literals of a benchmark, nondeterminism, other templates."""

from __future__ import annotations

import pytest

from bitagent_evaluator.chat_templates.audit.findings import Rule, Severity, refusals, summary
from bitagent_evaluator.chat_templates.audit.taint import analyse_template


def each(written: str) -> str:
    """A template that writes something beside every message `m`."""
    return f"{{% for m in messages %}}{{{{ m.content }}}}{written}{{% endfor %}}"


SEEN = {
    "name of a function": (each("Perhaps calculate_triangle_area helps."), Rule.BENCHMARK),
    "name of a function, composed": (each("{{ 'calculate_' ~ 'triangle' ~ '_area' }}"), Rule.BENCHMARK),
    "name of a function, added": (each("{{ 'calculate_' + 'triangle' + '_area' }}"), Rule.BENCHMARK),
    "name as a keyword": (each("{% set x = dict(calculate_triangle_area=1) %}"), Rule.BENCHMARK),
    "values": (each("'Joseph Polisena Jr.' 'Walnut Creek, CA' 'New York City, USA'"), Rule.BENCHMARK),
    "long dict": ("{% set t = {" + ", ".join(f"'k{n}': {n}" for n in range(30)) + "} %}", Rule.TABLE),
    "list of lists": ("{% set t = [" + ", ".join(f"['k{n}', {n}]" for n in range(15)) + "] %}", Rule.TABLE),
    "few, but long members": ("{% set t = ['" + "word " * 400 + "'] %}", Rule.TABLE),
    "encoded": (each("QmFzZTY0LCBtb3JlIG9mIGl0" * 8), Rule.TABLE),
    "chance": (each("{{ [1, 2] | random }}"), Rule.NONDETERMINISM),
    "chance in words": ("{{ lipsum() }}", Rule.NONDETERMINISM),
    "another template": ("{% include 'answers.jinja' %}", Rule.OTHER_TEMPLATE),
    "another template's macros": ("{% from 'answers.jinja' import hint %}", Rule.OTHER_TEMPLATE),
}  # fmt: skip


@pytest.mark.parametrize(("source", "rule"), SEEN.values(), ids=SEEN.keys())
def test_what_has_no_place_in_a_template_is_refused(source: str, rule: Rule) -> None:
    assert {finding.rule for finding in refusals(analyse_template(source))} == {rule}


def test_single_value_of_a_benchmark_is_a_note() -> None:
    (finding,) = analyse_template(each("Like 'Joseph Polisena Jr.'."))
    assert (finding.rule, finding.severity) == (Rule.BENCHMARK, Severity.NOTE)
    assert summary([finding]) == ""
