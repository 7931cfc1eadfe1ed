"""What a resolved revision is and whether it is safe, from its file list, small files and weight headers: no weights are downloaded.

The fetch Job decides by this, and `bitagent-eval check` shows it to people.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from bitagent_crds.conditions import Reason
from bitagent_crds.minermodel import ModelFacts
from bitagent_evaluator.hub.retries import retried
from bitagent_evaluator.hub.source import Snapshot, Source, digest_of_files, sha256_of
from bitagent_evaluator.safety.audit.finding import Finding
from bitagent_evaluator.safety.audit.inspect import FILES, audit_files
from bitagent_evaluator.safety.evidence import Judgement
from bitagent_evaluator.safety.inspect import inspect
from bitagent_evaluator.safety.selection import fetched_files, weight_files


@dataclass(frozen=True)
class Unsafe:
    """A model that is not fetched."""

    reason: Reason
    message: str
    facts: ModelFacts | None
    """None when the weight headers are not sound."""


def examine(source: Source, snapshot: Snapshot, *, max_bytes: int) -> ModelFacts | Unsafe:
    """The facts of a model that may be fetched and loaded, or why it may not. Raises FetchError and bounded.ChildLost."""
    judgement = inspect(snapshot.sizes, _reader(source, snapshot), max_bytes=max_bytes)
    facts = _facts(source, snapshot, judgement)
    if judgement.refusal is not None or facts is None:
        reason, message = judgement.refusal or (Reason.CORRUPT_WEIGHTS, "the weight headers are not sound")
        return Unsafe(reason, message, facts)
    return facts


def audit_template(source: Source, snapshot: Snapshot) -> list[Finding]:
    """What the audit finds in the chat template of a model that may be loaded. Raises FetchError and bounded.ChildLost."""
    read = _reader(source, snapshot)
    return audit_files({name: read(name, 0, snapshot.files[name].size) for name in FILES if name in snapshot.files})


def _reader(source: Source, snapshot: Snapshot) -> Callable[[str, int, int], bytes]:
    def read(name: str, start: int, length: int) -> bytes:
        end = min(start + length, snapshot.files[name].size)
        return retried(lambda: b"".join(source.stream(snapshot, name, start, end)), f"reading {name}")

    return read


def _facts(source: Source, snapshot: Snapshot, judgement: Judgement) -> ModelFacts | None:
    """Facts for a repository whose weight headers are sound. Weights whose digest the repository does not state are read to hash them."""
    if judgement.parameters is None:
        return None
    digests = {name: _digest(source, snapshot, name) for name in weight_files(snapshot.files)}
    return ModelFacts(
        commit=snapshot.commit,
        size_bytes=sum(snapshot.files[name].size for name in fetched_files(snapshot.files)),
        parameters=judgement.parameters,
        architecture=judgement.architecture,
        license=snapshot.license or judgement.license,
        quantization=judgement.quantization,
        weights_digest=digest_of_files(digests),
        template_digest=judgement.template_digest,
    )


def _digest(source: Source, snapshot: Snapshot, name: str) -> str:
    file = snapshot.files[name]
    if file.sha256 is not None:
        return file.sha256
    return retried(lambda: sha256_of(source.stream(snapshot, name, 0, file.size)), f"hashing {name}")
