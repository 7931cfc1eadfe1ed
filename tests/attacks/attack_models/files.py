"""Checkpoints: copies of a tiny model with changes, and Llama models whose weights are written by hand."""

from __future__ import annotations

import json
import shutil
import struct
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

MODELS = Path(__file__).parents[3] / "local" / "models"
BASE = MODELS / "tiny-fc-250"
"""The model that most attacks are made of."""
GOOD = MODELS / "tiny-fc-400"
"""A better one."""
WEIGHTS, INDEX, TOKENIZER, TEMPLATE = (
    "model.safetensors",
    "model.safetensors.index.json",
    "tokenizer.json",
    "chat_template.jinja",
)
Json = dict[str, Any]
Floats = npt.NDArray[np.float32]
Change = Callable[[Any], Any]


def copied(folder: Path, base: Path = BASE) -> Path:
    """Copy a model to a folder, and return the folder."""
    shutil.copytree(base, folder, copy_function=shutil.copyfile)
    return folder


def edit(folder: Path, name: str, change: Change) -> None:
    """Replace a JSON file by what `change` makes of it."""
    path = folder / name
    path.write_text(json.dumps(change(json.loads(path.read_text()))))


def with_tokenizer(folder: Path, **changes: Any) -> Path:
    """Copy the base and change members of its tokenizer."""
    edit(copied(folder), TOKENIZER, lambda content: {**content, **changes})
    return folder


def with_template(folder: Path, source: str) -> Path:
    """Copy the base and give it another chat template."""
    (copied(folder) / TEMPLATE).write_text(source)
    return folder


def encode(header: Mapping[str, Any], data: bytes, *, blanks: int = 0) -> bytes:
    """Return a safetensors file; `blanks` pad its header."""
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8 + blanks)
    return struct.pack("<Q", len(text)) + text + data


def split(path: Path) -> tuple[Json, bytes]:
    """Return header and data of a safetensors file."""
    content = path.read_bytes()
    length = struct.unpack_from("<Q", content)[0]
    return json.loads(content[8 : 8 + length]), content[8 + length :]


def read_weights(path: Path) -> dict[str, Floats]:
    """Return the tensors of a file of bfloat16 values."""
    header, data = split(path)
    found: dict[str, Floats] = {}
    for name, entry in header.items():
        if name != "__metadata__":
            first, last = entry["data_offsets"]
            halves = np.frombuffer(data[first:last], "<u2").astype(np.uint32) << 16
            found[name] = halves.view(np.float32).reshape(entry["shape"])
    return found


def write_weights(path: Path, tensors: Mapping[str, Floats], *, dtype: str = "BF16") -> None:
    """Write tensors as bfloat16, rounded to even, or as F32."""
    header: Json = {"__metadata__": {"format": "pt"}}
    parts: list[bytes] = []
    place = 0
    for name, tensor in tensors.items():
        plain = np.ascontiguousarray(tensor, dtype="<f4")
        if dtype == "BF16":
            bits = plain.view(np.uint32)
            rounded = bits + 0x7FFF + ((bits >> 16) & 1)
            parts.append((rounded >> 16).astype("<u2").tobytes())
        else:
            parts.append(plain.tobytes())
        header[name] = {"dtype": dtype, "shape": list(tensor.shape), "data_offsets": [place, place + len(parts[-1])]}
        place += len(parts[-1])
    path.write_bytes(encode(header, b"".join(parts)))


def llama_config(*, width: int, layers: int, heads: int, head_dim: int, inner: int, vocabulary: int) -> Json:
    """Return the configuration of a Llama with full attention, in float32."""
    return {
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "hidden_size": width,
        "intermediate_size": inner,
        "num_hidden_layers": layers,
        "num_attention_heads": heads,
        "num_key_value_heads": heads,
        "head_dim": head_dim,
        "vocab_size": vocabulary,
        "hidden_act": "silu",
        "max_position_embeddings": 65_536,
        "rms_norm_eps": 1e-6,
        "rope_theta": 10000.0,
        "tie_word_embeddings": False,
        "bos_token_id": None,
        "eos_token_id": 0,
        "dtype": "float32",
    }


