"""What small files and weight headers say about a model; no weights are read.

`validate_metadata` is pure; it runs in the child of a sandbox, as `ValidationWorker`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from bitagent_crds.conditions import Reason
from bitagent_evaluator.models.validation.architectures import find_architecture
from bitagent_evaluator.models.validation.card import parse_card_hotkey, parse_card_license
from bitagent_evaluator.models.validation.config import check_windows, reduce_config
from bitagent_evaluator.models.validation.engine_shape import engine_shape
from bitagent_evaluator.models.validation.files import (
    CARD,
    CONFIG,
    GENERATION_CONFIG,
    SPECIAL_TOKENS,
    TOKENIZER_CONFIG,
    ModelMetadata,
    ValidationResult,
    parse_object,
    quote,
    refuse_code,
)
from bitagent_evaluator.models.validation.head import has_head_beside_tied
from bitagent_evaluator.models.validation.memory import memory_shape
from bitagent_evaluator.models.validation.quantization import find_method, method_name, with_settings
from bitagent_evaluator.models.validation.templates import find_templates
from bitagent_evaluator.models.validation.tokenizer import check_tokenizer
from bitagent_evaluator.models.validation.weights import (
    Tensor,
    check_index,
    check_tensors,
    count_parameters,
    expected_checkpoint,
    merge_shards,
    parse_header,
)
from bitagent_evaluator.sandbox.protocol import Refused

_OPTIONAL_FILES = {GENERATION_CONFIG: Reason.BAD_CONFIG, SPECIAL_TOKENS: Reason.BAD_TOKENIZER}
"""Files that an evaluation reads if a model has them, and the reason why it refuses what is not JSON."""


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
    memory: Mapping[str, int] | None = None
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
