"""Run admission checks locally before submitting a model.

Facts about a revision, and whether it is safe to load, follow from its file list, small files and weight headers: the
fetch Job decides by them, and `bitagent-eval check` shows them to the model's owner. A repository is checked by ranged
reads, without downloading weights; a directory by its files, with a scan for NaN. Each verdict comes with advice.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from bitagent_crds.conditions import Reason
from bitagent_crds.jobs import exit_code
from bitagent_crds.minermodel import MemoryShape, ModelFacts
from bitagent_evaluator.chat_templates.audit.findings import Finding, refusals, summary
from bitagent_evaluator.models.checkpoint import model_tensors, non_finite_tensors
from bitagent_evaluator.models.digests import copies_embeddings, model_digest, weights_digest
from bitagent_evaluator.models.similarity import similarity_sketch
from bitagent_evaluator.models.source import ModelDirectory, ModelSource, Snapshot
from bitagent_evaluator.models.validation.chat import ChatDescription, describe_files, described_files
from bitagent_evaluator.models.validation.files import ValidationResult, fetched_files
from bitagent_evaluator.models.validation.head import HEAD, head_note
from bitagent_evaluator.models.validation.template_audit import audit_files, audited_files
from bitagent_evaluator.models.validation.unread import unread_notes
from bitagent_evaluator.models.validation.validate import validate_model
from bitagent_evaluator.sandbox.process import SandboxUnavailable
from bitagent_evaluator.support.faults import FetchError
from bitagent_evaluator.support.files import sha256_of


@dataclass(frozen=True)
class LoadableModel:
    """A model that may be fetched and loaded."""

    facts: ModelFacts
    head_beside_tied: bool
    """Whether the weight files have a head, although the configuration ties it to the embeddings."""


@dataclass(frozen=True)
class UnsafeModel:
    """A model that must not be fetched."""

    reason: Reason
    message: str
    facts: ModelFacts | None
    """None if the weight headers are malformed."""


def inspect_model(source: ModelSource, snapshot: Snapshot, *, max_bytes: int) -> LoadableModel | UnsafeModel:
    """Return what headers and small files say about a model that may be fetched and loaded, or why it must not be.

    `max_bytes` is the largest total size of its files. Raises FetchError and SandboxUnavailable.
    """
    read: dict[str, str] = {}
    judgement = validate_model(snapshot.sizes, _reader(source, snapshot, read), max_bytes=max_bytes)
    facts = _facts(source, snapshot, judgement, read)
    if judgement.refusal is not None or facts is None:
        reason, message = judgement.refusal or (Reason.CORRUPT_WEIGHTS, "the weight headers are not sound")
        return UnsafeModel(reason, message, facts)
    return LoadableModel(facts, judgement.head_beside_tied)


def audit_template(source: ModelSource, snapshot: Snapshot) -> list[Finding]:
    """Return the audit's findings in the chat template of a model that may be loaded.

    Raises FetchError and SandboxUnavailable.
    """
    read = _reader(source, snapshot)
    return audit_files({name: read(name, 0, snapshot.files[name].size) for name in audited_files(snapshot.files)})


def describe_chat(source: ModelSource, snapshot: Snapshot, *, quantized: bool, render: bool) -> ChatDescription:
    """Return what a model's small files say about a chat. Raises FetchError and SandboxUnavailable."""
    read = _reader(source, snapshot)
    names = described_files(snapshot.files)
    small = {name: read(name, 0, snapshot.files[name].size) for name in names}
    return describe_files(small, quantized=quantized, render=render)


def _template_part(chat: ChatDescription) -> str:
    return ", chat template and" if chat.template else " and"


def _reader(
    source: ModelSource, snapshot: Snapshot, digests: dict[str, str] | None = None
) -> Callable[[str, int, int], bytes]:
    """Return a function that reads parts of files; it adds the hex SHA-256 of each whole file to `digests`."""

    def read(name: str, start: int, length: int) -> bytes:
        size = snapshot.files[name].size
        content = b"".join(source.stream(snapshot, name, start, min(start + length, size)))
        if digests is not None and len(content) == size:
            digests[name] = sha256_of([content])
        return content

    return read


