"""The audit inside the bounded child: a model's small files in, findings as plain data out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bitagent_crds.conditions import Reason
from bitagent_evaluator.rendering.template import ChatTemplate
from bitagent_evaluator.rendering.tokens import special_tokens
from bitagent_evaluator.safety.audit import probe, static
from bitagent_evaluator.safety.audit.finding import Finding, Rule, Severity, refusals
from bitagent_evaluator.safety.configuration import parse_object
from bitagent_evaluator.safety.selection import SPECIAL_TOKENS, TOKENIZER_CONFIG
from bitagent_evaluator.safety.template import template_source


class AuditWorker:
    """Answers one kind of request: nothing but the blobs `inspect.FILES`, as far as they exist."""

    def handle(self, body: dict[str, Any], blobs: Mapping[str, bytes]) -> dict[str, Any]:
        """All findings; none for a model without a template."""
        del body
        settings = parse_object(TOKENIZER_CONFIG, blobs[TOKENIZER_CONFIG], Reason.BAD_TOKENIZER)
        source = template_source(blobs, settings)
        if source is None:
            return {"findings": []}
        named = [settings]
        if SPECIAL_TOKENS in blobs:
            named.insert(0, parse_object(SPECIAL_TOKENS, blobs[SPECIAL_TOKENS], Reason.BAD_TOKENIZER))
        return {"findings": [finding.to_plain() for finding in audit(source, special_tokens(*named))]}


def audit(source: str, special: Mapping[str, str]) -> list[Finding]:
    """The findings in one template. What was refused by reading is not run."""
    try:
        found = static.read(source)
        if refusals(found):
            return found
        return [*probe.run(ChatTemplate(source, special)), *found]
    except probe.RENDERING_ERRORS as error:
        first = next(iter(str(error).splitlines()), "")
        explanation = f"{type(error).__name__}: {first[:200]}"
        return [Finding(Rule.BROKEN, Severity.REFUSE, explanation, getattr(error, "lineno", None))]