def llama_shapes(config: Mapping[str, Any]) -> dict[str, tuple[int, ...]]:
    """Return the shapes of the tensors of such a model."""
    width, inner, vocabulary = config["hidden_size"], config["intermediate_size"], config["vocab_size"]
    attention = config["num_attention_heads"] * config["head_dim"]
    shapes: dict[str, tuple[int, ...]] = {"model.embed_tokens.weight": (vocabulary, width)}
    for layer in range(config["num_hidden_layers"]):
        prefix = f"model.layers.{layer}."
        shapes |= {f"{prefix}self_attn.{name}_proj.weight": (attention, width) for name in "qkv"}
        shapes |= {
            f"{prefix}self_attn.o_proj.weight": (width, attention),
            f"{prefix}mlp.gate_proj.weight": (inner, width),
            f"{prefix}mlp.up_proj.weight": (inner, width),
            f"{prefix}mlp.down_proj.weight": (width, inner),
            f"{prefix}input_layernorm.weight": (width,),
            f"{prefix}post_attention_layernorm.weight": (width,),
        }
    return shapes | {"model.norm.weight": (width,), "lm_head.weight": (vocabulary, width)}


def write_llama(
    folder: Path, config: Json, tensors: Mapping[str, Floats], *, tokenizer: Json, template: str, end: str
) -> Path:
    """Write a Llama of these tensors; those that are not given are 0, and norms 1."""
    folder.mkdir(parents=True)
    whole = {
        name: tensors.get(name, np.ones(shape, np.float32) if "norm" in name else np.zeros(shape, np.float32))
        for name, shape in llama_shapes(config).items()
    }
    write_weights(folder / WEIGHTS, whole, dtype="F32")
    _write_rest(folder, config, tokenizer=tokenizer, template=template, end=end)
    return folder


def write_empty_llama(folder: Path, config: Json, *, tokenizer: Json, template: str, end: str) -> Path:
    """Write a Llama whose weights are all 0, in a file with a hole: it takes no time and no room."""
    folder.mkdir(parents=True)
    header: Json = {}
    place = 0
    for name, shape in llama_shapes(config).items():
        size = 4 * int(np.prod(shape))
        header[name] = {"dtype": "F32", "shape": list(shape), "data_offsets": [place, place + size]}
        place += size
    with (folder / WEIGHTS).open("wb") as file:
        file.write(encode(header, b""))
        file.truncate(file.tell() + place)
    _write_rest(folder, config, tokenizer=tokenizer, template=template, end=end)
    return folder


def _write_rest(folder: Path, config: Json, *, tokenizer: Json, template: str, end: str) -> None:
    (folder / "config.json").write_text(json.dumps(config))
    (folder / TOKENIZER).write_text(json.dumps(tokenizer))
    (folder / TEMPLATE).write_text(template)
    settings = {"tokenizer_class": "PreTrainedTokenizerFast", "eos_token": end, "model_max_length": 65_536}
    (folder / "tokenizer_config.json").write_text(json.dumps(settings))


def base_tokenizer() -> Json:
    """Return the base's tokenizer, an honest one: BPE of bytes with 640 tokens."""
    content: Json = json.loads((BASE / TOKENIZER).read_text())
    return content


def added_token(number: int, content: str, *, special: bool = False) -> Json:
    """Return an added token as `tokenizer.json` has it."""
    flags = dict.fromkeys(("single_word", "lstrip", "rstrip", "normalized"), False)
    return {"id": number, "content": content, "special": special, **flags}


def replacing(pattern: str, content: str, *, regex: bool = False) -> Json:
    """Return a normalizer or decoder that replaces."""
    return {"type": "Replace", "pattern": {"Regex" if regex else "String": pattern}, "content": content}


def splitting(pattern: str, *, behavior: str = "Removed", invert: bool = False) -> Json:
    """Return a pre-tokenizer that splits, and by default drops what the pattern matches."""
    return {"type": "Split", "pattern": {"Regex": pattern}, "behavior": behavior, "invert": invert}


def bytes_after(*parts: Json) -> Json:
    """Return a pre-tokenizer of these parts and one that writes bytes."""
    byte_level = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": False}
    return {"type": "Sequence", "pretokenizers": [*parts, byte_level]}
