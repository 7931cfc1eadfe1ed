"""The first line: read the template, run nothing."""

from __future__ import annotations

from jinja2 import nodes

from bitagent_evaluator.rendering.template import parse
from bitagent_evaluator.safety.audit.finding import MAX_FINDINGS, Finding, Rule, Severity, cut
from bitagent_evaluator.safety.audit.statements import Walk
from bitagent_evaluator.safety.audit.syntax import seen_in


def read(source: str) -> list[Finding]:
    """Every finding in a template's source, by line. Raises jinja2.TemplateError when it is no template, ValueError when it is too long."""
    template = parse(source)
    lines = source.splitlines()
    found: dict[tuple[int, Rule, str], Finding] = {}

    def report(node: nodes.Node, rule: Rule, explanation: str, severity: Severity = Severity.REFUSE) -> None:
        line = node.lineno
        text = cut(lines[line - 1]) if 0 < line <= len(lines) else ""
        found.setdefault((line, rule, explanation), Finding(rule, severity, explanation, line, text))

    Walk(report).until_stable(template)
    for node, rule, severity, explanation in seen_in(template):
        report(node, rule, explanation, severity)
    ordered = sorted(
        found.values(), key=lambda finding: (finding.severity is Severity.NOTE, finding.line or 0, finding.rule)
    )
    return ordered[:MAX_FINDINGS]
