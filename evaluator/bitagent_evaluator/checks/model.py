"""The verdict on one model: of a repository by ranged reads, of a directory by its files."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from bitagent_crds.conditions import Reason
from bitagent_crds.jobs import EXIT_INFRASTRUCTURE, EXIT_MODEL_FAULT, EXIT_OK
from bitagent_crds.minermodel import ModelFacts
from bitagent_evaluator.bounded.process import ChildLost
from bitagent_evaluator.checks.advice import ADVICE
from bitagent_evaluator.engine.finite import non_finite_tensors
from bitagent_evaluator.hub.directory import ModelDirectory
from bitagent_evaluator.hub.errors import MODEL_FAULTS, FetchError
from bitagent_evaluator.hub.examination import Unsafe, audit_template, examine
from bitagent_evaluator.hub.retries import retried
from bitagent_evaluator.hub.source import Source
from bitagent_evaluator.safety.audit.finding import Finding, refusals, summary

MAX_BYTES = 40_000_000_000
"""Total size of files that an operator's chart allows unless it is told otherwise."""

_FINAL = MODEL_FAULTS | {Reason.NON_FINITE_WEIGHTS, Reason.TEMPLATE_REFUSED}
_FILES_ARE_SOUND = frozenset({Reason.SAFE, Reason.TEMPLATE_REFUSED})


@dataclass(frozen=True)
class Check:
    """Outcome of a check."""

    model: str
    """Directory or repository, as the caller named it."""
    reason: Reason
    """Safe, or why not."""
    message: str
    facts: ModelFacts | None
    """None when the weight headers could not be read or are not sound."""
    values_scanned: bool = False
    """Whether all weights were looked at for NaN and infinity."""
    findings: tuple[Finding, ...] = ()
    """What the audit of the chat template found, gravest first; empty when it was not reached."""

    @property
    def advice(self) -> str:
        """What to do."""
        return ADVICE[self.reason]

    @property
    def exit_code(self) -> int:
        """0 safe, 78 the model's fault, 1 nobody knows yet."""
        if self.reason is Reason.SAFE:
            return EXIT_OK
        return EXIT_MODEL_FAULT if self.reason in _FINAL else EXIT_INFRASTRUCTURE


def check_source(source: Source, model: str, *, max_bytes: int = MAX_BYTES) -> Check:
    """Check a model by its file list, small files and weight headers. Raises OSError when a directory cannot be read."""
    try:
        snapshot = retried(source.resolve, f"resolving {model}")
        found = examine(source, snapshot, max_bytes=max_bytes)
        if isinstance(found, Unsafe):
            return Check(model, found.reason, found.message, found.facts)
        findings = tuple(audit_template(source, snapshot))
    except FetchError as error:
        return Check(model, error.reason, error.message, None)
    except ChildLost as error:
        return Check(model, Reason.INFRASTRUCTURE_FAULT, str(error), None)
    if refusals(findings):
        return Check(model, Reason.TEMPLATE_REFUSED, summary(findings), found, findings=findings)
    message = "files, configuration, tokenizer, chat template and weight headers are sound"
    return Check(model, Reason.SAFE, message, found, findings=findings)


def check_directory(path: Path, *, max_bytes: int = MAX_BYTES, scan_values: bool = True) -> Check:
    """Check a local model, its weights' values too unless told not to. Raises OSError when a file cannot be read."""
    check = check_source(ModelDirectory(path, max_bytes=max_bytes, follow_links=True), str(path), max_bytes=max_bytes)
    if check.reason not in _FILES_ARE_SOUND or not scan_values:
        return check
    check = replace(check, values_scanned=True)
    bad = non_finite_tensors(path)
    if bad:
        message = f"{len(bad)} tensors hold NaN or infinity, such as {bad[0]}"
        return replace(check, reason=Reason.NON_FINITE_WEIGHTS, message=message)
    if check.reason is Reason.SAFE:
        return replace(check, message="files, configuration, tokenizer, chat template and weights are sound")
    return check
