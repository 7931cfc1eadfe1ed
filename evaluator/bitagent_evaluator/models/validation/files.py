"""The files of a repository that are fetched; input and result of their validation, and how a check refuses them.

Pickles, code and everything unknown are never fetched.
"""

from __future__ import annotations

import codecs
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, islice
from pathlib import Path
from typing import Any

from bitagent_crds.conditions import Reason
from bitagent_evaluator.sandbox.protocol import Refused
from bitagent_evaluator.support.text import mask_unprintable, shorten

_CODE_MEMBERS = ("auto_map", "custom_pipelines")
"""Members that name Python code of the repository."""


@dataclass(frozen=True)
class ModelMetadata:
    """A model's files without the weights."""

    sizes: Mapping[str, int]
    """Size in bytes of every file, by path."""
    small: Mapping[str, bytes]
    """Contents of the small files, by name."""
    headers: Mapping[str, bytes]
    """The start of every weight file: length field and header, or less if the file ends within them."""


@dataclass(frozen=True)
class ValidationResult:
    """Facts about a model, and whether it may be fetched and loaded."""

    refusal: tuple[Reason, str] | None
    """Reason and message of a refusal; None for a model that may be fetched and loaded."""
    architecture: str = ""
    parameters: int | None = None
    """Number of parameters; None if the weight headers are malformed."""
    quantization: str = ""
    license: str = ""
    card_hotkey: str | None = None
    """Hotkey that the model card names as the owner's; None without one."""
    template_digest: str | None = None
    tokenizer_digest: str | None = None
    """Digest of the tokenizer; None if it was not checked or is not by the rules."""
    config: Mapping[str, Any] | None = None
    """The configuration, reduced to members that are known and were checked; None after a refusal."""
    memory: Mapping[str, int] | None = None
    """Fields of the MemoryShape, which decides the need of memory; None after a refusal."""
    engine_shape: str | None = None
    """What an engine is built for; None if weights are never exchanged in it, and after a refusal."""
    head_beside_tied: bool = False
    """Whether the weight files have a head, although the configuration ties it to the embeddings."""


def require(condition: object, reason: Reason, message: str) -> None:
    """Refuse the model with `reason` unless `condition` holds. Raises Refused."""
    if not condition:
        raise Refused(reason, message)


def quote(value: object, limit: int = 60) -> str:
    """Return an untrusted value as messages show it: printable, and of at most `limit` characters."""
    return shorten(mask_unprintable(repr(value) if isinstance(value, str) else str(value)), limit)


