"""The audit as the rest of the evaluator calls it."""

from __future__ import annotations

from collections.abc import Mapping

from bitagent_evaluator.bounded.process import BoundedProcess, InputFault, Limits
from bitagent_evaluator.safety.audit.finding import Finding, Rule, Severity
from bitagent_evaluator.safety.selection import SPECIAL_TOKENS, TEMPLATE, TOKENIZER_CONFIG

FILES = (TEMPLATE, TOKENIZER_CONFIG, SPECIAL_TOKENS)
"""What the audit reads of a model."""

_WORKER = "bitagent_evaluator.safety.audit.worker:AuditWorker"
_LIMITS = Limits(memory_bytes=320 << 20, cpu_seconds=2.0, answer_bytes=1 << 20)


def audit_files(small: Mapping[str, bytes]) -> list[Finding]:
    """The findings in a model's chat template, gravest first, from those of FILES that it has. Raises bounded.ChildLost.

    The model's other files are taken for sound: this comes after the judgement.
    """
    try:
        with BoundedProcess(_WORKER, _LIMITS) as child:
            answer = child.call({}, {name: small[name] for name in FILES if name in small})
    except InputFault as fault:
        return [Finding(Rule.BROKEN, Severity.REFUSE, f"it {fault.message}")]
    return [Finding.from_plain(plain) for plain in answer["findings"]]