def _facts(
    source: ModelSource, snapshot: Snapshot, judgement: ValidationResult, read: Mapping[str, str]
) -> ModelFacts | None:
    """Return the facts; None if the weight headers are malformed.

    `read` has the hex SHA-256 of files that were read as a whole. Others are read if the repository states no digest.
    """
    if judgement.parameters is None:
        return None
    digests = {name: read.get(name) or _digest(source, snapshot, name) for name in fetched_files(snapshot.files)}
    return ModelFacts(
        commit=snapshot.commit,
        size_bytes=sum(snapshot.files[name].size for name in fetched_files(snapshot.files)),
        parameters=judgement.parameters,
        architecture=judgement.architecture,
        license=snapshot.license or judgement.license,
        card_hotkey=judgement.card_hotkey,
        quantization=judgement.quantization,
        template_digest=judgement.template_digest,
        tokenizer_digest=judgement.tokenizer_digest,
        memory=MemoryShape.model_validate(judgement.memory) if judgement.memory is not None else None,
        engine_shape=judgement.engine_shape,
        model_digest=model_digest(digests),
    )


def with_weights(facts: ModelFacts, model_dir: Path, *, copied_head: bool) -> ModelFacts:
    """Return the facts with those that follow from the values of the weights, which `model_dir` has.

    `copied_head` says whether it has a head that equals tied embeddings. That does not count, neither as parameters nor
    as memory: the engine frees it as soon as it is loaded.

    Raises Refused if a weight header is malformed, and OSError if a file cannot be read.
    """
    more: dict[str, Any] = {"weights_digest": weights_digest(model_dir), "similarity": similarity_sketch(model_dir)}
    if copied_head:
        head = model_tensors(model_dir)[HEAD].elements
        more["parameters"] = facts.parameters - head
        if facts.memory is not None:
            more["memory"] = facts.memory.model_copy(update={"numbers": facts.memory.numbers - head})
    return facts.model_copy(update=more)


def _digest(source: ModelSource, snapshot: Snapshot, name: str) -> str:
    file = snapshot.files[name]
    return file.sha256 if file.sha256 is not None else sha256_of(source.stream(snapshot, name, 0, file.size))


ADVICE: Mapping[Reason, str] = {
    Reason.SAFE: (
        "nothing; whether a competition admits the model is up to its spec.admission (licence, size, architecture)"
    ),
    Reason.REPOSITORY_NOT_FOUND: "check the spelling of owner/name; for a private repository set HF_TOKEN",
    Reason.REVISION_NOT_FOUND: "name a branch, tag or commit that exists, as owner/name@revision",
    Reason.ACCESS_DENIED: (
        "accept the repository's terms on the hub, or set HF_TOKEN to a token that may read the repository"
    ),
    Reason.NO_SAFETENSORS: (
        "do what the message says; one whole model is needed, at the top of the repository, as model*.safetensors"
    ),
    Reason.CORRUPT_WEIGHTS: (
        "do what the message says; if it names no remedy, save the weights and config.json again from one model "
        "object, and upload all of the files"
    ),
    Reason.CUSTOM_CODE: (
        "remove auto_map and custom code; only architectures that need no code of the repository are loaded"
    ),
    Reason.BAD_CONFIG: "correct what the message names; the configuration has to describe the uploaded weights",
    Reason.BAD_TOKENIZER: (
        "save the tokenizer of the base model again with save_pretrained, from a fast tokenizer that fits vocab_size "
        '(docs/mining.md, "What a tokenizer may be")'
    ),
    Reason.TOO_LARGE: "use a smaller or quantised model, or remove files that do not belong to it",
    Reason.UNSUPPORTED_ARCHITECTURE: "use one of the architectures that the message names",
    Reason.UNSUPPORTED_QUANTIZATION: "use one of the methods that the message names, or plain weights",
    Reason.NON_FINITE_WEIGHTS: (
        "find the training step that made the tensor NaN or infinite, and save an earlier checkpoint"
    ),
    Reason.TEMPLATE_REFUSED: (
        "rewrite the named lines so that they lay out every conversation in the same way "
        '(docs/mining.md, "What a template may do"); without a template the model gets a plain ChatML one'
    ),
    Reason.HUB_UNAVAILABLE: "try again later; check HF_ENDPOINT, proxy and network",
    Reason.FETCH_FAILED: "try again; if it fails again, the message names the file or request that failed",
    Reason.INFRASTRUCTURE_FAULT: "try again on a machine with free memory; the model is not at fault",
}
"""What the model's owner, or the machine's, can do about each reason of a verdict."""