def parse_object(name: str, data: bytes, reason: Reason, *, unique: bool = False) -> dict[str, Any]:
    """Return the JSON object in a small file. Refuses anything else with `reason`.

    With `unique` also objects with the same member twice, of which readers take one or the other.
    """

    def distinct(members: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(members)
        require(len(found) == len(members), reason, f"{name} has an object with the same member twice")
        return found

    # As text: from bytes Python would accept UTF-16, which no other reader does.
    text = decode_text(name, data, reason)
    require(text.strip(), reason, f"{name} is empty: download or upload it again")
    begins = f" (it begins with {quote(text.lstrip()[:40])})" if text.lstrip()[0] not in "{[" else ""
    try:
        value = json.loads(text, object_pairs_hook=distinct if unique else None)
    except json.JSONDecodeError as error:
        where = f"line {error.lineno}, column {error.colno}"
        hint = " (a comma too many before it?)" if error.doc[error.pos : error.pos + 1] in {"}", "]"} else ""
        raise Refused(reason, f"{name} is not JSON: {where}: {error.msg}{hint}{begins}") from None
    except (ValueError, RecursionError) as error:
        raise Refused(reason, f"{name} is not JSON ({type(error).__name__})") from None
    require(isinstance(value, dict), reason, f"{name} is not a JSON object")
    content: dict[str, Any] = value
    return content


_BYTE_ORDER_MARKS = {codecs.BOM_UTF8: "UTF-8", codecs.BOM_UTF16_LE: "UTF-16", codecs.BOM_UTF16_BE: "UTF-16"}


def decode_text(name: str, data: bytes, reason: Reason) -> str:
    """Return a small file's text. Refuses a byte-order mark and anything but UTF-8 with `reason`."""
    for mark, encoding in _BYTE_ORDER_MARKS.items():
        message = f"{name} begins with a byte-order mark ({encoding}): save it as UTF-8 without one"
        require(not data.startswith(mark), reason, message)
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        raise Refused(reason, f"{name} is not UTF-8: byte {error.start} is {data[error.start]:#04x}") from None


def refuse_code(name: str, content: Mapping[str, Any]) -> None:
    """Refuse a file that names Python code of the repository (CustomCode)."""
    for key in _CODE_MEMBERS:
        require(
            key not in content,
            Reason.CUSTOM_CODE,
            f"{name} has {key}: code of the repository is never run; use an architecture that the engine knows",
        )


MB = 1 << 20

CONFIG = "config.json"
GENERATION_CONFIG = "generation_config.json"
TOKENIZER = "tokenizer.json"
TOKENIZER_CONFIG = "tokenizer_config.json"
SPECIAL_TOKENS = "special_tokens_map.json"
TEMPLATE = "chat_template.jinja"
TEMPLATE_JSON = "chat_template.json"
ADDITIONAL_TEMPLATES = "additional_chat_templates"
"""Folder of further templates, `NAME.jinja`; the only folder of a repository that is read."""
QUANTIZE_CONFIG = "quantize_config.json"
QUANT_CONFIG = "quant_config.json"
INDEX = "model.safetensors.index.json"
CARD = "README.md"

SMALL_FILES: Mapping[str, int] = {
    CONFIG: 64 << 10,
    GENERATION_CONFIG: 16 << 10,
    TOKENIZER: 36 * MB,
    TOKENIZER_CONFIG: 4 * MB,
    SPECIAL_TOKENS: 64 << 10,
    TEMPLATE: 64 << 10,
    TEMPLATE_JSON: 128 << 10,
    QUANTIZE_CONFIG: 64 << 10,
    QUANT_CONFIG: 64 << 10,
    INDEX: 24 * MB,
}
"""Largest size in bytes of each small file; further templates have that of TEMPLATE.

The largest tokenizers are those of Gemma 2 and 3, with 34 MB as transformers writes them. One of 50 MB costs an engine
a minute and two gigabytes before it reports anything. An index has some 90 bytes for each tensor, 13 MB for a Qwen3
(A22B) in GPTQ.
"""

REQUIRED = (CONFIG, TOKENIZER, TOKENIZER_CONFIG)
MAX_FILES = 10_000
MAX_SHARDS = 64
MAX_ADDITIONAL_TEMPLATES = 16

_SHARD = re.compile(r"(model|model\.safetensors)-([0-9]{5})-of-([0-9]{5,6})\.safetensors")
"""Beside transformers' usual names those of Qwen3.5 and of DeepSeek-V3: engines open what the index names."""
_ADDITIONAL_TEMPLATE = re.compile(rf"{ADDITIONAL_TEMPLATES}/([A-Za-z0-9_-][A-Za-z0-9_.-]{{0,63}})\.jinja")
_SINGLE = "model.safetensors"


def is_weight_file(name: str) -> bool:
    """Whether a file is read as weights, by its name; in a folder none is."""
    return name == _SINGLE or _SHARD.fullmatch(name) is not None


def weight_files(names: Iterable[str]) -> list[str]:
    """Return the weight files among `names`, sorted."""
    return sorted(name for name in names if is_weight_file(name))


def additional_template_name(name: str) -> str | None:
    """Return the name of the template that a file of ADDITIONAL_TEMPLATES holds; None for any other file."""
    found = _ADDITIONAL_TEMPLATE.fullmatch(name)
    return found[1] if found else None


def small_file_bytes(name: str) -> int | None:
    """Return the largest size of a small file; None for a file that is none."""
    return SMALL_FILES[TEMPLATE] if additional_template_name(name) is not None else SMALL_FILES.get(name)


def small_files(names: Iterable[str]) -> list[str]:
    """Return the small files among `names`, sorted."""
    return sorted(name for name in names if small_file_bytes(name) is not None)


def fetched_files(names: Iterable[str]) -> list[str]:
    """Return the files among `names` that are fetched, sorted."""
    return sorted(name for name in names if small_file_bytes(name) is not None or is_weight_file(name))


_WEIGHT_SUFFIXES = frozenset({".safetensors", ".gguf", ".bin", ".pt", ".pth", ".onnx", ".distcp"})


def directory_files(directory: Path, *, follow_links: bool = True) -> dict[str, int]:
    """Return the sizes in bytes of a directory's files by path, as a repository's list has them.

    Of folders only templates and files with the suffix of weights count, at most two levels down and MAX_FILES in all:
    weights there are not read, but named. Raises OSError.
    """
    found: dict[str, int] = {}
    patterns = ("*", "*/*", "*/*/*")
    for path in islice(chain.from_iterable(directory.glob(pattern) for pattern in patterns), 4 * MAX_FILES):
        name = path.relative_to(directory).as_posix()
        deep = "/" in name
        if (deep and (name.startswith(".") or "/." in name)) or not path.is_file():
            continue
        linked = any(part.is_symlink() for part in (path, *path.parents[: name.count("/")]))
        counts = not deep or small_file_bytes(name) is not None or path.suffix in _WEIGHT_SUFFIXES
        if counts and (follow_links or not linked):
            found[name] = path.stat().st_size
        if len(found) > MAX_FILES:
            break
    return found


_OTHER_TOKENIZERS = ("tokenizer.model", "tekken.json", "vocab.json", "tiktoken.model", "spiece.model")
"""Files of tokenizers in forms that are not read."""


def check_file_list(sizes: Mapping[str, int], max_bytes: int) -> None:
    """Refuse a repository by its file list alone (NoSafetensors, BadConfig, BadTokenizer, TooLarge)."""
    shards = weight_files(sizes)
    require(shards, Reason.NO_SAFETENSORS, "the repository has no model.safetensors: save it as safetensors")
    require(len(shards) <= MAX_SHARDS, Reason.TOO_LARGE, f"{len(shards)} weight files, allowed {MAX_SHARDS}")
    _check_shards(shards)
    for name in REQUIRED:
        reason = Reason.BAD_CONFIG if name == CONFIG else Reason.BAD_TOKENIZER
        other = next((other for other in _OTHER_TOKENIZERS if name == TOKENIZER and other in sizes), "")
        hint = f"; {quote(other)} is not read: save a fast tokenizer, which writes {name}" if other else ""
        require(name in sizes, reason, f"{name} is missing{hint}")
    for name in small_files(sizes):
        reason = Reason.BAD_TOKENIZER if name.startswith(("tokenizer", "special")) else Reason.BAD_CONFIG
        limit = small_file_bytes(name) or 0
        require(sizes[name] <= limit, reason, f"{name} has {sizes[name]} bytes, allowed {limit}")
    templates = sum(additional_template_name(name) is not None for name in sizes)
    message = f"{ADDITIONAL_TEMPLATES} has {templates} templates, allowed {MAX_ADDITIONAL_TEMPLATES}"
    require(templates <= MAX_ADDITIONAL_TEMPLATES, Reason.BAD_CONFIG, message)
    total = sum(sizes[name] for name in fetched_files(sizes))
    require(total <= max_bytes, Reason.TOO_LARGE, f"the files have {total} bytes, allowed {max_bytes}")


def _check_shards(names: Sequence[str]) -> None:
    """Refuse weight files that are not one whole upload (CorruptWeights)."""
    numbers: dict[tuple[str, str], set[int]] = {}
    for name in names:
        if found := _SHARD.fullmatch(name):
            numbers.setdefault((found[1], found[3]), set()).add(int(found[2]))
    sharded = [name for name in names if name != _SINGLE]
    if sharded and _SINGLE in names:
        message = f"{_SINGLE} lies beside {sharded[0]}: engines take one or the other; delete the one that is left over"
        raise Refused(Reason.CORRUPT_WEIGHTS, f"{message} ({_SINGLE}, or the shards and {INDEX})")
    uploads = " and ".join(f"{stem}-…-of-{count}" for stem, count in sorted(numbers))
    message = f"the shards are those of {len(numbers)} uploads ({uploads}): delete those that are left over"
    require(len(numbers) <= 1, Reason.CORRUPT_WEIGHTS, message)
    for (stem, count), present in numbers.items():
        missing = [number for number in range(1, min(int(count), MAX_SHARDS) + 1) if number not in present]
        if missing:
            first = f"{stem}-{missing[0]:05}-of-{count}.safetensors"
            more = f" and {len(missing) - 1} more" if len(missing) > 1 else ""
            verb = "are" if more else "is"
            raise Refused(Reason.CORRUPT_WEIGHTS, f"{first}{more} {verb} missing: upload all {int(count)} shards")
