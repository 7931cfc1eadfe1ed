"""Models of another kind than a whole model in safetensors, recognised before their content is read.

An adapter, a GGUF file or a checkpoint in a sub-folder is sound, and still nothing that an engine can load as it lies
there. Each is refused by what it is, with what its owner can do.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from pathlib import PurePosixPath
from typing import NamedTuple

from bitagent_crds.conditions import Reason
from bitagent_evaluator.models.validation.files import (
    INDEX,
    SPECIAL_TOKENS,
    TOKENIZER,
    TOKENIZER_CONFIG,
    is_weight_file,
    parse_object,
    quote,
    require,
    weight_files,
)
from bitagent_evaluator.sandbox.protocol import Refused

ReadRange = Callable[[str, int, int], bytes]
"""`read(name, start, length)` returns so many bytes of a file, fewer at its end."""

ADAPTER_CONFIG = "adapter_config.json"
_ADAPTER = re.compile(r"adapter_(config\.json|model\.(safetensors|bin))")
_ADAPTER_CONFIG_BYTES = 64 << 10
_SAVE = "load it with transformers and save it with save_pretrained, which writes model*.safetensors"


class _Kind(NamedTuple):
    """A kind of weights, by the names of its files."""

    names: re.Pattern[str]
    what: str
    remedy: str


_KINDS = (
    _Kind(
        re.compile(r".*\.(incomplete|crdownload|part|partial|download|aria2|opdownload)"),
        "is a download that has not ended",
        "download it again until its name has no such ending, and upload that",
    ),
    _Kind(
        re.compile(r".*\.safetensors\.?(part[-_]?[a-z0-9]{1,8}|[0-9]{2,3}|[a-z]{2})"),
        "is a part of a file that was cut",
        "join the parts in their order (`cat model.safetensors.* > model.safetensors`), and upload that",
    ),
    _Kind(
        re.compile(r".*\.(gguf|ggml)"),
        "is a GGUF file of llama.cpp",
        "upload the model that it was converted from, in safetensors",
    ),
    _Kind(
        re.compile(r"consolidated[^/]*\.(safetensors|pth|pt)"),
        "has the weights under the names of Mistral's or Meta's own code",
        "convert them with the script of transformers (convert_*_weights_to_hf.py), and upload model*.safetensors",
    ),
    _Kind(
        re.compile(r"output(-\d{5}-of-\d{5})?\.safetensors"),
        "has weights of EXL2 or EXL3, which only exllama reads",
        "upload the model that was quantised, or quantise it by a method of docs/formats.md",
    ),
    _Kind(
        re.compile(r"rank\d+\.safetensors"),
        "is a checkpoint of TensorRT-LLM",
        "upload the model that it was converted from",
    ),
    _Kind(
        re.compile(r".*\.distcp"),
        "is a part of a distributed checkpoint of PyTorch (FSDP)",
        "merge the parts (`accelerate merge-weights FOLDER OUT`), and upload model*.safetensors",
    ),
    _Kind(
        re.compile(r"(bf16_)?zero_pp_rank_.*\.pt|mp_rank_\d+_model_states\.pt"),
        "is a checkpoint of DeepSpeed",
        "run the zero_to_fp32.py that lies beside it, with --safe_serialization, and upload model*.safetensors",
    ),
    _Kind(
        re.compile(r".*\.(zip|tar|tgz|tar\.(gz|bz2|xz|zst)|7z|rar)"),
        "is an archive",
        "upload the files in it one by one",
    ),
    _Kind(re.compile(r".*\.onnx(_data)?"), "is an ONNX graph", "upload the model that it was exported from"),
    _Kind(re.compile(r".*\.(h5|msgpack|tflite|mlmodel|mlpackage|engine|npz)"), "is of another framework", _SAVE),
    _Kind(
        re.compile(r"(optimizer|scheduler|rng_state.*|training_args)\.(bin|pt|pth)"),
        "belongs to the trainer, not to the model",
        "upload the model itself: trainer.save_model(...) writes model*.safetensors",
    ),
    _Kind(
        re.compile(r".*\.(bin|pt|pth|ckpt|pkl|pickle)"),
        "is a pickle, which can run code and is never loaded",
        _SAVE.replace("save_pretrained", "save_pretrained(..., safe_serialization=True)"),
    ),
)
"""Kinds of weights that are not loaded, in the order in which they are looked for; `Kind.names` match a file's name."""


def check_kind(sizes: Mapping[str, int], read: ReadRange) -> None:
    """Refuse files that hold no whole model in safetensors, by what they are (NoSafetensors).

    `sizes` are those of all files, by path. Raises Refused, and what `read` raises.
    """
    if weight_files(sizes):
        return
    message = _adapter(sizes, read) or _subfolder(sizes) or _other_kind(sizes) or _other_name(sizes)
    if message is None:
        message = f"there is no model.safetensors among the {len(sizes)} files: {_SAVE}"
    raise Refused(Reason.NO_SAFETENSORS, message)


def _adapter(sizes: Mapping[str, int], read: ReadRange) -> str | None:
    if not any(_ADAPTER.fullmatch(name) for name in sizes):
        return None
    base = ""
    if 0 < sizes.get(ADAPTER_CONFIG, 0) <= _ADAPTER_CONFIG_BYTES:
        try:
            content = parse_object(ADAPTER_CONFIG, read(ADAPTER_CONFIG, 0, sizes[ADAPTER_CONFIG]), Reason.BAD_CONFIG)
        except Refused:
            content = {}
        named = content.get("base_model_name_or_path")
        base = f" of {quote(named)[1:-1]}" if isinstance(named, str) and named else ""
    return (
        f"this is an adapter{base} alone, and only whole models are evaluated: merge it into its base "
        "(PeftModel.merge_and_unload()), and upload what save_pretrained writes"
    )


