"""Every kind of bad repository has its reason; sound ones have facts."""

from __future__ import annotations

import json
import shutil
import struct
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bitagent_crds.conditions import Reason
from bitagent_evaluator.safety.evidence import Judgement
from bitagent_evaluator.safety.inspect import directory_reader, directory_sizes, inspect
from bitagent_evaluator.safety.license import card_license

GIB = 1 << 30


def judged(path: Path, max_bytes: int = GIB) -> Judgement:
    return inspect(directory_sizes(path), directory_reader(path), max_bytes=max_bytes)


def remove(*names: str) -> Callable[[Any], None]:
    return lambda model: [(model.path / name).unlink() for name in names]


def replace(name: str, content: bytes) -> Callable[[Any], None]:
    return lambda model: (model.path / name).write_bytes(content)


def truncate(model: Any) -> None:
    weights = model.path / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:400_000])


def pickle_only(model: Any) -> None:
    (model.path / "model.safetensors").rename(model.path / "pytorch_model.bin")


def absurd_header(model: Any) -> None:
    weights = model.path / "model.safetensors"
    weights.write_bytes(struct.pack("<Q", 2**62) + weights.read_bytes()[8:])


def long_header(model: Any) -> None:
    model.header(lambda header, data: ({**header, "__metadata__": {"junk": "x" * (9 << 20)}}, data))


def appended(model: Any) -> None:
    with (model.path / "model.safetensors").open("ab") as file:
        file.write(b"more")


def overlapping(model: Any) -> None:
    def change(header: dict[str, Any], data: bytes) -> tuple[dict[str, Any], bytes]:
        names = [name for name in header if name.endswith("q_proj.bias")]
        header[names[1]]["data_offsets"] = header[names[0]]["data_offsets"]
        return header, data

    model.header(change)


def without_layer(model: Any) -> None:
    """Keeps the file sound: what the last layer held is now in tensors nobody asks for."""
    model.header(lambda header, data: ({k.replace("layers.2.", "layers.7."): v for k, v in header.items()}, data))


def one_tensor(name: str, **changes: Any) -> Callable[[Any], None]:
    def change(header: dict[str, Any], data: bytes) -> tuple[dict[str, Any], bytes]:
        return {key: {**value, **changes} if key == name else value for key, value in header.items()}, data

    return lambda model: model.header(change)


def tokens(count: int, first: int) -> Callable[[Any], None]:
    added = [{"id": first + number, "content": f"<{number}>"} for number in range(count)]
    return lambda model: model.edit("tokenizer.json", lambda content: {**content, "added_tokens": added})


def quantised(**changes: Any) -> Callable[[Any], None]:
    settings = {"quant_method": "gptq", "bits": 4, "group_size": 32, "sym": True, "desc_act": False, **changes}
    return lambda model: model.config(quantization_config=settings)


def dangling_index(model: Any) -> None:
    weights = {"metadata": {}, "weight_map": {"model.norm.weight": "../outside.safetensors"}}
    (model.path / "model.safetensors.index.json").write_text(json.dumps(weights))


