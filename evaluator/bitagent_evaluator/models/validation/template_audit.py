"""Audit a model's chat template in a sandbox: small files in, findings out.

`audit_files` is for the rest of the evaluator. `audit_source` runs in the sandbox's child, as `AuditWorker`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from bitagent_crds.conditions import Reason
from bitagent_evaluator.chat_templates.audit.differential import RENDERING_ERRORS, run_probe
from bitagent_evaluator.chat_templates.audit.findings import Finding, Rule, Severity, refusals
from bitagent_evaluator.chat_templates.audit.taint import analyse_template
from bitagent_evaluator.chat_templates.render import TemplateRenderer
from bitagent_evaluator.models.validation.files import SPECIAL_TOKENS, TOKENIZER_CONFIG, parse_object
from bitagent_evaluator.models.validation.templates import Template, find_templates, template_files
from bitagent_evaluator.models.validation.tokenizer import special_tokens
from bitagent_evaluator.sandbox.process import InputFault, Sandbox
from bitagent_evaluator.sandbox.protocol import Limits
from bitagent_evaluator.support.text import error_line


def audited_files(names: Iterable[str]) -> list[str]:
    """Return the files among `names` that the audit reads, sorted."""
    names = set(names)
    return sorted({*template_files(names), *names & {SPECIAL_TOKENS}})


_WORKER = "bitagent_evaluator.models.validation.template_audit:AuditWorker"
_LIMITS = Limits(memory_bytes=320 << 20, cpu_seconds=4.0, answer_bytes=1 << 20)


def audit_files(small: Mapping[str, bytes]) -> list[Finding]:
    """Return the findings in all of a model's chat templates, the gravest first; none for a model without a template.

    `small` has its `audited_files`, which must have been validated. Raises SandboxUnavailable.
    """
    try:
        with Sandbox(_WORKER, _LIMITS) as sandbox:
            answer = sandbox.call({}, {name: small[name] for name in audited_files(small)})
    except InputFault as fault:
        return [Finding(Rule.BROKEN, Severity.REFUSE, f"it {fault.message}")]
    return [Finding.from_plain(plain) for plain in answer["findings"]]


class AuditWorker:
    """Worker of the sandbox for requests whose blobs are `audited_files`."""

    def handle(self, body: dict[str, Any], blobs: Mapping[str, bytes]) -> dict[str, Any]:
        """Return all findings as JSON types."""
        del body
        settings = parse_object(TOKENIZER_CONFIG, blobs[TOKENIZER_CONFIG], Reason.BAD_TOKENIZER)
        templates = find_templates(blobs, settings)
        named = [settings]
        if SPECIAL_TOKENS in blobs:
            named.insert(0, parse_object(SPECIAL_TOKENS, blobs[SPECIAL_TOKENS], Reason.BAD_TOKENIZER))
        special = special_tokens(*named)
        findings: list[Finding] = []
        for template in templates.distinct:
            found = audit_template(template, special)
            if len(templates.distinct) > 1:  # A line's number says little without its file.
                found = [replace(finding, explanation=f"{template.file}: {finding.explanation}") for finding in found]
            findings += found
        findings.sort(key=lambda finding: finding.severity is not Severity.REFUSE)
        return {"findings": [finding.to_plain() for finding in findings]}


def audit_template(template: Template, special: Mapping[str, str]) -> list[Finding]:
    """Return the findings in one template, the gravest first."""
    if template.mistake:
        return [Finding(Rule.BROKEN, Severity.REFUSE, template.mistake)]
    found = audit_source(template.source, special)
    return [*found, Finding(Rule.BROKEN, Severity.NOTE, template.warning)] if template.warning else found


def audit_source(source: str, special: Mapping[str, str]) -> list[Finding]:
    """Return the findings in a template's source. A template that the taint analysis refuses is not run."""
    try:
        found = analyse_template(source)
        if refusals(found):
            return found
        return [*run_probe(TemplateRenderer(source, special)), *found]
    except RENDERING_ERRORS as error:
        explanation = error_line(error)
        return [Finding(Rule.BROKEN, Severity.REFUSE, explanation, getattr(error, "lineno", None))]
