"""Validate a model: read its small files and weight headers through any reader, and check them in a sandbox.

Its tokenizer is tried in a second one, because that takes the most memory.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from bitagent_crds.conditions import Reason
from bitagent_evaluator.models.validation.card import CARD_BYTES
from bitagent_evaluator.models.validation.files import (
    CARD,
    ModelMetadata,
    ValidationResult,
    check_file_list,
    directory_files,
    require,
    small_files,
    weight_files,
)
from bitagent_evaluator.models.validation.kinds import ReadRange, check_content, check_kind
from bitagent_evaluator.models.validation.tokenizer_rules.probes import probe_tokenizer
from bitagent_evaluator.models.validation.weights import LENGTH_BYTES, MAX_HEADERS_BYTES, header_bytes
from bitagent_evaluator.sandbox.process import InputFault, Sandbox
from bitagent_evaluator.sandbox.protocol import Limits, Refused

_WORKER = "bitagent_evaluator.models.validation.facts:ValidationWorker"
_LIMITS = Limits(memory_bytes=384 << 20, cpu_seconds=24.0, answer_bytes=16 << 20)
"""A valid tokenizer of 23 MB (256,000 tokens, 560,000 merges) takes 294 MB and two seconds, the headers of a Qwen3
(A22B) in GPTQ fit in 352 MB and take six to eleven seconds. A tokenizer of empty objects would take a gigabyte."""
_FIRST_READ_BYTES = 64 << 10
"""Most headers fit in the first read; a longer one takes a second."""


def validate_model(sizes: Mapping[str, int], read: ReadRange, *, max_bytes: int) -> ValidationResult:
    """Return the facts about a model, and whether it may be fetched and loaded.

    `sizes` are those of all its files, `max_bytes` is the largest total of the files that are fetched. Raises
    SandboxUnavailable, and what `read` raises.
    """
    try:
        check_kind(sizes, read)
        check_file_list(sizes, max_bytes)
        metadata = read_metadata(sizes, read)
    except Refused as error:
        return ValidationResult((Reason(error.reason), error.message))
    request = {"sizes": dict(sizes), "weights": list(metadata.headers)}
    try:
        with Sandbox(_WORKER, _LIMITS) as sandbox:
            answer = sandbox.call(request, {**metadata.small, **metadata.headers})
    except InputFault as error:
        message = f"reading the configuration, tokenizer and weight headers {error.message}"
        return ValidationResult((Reason.BAD_CONFIG, message))
    refused = answer.pop("refusal")
    result = ValidationResult((Reason(refused[0]), refused[1]) if refused else None, **answer)
    refusal = probe_tokenizer(metadata.small) if result.refusal is None else None
    return result if refusal is None else replace(result, refusal=refusal, config=None, memory=None, engine_shape=None)


def validate_directory(directory: Path, *, max_bytes: int) -> ValidationResult:
    """Validate the model in a local directory. Raises SandboxUnavailable, and OSError if a file cannot be read."""

    def read(name: str, start: int, length: int) -> bytes:
        with (directory / name).open("rb") as file:
            file.seek(start)
            return file.read(length)

    return validate_model(directory_files(directory), read, max_bytes=max_bytes)


def read_metadata(sizes: Mapping[str, int], read: ReadRange) -> ModelMetadata:
    """Read small files and weight headers. Refuses headers of absurd sizes before they are read (CorruptWeights)."""
    small = {name: read(name, 0, sizes[name]) for name in small_files(sizes)}
    for name, content in small.items():
        check_content(name, content, sizes[name])
    if 0 < sizes.get(CARD, 0) <= CARD_BYTES:
        small[CARD] = read(CARD, 0, sizes[CARD])
    headers: dict[str, bytes] = {}
    for name in weight_files(sizes):
        headers[name] = _read_header(name, sizes[name], read)
        total = sum(map(len, headers.values()))
        require(
            total <= MAX_HEADERS_BYTES,
            Reason.CORRUPT_WEIGHTS,
            f"the weight headers have more than {MAX_HEADERS_BYTES} bytes",
        )
    return ModelMetadata(sizes, small, headers)


def _read_header(name: str, size: int, read: ReadRange) -> bytes:
    first = read(name, 0, min(size, _FIRST_READ_BYTES))
    check_content(name, first, size)
    end = header_bytes(name, first[:LENGTH_BYTES], size)
    return first[:end] if end <= len(first) else first + read(name, len(first), end - len(first))