BAD = {
    "pickle only": (pickle_only, Reason.NO_SAFETENSORS, "pickle"),
    "no weights": (remove("model.safetensors"), Reason.NO_SAFETENSORS, "model.safetensors"),
    "truncated": (truncate, Reason.CORRUPT_WEIGHTS, "truncated"),
    "absurd header length": (absurd_header, Reason.CORRUPT_WEIGHTS, "header of"),
    "9 MiB header": (long_header, Reason.CORRUPT_WEIGHTS, "header of"),
    "header is no JSON": (replace("model.safetensors", struct.pack("<Q", 8) + b"{{{{{{{{"), Reason.CORRUPT_WEIGHTS, "no JSON"),
    "empty file": (replace("model.safetensors", b""), Reason.CORRUPT_WEIGHTS, "empty"),
    "bytes appended": (appended, Reason.CORRUPT_WEIGHTS, "appended"),
    "overlap": (overlapping, Reason.CORRUPT_WEIGHTS, "overlap"),
    "missing layer": (without_layer, Reason.CORRUPT_WEIGHTS, "missing"),
    "wrong shape": (one_tensor("model.norm.weight", shape=[48, 2]), Reason.CORRUPT_WEIGHTS, "shape"),
    "integer weights": (one_tensor("model.norm.weight", dtype="I16"), Reason.CORRUPT_WEIGHTS, "dtype"),
    "unknown dtype": (one_tensor("model.norm.weight", dtype="BF17"), Reason.CORRUPT_WEIGHTS, "BF17"),
    "dangling index": (dangling_index, Reason.CORRUPT_WEIGHTS, "index"),
    "auto_map": (lambda m: m.config(auto_map={"AutoConfig": "evil.C"}), Reason.CUSTOM_CODE, "auto_map"),
    "tokenizer auto_map": (
        lambda m: m.edit("tokenizer_config.json", lambda c: {**c, "auto_map": {}}), Reason.CUSTOM_CODE, "auto_map"
    ),
    "unknown architecture": (
        lambda m: m.config(architectures=["NoSuchForCausalLM"]), Reason.UNSUPPORTED_ARCHITECTURE, "NoSuch"
    ),
    "two architectures": (
        lambda m: m.config(architectures=["Qwen2ForCausalLM", "LlamaForCausalLM"]), Reason.UNSUPPORTED_ARCHITECTURE, ""
    ),
    "other model_type": (lambda m: m.config(model_type="llama"), Reason.BAD_CONFIG, "model_type"),
    "hidden size 10**9": (lambda m: m.config(hidden_size=10**9), Reason.BAD_CONFIG, "hidden_size"),
    "hidden size as text": (lambda m: m.config(hidden_size="96; rm"), Reason.BAD_CONFIG, "hidden_size"),
    "hidden size true": (lambda m: m.config(num_hidden_layers=True), Reason.BAD_CONFIG, "num_hidden_layers"),
    "negative": (lambda m: m.config(intermediate_size=-96), Reason.BAD_CONFIG, "intermediate_size"),
    "a million layers": (lambda m: m.config(num_hidden_layers=10**6), Reason.BAD_CONFIG, "num_hidden_layers"),
    "10**12 positions": (lambda m: m.config(max_position_embeddings=10**12), Reason.BAD_CONFIG, "max_position"),
    "no vocabulary size": (lambda m: m.config(vocab_size=None), Reason.BAD_CONFIG, "vocab_size"),
    "heads do not divide": (lambda m: m.config(num_attention_heads=5), Reason.BAD_CONFIG, "heads"),
    "wide queries": (
        lambda m: m.config(num_attention_heads=13, num_key_value_heads=1, head_dim=32), Reason.BAD_CONFIG, "width of the queries is 416, allowed 384"
    ),
    "wide keys": (
        lambda m: m.config(num_attention_heads=7, num_key_value_heads=7, head_dim=32), Reason.BAD_CONFIG, "keys and values is 224, allowed 192"
    ),
    "wide inner layer": (lambda m: m.config(intermediate_size=1537), Reason.BAD_CONFIG, "inner layer is 1537, allowed 1536"),
    "rope factor": (
        lambda m: m.config(rope_parameters={"rope_type": "yarn", "factor": 1e9}), Reason.BAD_CONFIG, "factor"
    ),
    "rope type": (lambda m: m.config(rope_parameters={"rope_type": "mine"}), Reason.BAD_CONFIG, "type"),
    "a billion positions": (
        lambda m: m.config(max_position_embeddings=1 << 20, rope_parameters={"rope_type": "linear", "factor": 64.0}),
        Reason.BAD_CONFIG, "makes 67108864 positions",
    ),
    "rope that does not turn": (lambda m: m.config(rope_parameters={"rope_theta": 1.0}), Reason.BAD_CONFIG, "rope_theta"),
    "heads of 48": (
        lambda m: m.config(num_attention_heads=2, num_key_value_heads=2), Reason.BAD_CONFIG, "the heads have the size 48"
    ),
    "heads of 512": (lambda m: m.config(head_dim=512), Reason.BAD_CONFIG, "head_dim"),
    "a window of no size": (
        lambda m: m.config(layer_types=["full_attention", "sliding_attention", "full_attention"], sliding_window=None),
        Reason.BAD_CONFIG, "there is no sliding_window",
    ),
    "layer types": (lambda m: m.config(layer_types=["full_attention"]), Reason.BAD_CONFIG, "layer_types"),
    "eos outside": (lambda m: m.config(eos_token_id=640), Reason.BAD_CONFIG, "eos_token_id"),
    "config is no JSON": (replace("config.json", b"{"), Reason.BAD_CONFIG, "no JSON"),
    "config is a list": (replace("config.json", b"[]"), Reason.BAD_CONFIG, "no JSON object"),
    "config nested": (replace("config.json", b'{"a":' + b"[" * 20_000 + b"]" * 20_000 + b"}"), Reason.BAD_CONFIG, ""),
    "config of 400 KB": (replace("config.json", b" " * 400_000), Reason.BAD_CONFIG, "400000 bytes"),
    "no config": (remove("config.json"), Reason.BAD_CONFIG, "missing"),
    "no tokenizer": (remove("tokenizer.json"), Reason.BAD_TOKENIZER, "missing"),
    "tokenizer is no JSON": (replace("tokenizer.json", b'{"a":'), Reason.BAD_TOKENIZER, "no JSON"),
    "tokenizer of 25 MB": (replace("tokenizer.json", b" " * (25 << 20)), Reason.BAD_TOKENIZER, "bytes"),
    "5000 added tokens": (tokens(5000, 0), Reason.BAD_TOKENIZER, "added tokens"),
    "token id outside": (tokens(1, 640), Reason.BAD_TOKENIZER, "640"),
    "GPTQ 3 bits": (quantised(bits=3), Reason.UNSUPPORTED_QUANTIZATION, "bits"),
    "GPTQ act order in groups": (quantised(desc_act=True), Reason.UNSUPPORTED_QUANTIZATION, "static activation order"),
    "GPTQ asymmetric": (quantised(sym=False), Reason.UNSUPPORTED_QUANTIZATION, "sym"),
    "unknown quantisation": (quantised(quant_method="magic"), Reason.UNSUPPORTED_QUANTIZATION, "magic"),
    "GPTQ without its weights": (quantised(), Reason.CORRUPT_WEIGHTS, "missing"),
}  # fmt: skip