MAX_BYTES = 40_000_000_000
"""Default limit on the total size of files in the operator's chart."""

_VALID_FILES = frozenset({Reason.SAFE, Reason.TEMPLATE_REFUSED})


@dataclass(frozen=True)
class PreflightResult:
    """The verdict on one model."""

    model: str
    """Directory or repository, as the caller named it."""
    reason: Reason
    """Safe, or why the model is not admitted."""
    message: str
    facts: ModelFacts | None
    """None if the weight headers are malformed or could not be read."""
    values_scanned: bool = False
    """Whether all weights were scanned for NaN and infinity."""
    findings: tuple[Finding, ...] = ()
    """Findings in the chat template, the gravest first; empty if an earlier check failed."""

    head_beside_tied: bool = False
    """Whether the weight files have a head, although the configuration ties it to the embeddings."""
    copied_head: bool | None = None
    """Whether that head equals the embeddings; None if the values were not read."""
    file_notes: tuple[str, ...] = ()
    """Which files look like a part of the model and are not read."""
    chat: ChatDescription | None = None
    """What prompts are made with, what ends an answer, and from which files; None if an earlier check failed."""

    @property
    def weight_notes(self) -> tuple[str, ...]:
        """What is unusual about the weights, and no reason to refuse them."""
        return (head_note(equal=self.copied_head),) if self.head_beside_tied else ()

    @property
    def advice(self) -> str:
        """What to do."""
        return ADVICE[self.reason]

    @property
    def exit_code(self) -> int:
        """0 for a safe model, 78 for a fault of the model or of its name, 1 for a fault of the infrastructure."""
        return exit_code(self.reason)


def check_source(source: ModelSource, model: str, *, max_bytes: int = MAX_BYTES) -> PreflightResult:
    """Check a model by its file list, small files and weight headers. Raises OSError if a directory cannot be read."""
    try:
        snapshot = source.resolve()
        inspected = inspect_model(source, snapshot, max_bytes=max_bytes)
        if isinstance(inspected, UnsafeModel):
            return PreflightResult(model, inspected.reason, inspected.message, inspected.facts)
        found = inspected.facts
        findings = tuple(audit_template(source, snapshot))
        chat = describe_chat(source, snapshot, quantized=bool(found.quantization), render=not refusals(findings))
    except FetchError as error:
        return PreflightResult(model, error.reason, error.message, None)
    except SandboxUnavailable as error:
        return PreflightResult(model, Reason.INFRASTRUCTURE_FAULT, str(error), None)
    reason, message = Reason.SAFE, f"files, configuration, tokenizer{_template_part(chat)} weight headers are sound"
    if refusals(findings):
        reason, message = Reason.TEMPLATE_REFUSED, summary(findings)
    return PreflightResult(
        model,
        reason,
        message,
        found,
        findings=findings,
        chat=chat,
        head_beside_tied=inspected.head_beside_tied,
        file_notes=tuple(
            unread_notes(snapshot.sizes, has_template=bool(chat.template), is_quantized=bool(found.quantization))
        ),
    )


def check_directory(path: Path, *, max_bytes: int = MAX_BYTES, scan_values: bool = True) -> PreflightResult:
    """Check a local model, with `scan_values` also its weights' values: they are searched, and described in the facts.

    Raises OSError if a file cannot be read.
    """
    check = check_source(ModelDirectory(path, max_bytes=max_bytes, follow_links=True), str(path), max_bytes=max_bytes)
    if check.reason not in _VALID_FILES or check.facts is None or not scan_values:
        return check
    copied = copies_embeddings(path) if check.head_beside_tied else None
    facts = with_weights(check.facts, path, copied_head=copied is True)
    check = replace(check, values_scanned=True, facts=facts, copied_head=copied)
    bad = non_finite_tensors(path)
    if bad:
        message = f"{len(bad)} tensors hold NaN or infinity, such as {bad[0]}"
        return replace(check, reason=Reason.NON_FINITE_WEIGHTS, message=message)
    if check.reason is Reason.SAFE:
        return replace(check, message=check.message.replace("weight headers", "weights"))
    return check
