"""Validate a model: read its small files and weight headers through any reader, and check them in a sandbox.

Its tokenizer is tried in a second one, because that takes the most memory.

`validate_model` is for the rest of the evaluator. `validate_metadata` is pure; it runs in the sandbox's child, as
`ValidationWorker`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from bitagent_crds.conditions import Reason
from bitagent_crds.minermodel import MemoryShape
from bitagent_evaluator.models.validation.architectures import find_architecture
from bitagent_evaluator.models.validation.config import check_windows, reduce_config
from bitagent_evaluator.models.validation.engine_shape import engine_shape
from bitagent_evaluator.models.validation.files import (
    CARD,
    CARD_BYTES,
    CONFIG,
    GENERATION_CONFIG,
    SPECIAL_TOKENS,
    TOKENIZER_CONFIG,
    ModelMetadata,
    ValidationResult,
    check_file_list,
    directory_files,
    parse_card_hotkey,
    parse_card_license,
    parse_object,
    quote,
    refuse_code,
    require,
    small_files,
    weight_files,
)
from bitagent_evaluator.models.validation.head import has_head_beside_tied
from bitagent_evaluator.models.validation.kinds import ReadRange, check_content, check_kind
from bitagent_evaluator.models.validation.memory import memory_shape
from bitagent_evaluator.models.validation.quantization import find_method, method_name, with_settings
from bitagent_evaluator.models.validation.templates import find_templates
from bitagent_evaluator.models.validation.tokenizer import check_tokenizer
from bitagent_evaluator.models.validation.tokenizer_rules.probes import probe_tokenizer
from bitagent_evaluator.models.validation.weights import (
    LENGTH_BYTES,
    MAX_HEADERS_BYTES,
    Tensor,
    check_index,
    check_tensors,
    count_parameters,
    expected_checkpoint,
    header_bytes,
    merge_shards,
    parse_header,
)
from bitagent_evaluator.sandbox.process import InputFault, Sandbox
from bitagent_evaluator.sandbox.protocol import Limits, Refused

_WORKER = "bitagent_evaluator.models.validation.validate:ValidationWorker"
_LIMITS = Limits(memory_bytes=384 << 20, cpu_seconds=24.0, answer_bytes=16 << 20)
"""A valid tokenizer of 23 MB (256,000 tokens, 560,000 merges) takes 294 MB and two seconds, the headers of a Qwen3
(A22B) in GPTQ fit in 352 MB and take six to eleven seconds. A tokenizer of empty objects would take a gigabyte."""
_FIRST_READ_BYTES = 64 << 10
"""Most headers fit in the first read; a longer one takes a second."""

_OPTIONAL_FILES = {GENERATION_CONFIG: Reason.BAD_CONFIG, SPECIAL_TOKENS: Reason.BAD_TOKENIZER}
"""Files that an evaluation reads if a model has them, and the reason why it refuses what is not JSON."""


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
    refused, memory = answer.pop("refusal"), answer.pop("memory")
    result = ValidationResult(
        (Reason(refused[0]), refused[1]) if refused else None,
        **answer,
        memory=MemoryShape.model_validate(memory) if memory else None,
    )
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


class ValidationWorker:
    """Worker of the sandbox for requests `{"sizes": {...}, "weights": [names of the blobs that are headers]}`."""

    def handle(self, body: dict[str, Any], blobs: Mapping[str, bytes]) -> dict[str, Any]:
        """Return the result as JSON types."""
        weights = set(body["weights"])
        metadata = ModelMetadata(
            sizes=body["sizes"],
            small={name: blob for name, blob in blobs.items() if name not in weights},
            headers={name: blob for name, blob in blobs.items() if name in weights},
        )
        result = validate_metadata(metadata)
        return {
            **result.__dict__,
            "refusal": list(result.refusal) if result.refusal else None,
            "memory": result.memory.to_wire() if result.memory else None,
        }


def validate_metadata(metadata: ModelMetadata) -> ValidationResult:
    """Return what small files and headers say about a model. Raises only if time or memory runs out."""
    facts = _Facts()
    refusal = None
    try:
        _check(metadata, facts)
    except Refused as error:
        refusal = (Reason(error.reason), error.message)
    return ValidationResult(
        refusal,
        architecture=facts.architecture,
        parameters=facts.parameters,
        quantization=facts.quantization,
        license=parse_card_license(metadata.small.get(CARD, b"")),
        card_hotkey=parse_card_hotkey(metadata.small.get(CARD, b"")),
        template_digest=facts.template_digest,
        tokenizer_digest=facts.tokenizer_digest,
        config=facts.config if refusal is None else None,
        memory=facts.memory if refusal is None else None,
        engine_shape=facts.engine_shape if refusal is None else None,
        head_beside_tied=facts.head_beside_tied,
    )


@dataclass
class _Facts:
    """Facts established before a refusal; refused models are reported with them."""

    architecture: str = ""
    parameters: int | None = None
    quantization: str = ""
    template_digest: str | None = None
    tokenizer_digest: str | None = None
    config: dict[str, Any] | None = None
    memory: MemoryShape | None = None
    engine_shape: str | None = None
    head_beside_tied: bool = False


def _check(metadata: ModelMetadata, facts: _Facts) -> None:
    """Fill in the facts first, then make every check. Raises Refused."""
    small = metadata.small
    config = parse_object(CONFIG, small[CONFIG], Reason.BAD_CONFIG)
    facts.architecture = _architecture_name(config)
    facts.quantization = _quantization_name(config)
    try:
        shards = _shards(metadata)
        tensors = merge_shards(shards)
        config, _ = with_settings(config, small, tensors)
        facts.quantization = _quantization_name(config)
        facts.parameters = count_parameters(tensors, config)
    except Refused:
        # What kind of model it is explains most, and comes before what is wrong with its weights.
        find_method(config)
        raise
    check_index(small, shards)
    tokenizer_config = parse_object(TOKENIZER_CONFIG, small[TOKENIZER_CONFIG], Reason.BAD_TOKENIZER)
    facts.template_digest = find_templates(small, tokenizer_config).digest
    for name, reason in _OPTIONAL_FILES.items():
        if name in small:
            parse_object(name, small[name], reason)

    refuse_code(CONFIG, config)
    architecture = find_architecture(config)
    method = find_method(config)
    known = reduce_config(config, architecture)
    check_windows(known, architecture)
    check_tensors(tensors, expected_checkpoint(architecture.expected_tensors(known), method, config))
    facts.tokenizer_digest = check_tokenizer(small, known["vocab_size"], architecture.tokens_beyond)
    facts.config = {"architectures": [architecture.name], "model_type": architecture.model_type, **known}
    if method is not None:
        facts.config["quantization_config"] = method.reduce(config["quantization_config"])
    elif known.get("dtype") == "float32":
        facts.config["dtype"] = _stored_dtype(tensors)
    facts.memory = memory_shape(tensors, facts.config)
    facts.engine_shape = engine_shape(tensors, facts.config)
    facts.head_beside_tied = has_head_beside_tied(tensors, facts.config)


def _shards(metadata: ModelMetadata) -> dict[str, dict[str, Tensor]]:
    """Return the tensors of each weight file. Raises Refused."""
    return {name: parse_header(name, data, metadata.sizes[name]) for name, data in sorted(metadata.headers.items())}


def _stored_dtype(tensors: Mapping[str, Tensor]) -> str:
    """Return the dtype to load weights in that the configuration calls float32.

    Weights stored in 16 bits would fill twice the memory that their size suggests.
    """
    stored = {tensor.dtype for tensor in tensors.values()} - {"F32"}
    return "float32" if not stored else "float16" if stored == {"F16"} else "bfloat16"


def _architecture_name(config: dict[str, Any]) -> str:
    named = config.get("architectures")
    first = named[0] if isinstance(named, list) and named else ""
    return quote(first)[1:-1] if isinstance(first, str) and first else ""


def _quantization_name(config: dict[str, Any]) -> str:
    name = method_name(config)
    return quote(name)[1:-1] if name else ""