@pytest.mark.parametrize(("damage", "reason", "words"), BAD.values(), ids=BAD.keys())
def test_bad_repository_is_refused_with_its_reason(
    checkpoint: Any, damage: Callable[[Any], None], reason: Reason, words: str
) -> None:
    damage(checkpoint)
    judgement = judged(checkpoint.path)
    assert judgement.refusal is not None
    assert judgement.refusal[0] is reason
    assert words in judgement.refusal[1]
    assert judgement.config is None


@pytest.mark.parametrize(
    ("name", "quantization"), [("tiny-fc-1200", ""), ("tiny-fc-gptq", "gptq")], ids=["plain", "gptq"]
)
def test_sound_repository_has_facts(models: Path, name: str, quantization: str) -> None:
    judgement = judged(models / name)
    assert judgement.refusal is None
    assert (judgement.architecture, judgement.parameters) == ("Qwen2ForCausalLM", 422_400)
    assert judgement.quantization == quantization
    assert judgement.template_digest is not None


def test_facts_of_a_refused_model_are_kept(checkpoint: Any) -> None:
    checkpoint.config(auto_map={})
    judgement = judged(checkpoint.path)
    assert judgement.refusal is not None and judgement.parameters == 422_400


def test_many_long_headers_are_too_much(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}")
    for name in ("tokenizer.json", "tokenizer_config.json"):
        (tmp_path / name).write_text("{}")
    for shard in range(1, 4):
        header = json.dumps({"__metadata__": {"junk": "x" * (7 << 20)}}).encode()
        (tmp_path / f"model-0000{shard}-of-00003.safetensors").write_bytes(struct.pack("<Q", len(header)) + header)
    refusal = judged(tmp_path).refusal
    assert refusal is not None and refusal[0] is Reason.CORRUPT_WEIGHTS and "headers" in refusal[1]