def _subfolder(sizes: Mapping[str, int]) -> str | None:
    paths = [PurePosixPath(name) for name in sizes]
    folders = sorted({str(path.parent) for path in paths if len(path.parts) > 1 and is_weight_file(path.name)})
    if not folders:
        return None
    more = f", {quote(folders[1])}" if len(folders) > 1 else ""
    return (
        f"the weights lie in the folder {quote(folders[0])}{more}, and only the top of a repository is read: move one "
        f"folder's files up, or name that folder as the model"
    )


def _other_kind(sizes: Mapping[str, int]) -> str | None:
    for kind in _KINDS:
        found = _first(sizes, kind.names)
        if found is not None:
            return f"there is no model.safetensors; {quote(found)} {kind.what}: {kind.remedy}"
    return None


def _other_name(sizes: Mapping[str, int]) -> str | None:
    found = _first(sizes, re.compile(r".*\.safetensors"))
    if found is None:
        return None
    index = f", or shards with {INDEX}" if "-of-" in found else ""
    return (
        f"there is no model.safetensors; the weights are called {quote(found)}: rename it to model.safetensors{index}"
    )


def _first(names: Iterable[str], pattern: re.Pattern[str]) -> str | None:
    """Return the first name that matches, those at the top before those in folders; None without one."""
    found = [name for name in names if pattern.fullmatch(PurePosixPath(name).name)]
    return min(found, key=lambda name: (name.count("/"), name), default=None)


_POINTERS = (b"version https://git-lfs.github.com/spec/", b"# xet version ")
_POINTER_BYTES = 1024
_PAGES = (b"<!doctype html", b"<html")
_CONTENTS: Mapping[bytes, str] = {
    b"GGUF": "a GGUF file of llama.cpp; upload the model that it was converted from, in safetensors",
    b"PK\x03\x04": f"a pickle of PyTorch under another name; {_SAVE}",
    b"\x80\x02": f"a pickle under another name; {_SAVE}",
    b"\x80\x04": f"a pickle under another name; {_SAVE}",
    b"\x80\x05": f"a pickle under another name; {_SAVE}",
    b"\x89HDF": f"an HDF5 file of Keras; {_SAVE}",
    b"\x1f\x8b": "compressed with gzip; upload it uncompressed",
    b"\x28\xb5\x2f\xfd": "compressed with zstd; upload it uncompressed",
    b"\xfd7zXZ": "compressed with xz; upload it uncompressed",
    b"\x93NUMPY": f"an array of NumPy; {_SAVE}",
}
"""What a file with these first bytes is, and the remedy."""


_PACKED: Mapping[bytes, str] = {
    b"\x1f\x8b": "compressed with gzip",
    b"PK\x03\x04": "a zip archive",
    b"\x28\xb5\x2f\xfd": "compressed with zstd",
    b"BZh": "compressed with bzip2",
    b"\xfd7zXZ": "compressed with xz",
}
"""What a small file, which is a text, is by its first bytes."""


_AGAIN = "download it again, and upload the whole file"
_EMPTY_BYTES = 64
_TEXT = re.compile(rb"[\t\n\r\x20-\x7e]{8,}")


def _text_at_start(first: bytes) -> str:
    """Return the text with which a weight file begins, such as a server's message that was saved; empty without one.

    Eight letters are a header's length of more than 10^17 bytes.
    """
    found = _TEXT.match(first)
    return found[0][:_EMPTY_BYTES].decode() if found is not None else ""


def _reason(name: str) -> Reason:
    if weight_files([name]) or name == INDEX:
        return Reason.CORRUPT_WEIGHTS
    return Reason.BAD_TOKENIZER if name in (TOKENIZER, TOKENIZER_CONFIG, SPECIAL_TOKENS) else Reason.BAD_CONFIG


def check_content(name: str, first: bytes, size: int) -> None:
    """Refuse a file that by its first bytes is something else: a pointer, a web page, weights of another kind.

    The reason is that of the file: CorruptWeights, BadConfig or BadTokenizer. `size` is that of the whole file.
    """
    reason = _reason(name)
    pointer = size <= _POINTER_BYTES and first.startswith(_POINTERS)
    message = f"{name} is a Git LFS pointer ({size} bytes), not the file: run `git lfs pull`, and upload the file"
    require(not pointer, reason, message)
    page = first[:64].lstrip().lower().startswith(_PAGES)
    require(not page, reason, f"{name} is a web page, not the file: download it again")
    packed = next((what for magic, what in _PACKED.items() if first.startswith(magic)), None)
    require(packed is None or bool(weight_files([name])), reason, f"{name} is {packed}; upload it uncompressed")
    if weight_files([name]):
        text = _text_at_start(first)
        require(not text, reason, f"{name} begins with the text {quote(text)}, not with weights: {_AGAIN}")
        empty = size > _EMPTY_BYTES and not any(first[:_EMPTY_BYTES])
        require(not empty, reason, f"{name} begins with zeros, where a download has not written yet: {_AGAIN}")
        for magic, what in _CONTENTS.items():
            # A safetensors file of such a header length is possible; its first brace is what tells them apart.
            require(not first.startswith(magic) or first[8:9] == b"{", reason, f"{name} is {what}")
