"""Findings as messages and JSON."""

from __future__ import annotations

from bitagent_evaluator.chat_templates.audit.findings import LINE_CHARACTERS, Finding, Rule, Severity, summary
from bitagent_evaluator.chat_templates.audit.taint import analyse_template


def test_finding_names_the_line_and_quotes_it() -> None:
    source = (
        "{# one #}\n{% for m in messages %}\n  {% if 'area' in m.content %}" + "x " * 250 + "{% endif %}\n{% endfor %}"
    )
    (finding,) = analyse_template(source)
    assert (finding.line, finding.severity) == (3, Severity.REFUSE)
    assert finding.text.startswith("{% if 'area' in m.content %}x") and len(finding.text) == LINE_CHARACTERS
    assert summary([finding]).startswith("the chat template: line 3: compares the text of a message")
    assert Finding.from_plain(finding.to_plain()) == finding


def test_summary_counts_the_rest() -> None:
    found = analyse_template(
        "{% if messages[0].content == 'a' %}{% endif %}\n{% if messages[0].content == 'b' %}{% endif %}"
    )
    assert summary(found).endswith("; and 1 more")


def test_finding_has_no_control_characters() -> None:
    finding = Finding(Rule.BROKEN, Severity.REFUSE, "a\x1b[2J", text="b\u202e")
    assert (finding.explanation, finding.text) == ("a\\x1b[2J", "b\\u202e")