def test_too_large_names_the_limit(checkpoint: Any) -> None:
    judgement = judged(checkpoint.path, max_bytes=100_000)
    assert judgement.refusal is not None
    assert judgement.refusal[0] is Reason.TOO_LARGE and "100000" in judgement.refusal[1]


def test_pickle_beside_safetensors_is_not_in_the_way(checkpoint: Any) -> None:
    (checkpoint.path / "pytorch_model.bin").write_bytes(b"cos\nsystem\n")
    assert judged(checkpoint.path).refusal is None


def test_engine_sees_known_members_only(checkpoint: Any) -> None:
    checkpoint.config(surprise={"__class__": "x"}, transformers_weights="evil.bin")
    config = judged(checkpoint.path).config
    assert config is not None
    assert not {"surprise", "transformers_weights", "use_cache"} & config.keys()


@pytest.mark.parametrize(
    ("card", "license_name"),
    [
        (b"---\nlicense: Apache-2.0\n---\n# Model", "apache-2.0"),
        (b"---\r\nlicense: mit\r\n---\r\n", "mit"),
        (b"---\nlicense: other\nlicense_name: llama3\n---\n", "llama3"),
        (b"---\nlicense: [mit, gpl-3.0]\n---\n", "mit"),
        (b"# no front matter\nlicense: mit", ""),
        (b"---\nlicense: {a: b}\n---\n", ""),
        (b"---\n&a [*a, *b]\n---\n", ""),
        (b"---\nlicense: !!python/object/apply:os.system [id]\n---\n", ""),
        (b"---\nlicense: mit\nx: !!int ''\n---\n", ""),
    ],
    ids=["plain", "crlf", "other", "list", "none", "object", "broken yaml", "code", "tag"],
)
def test_license_of_the_card(checkpoint: Any, card: bytes, license_name: str) -> None:
    (checkpoint.path / "README.md").write_bytes(card)
    assert judged(checkpoint.path).license == license_name


def test_long_card_is_read_at_once() -> None:
    card = b"---\nlicense: mit\n" + b"a: [1, 2, 3]\n" * 19_000 + b"---\n"
    started = time.process_time()
    assert card_license(card) == "mit"
    assert time.process_time() - started < 2  # a reader in plain Python takes four on a fast machine


@pytest.mark.parametrize("name", ["config.json", "tokenizer_config.json", "tokenizer.json"])
@pytest.mark.parametrize("encoding", ["utf-16", "utf-8-sig"])
def test_small_files_are_utf_8(checkpoint: Any, name: str, encoding: str) -> None:
    """Other readers of these files take nothing else."""
    file = checkpoint.path / name
    file.write_bytes(file.read_text().encode(encoding))
    refusal = judged(checkpoint.path).refusal
    assert refusal is not None and f"{name} is no JSON" in refusal[1]


def test_template_in_the_tokenizer_configuration(checkpoint: Any, models: Path) -> None:
    before = judged(checkpoint.path).template_digest
    source = (checkpoint.path / "chat_template.jinja").read_text()
    (checkpoint.path / "chat_template.jinja").unlink()
    assert judged(checkpoint.path).template_digest is None
    named = [{"name": "default", "template": "x"}, {"name": "tool_use", "template": source}]
    checkpoint.edit("tokenizer_config.json", lambda content: {**content, "chat_template": named})
    assert judged(checkpoint.path).template_digest == before


def test_config_is_the_same_through_another_directory(checkpoint: Any, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(checkpoint.path, copy)
    assert judged(copy) == judged(checkpoint.path)
