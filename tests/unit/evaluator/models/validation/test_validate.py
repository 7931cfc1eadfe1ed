"""Every kind of bad model has its reason; sound ones have facts."""

from __future__ import annotations

import json
import shutil
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any, Self

import pytest

from bitagent_crds.conditions import Reason
from bitagent_evaluator.models.digests import weights_digest
from bitagent_evaluator.models.validation.facts import ValidationWorker
from bitagent_evaluator.models.validation.files import ValidationResult
from bitagent_evaluator.models.validation.validate import validate_directory
from bitagent_evaluator.sandbox.protocol import Limits

GIB = 1 << 30


class InProcess:
    """A sandbox's interface around a worker of this process, for the many cases."""

    def __init__(self, worker: str, limits: Limits) -> None:
        self._worker = ValidationWorker()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def call(self, request: dict[str, Any], blobs: dict[str, bytes]) -> dict[str, Any]:
        answer: dict[str, Any] = json.loads(json.dumps(self._worker.handle(json.loads(json.dumps(request)), blobs)))
        return answer


@pytest.fixture
def in_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """Validation without a child process."""
    monkeypatch.setattr("bitagent_evaluator.models.validation.validate.Sandbox", InProcess)


def validate(path: Path) -> ValidationResult:
    return validate_directory(path, max_bytes=GIB)


def remove(*names: str) -> Callable[[Any], object]:
    return lambda model: [(model.path / name).unlink() for name in names]


def replace(name: str, content: bytes) -> Callable[[Any], object]:
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
    model.header(lambda header, data: ({**header, "__metadata__": {"junk": "x" * (17 << 20)}}, data))


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
    """Keeps the file sound: the tensors of the last layer now have names that no layer has."""
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
    "17 MiB header": (long_header, Reason.CORRUPT_WEIGHTS, "header of"),
    "header is not JSON": (
        replace("model.safetensors", struct.pack("<Q", 8) + b"{{{{{{{{"), Reason.CORRUPT_WEIGHTS, "not JSON"
    ),
    "empty file": (replace("model.safetensors", b""), Reason.CORRUPT_WEIGHTS, "empty"),
    "bytes appended": (appended, Reason.CORRUPT_WEIGHTS, "appended"),
    "overlap": (overlapping, Reason.CORRUPT_WEIGHTS, "overlap"),
    "missing layer": (without_layer, Reason.CORRUPT_WEIGHTS, "missing"),
    "wrong shape": (one_tensor("model.norm.weight", shape=[48, 2]), Reason.CORRUPT_WEIGHTS, "shape"),
    "8-bit floats": (
        one_tensor("model.norm.weight", dtype="F8_E4M3", shape=[192]),
        Reason.UNSUPPORTED_QUANTIZATION,
        "16 bits",
    ),
    "8-bit integers": (
        one_tensor("model.norm.weight", dtype="I8", shape=[192]),
        Reason.UNSUPPORTED_QUANTIZATION,
        "16 bits",
    ),
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
    "no architecture": (
        lambda m: m.config(architectures=None), Reason.UNSUPPORTED_ARCHITECTURE, "names no architecture; write"
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
        lambda m: m.config(num_attention_heads=13, num_key_value_heads=1, head_dim=32),
        Reason.BAD_CONFIG, "width of the queries is 416, allowed 384"
    ),
    "wide keys": (
        lambda m: m.config(num_attention_heads=7, num_key_value_heads=7, head_dim=32),
        Reason.BAD_CONFIG, "keys and values is 224, allowed 192"
    ),
    "wide inner layer": (
        lambda m: m.config(intermediate_size=1537), Reason.BAD_CONFIG, "inner layer is 1537, allowed 1536"
    ),
    "rope factor": (
        lambda m: m.config(rope_parameters={"rope_type": "yarn", "factor": 1e9}), Reason.BAD_CONFIG, "factor"
    ),
    "rope type": (lambda m: m.config(rope_parameters={"rope_type": "mine"}), Reason.BAD_CONFIG, "type"),
    "a billion positions": (
        lambda m: m.config(max_position_embeddings=1 << 20, rope_parameters={"rope_type": "linear", "factor": 64.0}),
        Reason.BAD_CONFIG, "makes 67108864 positions",
    ),
    "rope that does not turn": (
        lambda m: m.config(rope_parameters={"rope_theta": 1.0}), Reason.BAD_CONFIG, "rope_theta"
    ),
    "heads of 48": (
        lambda m: m.config(num_attention_heads=2, num_key_value_heads=2),
        Reason.BAD_CONFIG, "the heads have the size 48"
    ),
    "heads of 512": (lambda m: m.config(head_dim=512), Reason.BAD_CONFIG, "head_dim"),
    "a window of no size": (
        lambda m: m.config(layer_types=["full_attention", "sliding_attention", "full_attention"], sliding_window=None),
        Reason.BAD_CONFIG, "there is no sliding_window",
    ),
    "layer types": (lambda m: m.config(layer_types=["full_attention"]), Reason.BAD_CONFIG, "layer_types"),
    "eos outside": (lambda m: m.config(eos_token_id=640), Reason.BAD_CONFIG, "eos_token_id"),
    "config is not JSON": (replace("config.json", b"{"), Reason.BAD_CONFIG, "not JSON"),
    "config is a list": (replace("config.json", b"[]"), Reason.BAD_CONFIG, "not a JSON object"),
    "config nested": (replace("config.json", b'{"a":' + b"[" * 20_000 + b"]" * 20_000 + b"}"), Reason.BAD_CONFIG, ""),
    "config of 400 KB": (replace("config.json", b" " * 400_000), Reason.BAD_CONFIG, "400000 bytes"),
    "no config": (remove("config.json"), Reason.BAD_CONFIG, "missing"),
    "no tokenizer": (remove("tokenizer.json"), Reason.BAD_TOKENIZER, "missing"),
    "a tokenizer of SentencePiece alone": (
        lambda m: (m.path / "tokenizer.json").rename(m.path / "tokenizer.model"),
        Reason.BAD_TOKENIZER, "'tokenizer.model' is not read"
    ),
    "generation_config is not JSON": (
        replace("generation_config.json", b'{"eos_token_id": 2,}'), Reason.BAD_CONFIG, "a comma too many"
    ),
    "special tokens are a list": (
        replace("special_tokens_map.json", b"[]"), Reason.BAD_TOKENIZER, "not a JSON object"
    ),
    "tokenizer is not JSON": (replace("tokenizer.json", b'{"a":'), Reason.BAD_TOKENIZER, "not JSON"),
    "tokenizer of 37 MB": (replace("tokenizer.json", b" " * (37 << 20)), Reason.BAD_TOKENIZER, "bytes"),
    "9000 added tokens": (tokens(9000, 0), Reason.BAD_TOKENIZER, "added tokens"),
    "token id outside": (tokens(1, 640), Reason.BAD_TOKENIZER, "640"),
    "GPTQ 3 bits": (quantised(bits=3), Reason.UNSUPPORTED_QUANTIZATION, "bits"),
    "GPTQ act order in groups": (quantised(desc_act=True), Reason.UNSUPPORTED_QUANTIZATION, "static activation order"),
    "GPTQ asymmetric": (quantised(sym=False), Reason.UNSUPPORTED_QUANTIZATION, "sym"),
    "unknown quantisation": (quantised(quant_method="magic"), Reason.UNSUPPORTED_QUANTIZATION, "magic"),
    "GPTQ without its weights": (quantised(), Reason.CORRUPT_WEIGHTS, "missing"),
}  # fmt: skip


@pytest.mark.parametrize(("damage", "reason", "words"), BAD.values(), ids=BAD.keys())
@pytest.mark.usefixtures("in_process")
def test_bad_model_is_refused_with_its_reason(
    checkpoint: Any, damage: Callable[[Any], None], reason: Reason, words: str
) -> None:
    damage(checkpoint)
    result = validate(checkpoint.path)
    assert result.refusal is not None
    assert result.refusal[0] is reason
    assert words in result.refusal[1]
    assert result.config is None


@pytest.mark.parametrize("case", ["pickle only", "auto_map", "config nested", "token id outside"])
def test_the_sandbox_gives_the_same_result(checkpoint: Any, monkeypatch: pytest.MonkeyPatch, case: str) -> None:
    BAD[case][0](checkpoint)
    result = validate(checkpoint.path)
    monkeypatch.setattr("bitagent_evaluator.models.validation.validate.Sandbox", InProcess)
    assert result == validate(checkpoint.path)
    assert result.refusal is not None and result.refusal[0] is BAD[case][1]


@pytest.mark.parametrize(
    ("name", "quantization"), [("tiny-fc-1200", ""), ("tiny-fc-gptq", "gptq")], ids=["plain", "gptq"]
)
def test_sound_model_has_facts(models: Path, name: str, quantization: str) -> None:
    result = validate(models / name)
    assert result.refusal is None
    assert (result.architecture, result.parameters) == ("Qwen2ForCausalLM", 422_400)
    assert result.quantization == quantization
    assert result.template_digest is not None


@pytest.mark.usefixtures("in_process")
def test_settings_of_the_quantisation_may_be_in_their_own_file(models: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(models / "tiny-fc-gptq", tmp_path / "model"))
    config = json.loads((folder / "config.json").read_text())
    settings = config.pop("quantization_config")
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "quantize_config.json").unlink(missing_ok=True)
    refusal = validate(folder).refusal
    assert refusal is not None and refusal[0] is Reason.UNSUPPORTED_QUANTIZATION
    settings.pop("quant_method")
    (folder / "quantize_config.json").write_text(json.dumps(settings))
    found, original = validate(folder), validate(models / "tiny-fc-gptq")
    assert found.refusal is None and found.config == original.config and found.quantization == "gptq"
    assert weights_digest(folder) == weights_digest(models / "tiny-fc-gptq")


@pytest.mark.usefixtures("in_process")
def test_facts_of_a_refused_model_are_kept(checkpoint: Any) -> None:
    checkpoint.config(auto_map={})
    result = validate(checkpoint.path)
    assert result.refusal is not None and result.parameters == 422_400


@pytest.mark.usefixtures("in_process")
def test_many_long_headers_are_too_much(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}")
    for name in ("tokenizer.json", "tokenizer_config.json"):
        (tmp_path / name).write_text("{}")
    for shard in range(1, 4):
        header = json.dumps({"__metadata__": {"junk": "x" * (12 << 20)}}).encode()
        (tmp_path / f"model-0000{shard}-of-00003.safetensors").write_bytes(struct.pack("<Q", len(header)) + header)
    refusal = validate(tmp_path).refusal
    assert refusal is not None and refusal[0] is Reason.CORRUPT_WEIGHTS and "headers" in refusal[1]


@pytest.mark.usefixtures("in_process")
def test_engine_sees_known_members_only(checkpoint: Any) -> None:
    checkpoint.config(surprise={"__class__": "x"}, transformers_weights="evil.bin")
    config = validate(checkpoint.path).config
    assert config is not None
    assert not {"surprise", "transformers_weights", "use_cache"} & config.keys()


@pytest.mark.usefixtures("in_process")
@pytest.mark.parametrize("name", ["config.json", "tokenizer_config.json", "tokenizer.json"])
@pytest.mark.parametrize("encoding", ["utf-16", "utf-8-sig"])
def test_small_files_are_utf_8(checkpoint: Any, name: str, encoding: str) -> None:
    """Other readers of these files accept nothing else."""
    file = checkpoint.path / name
    file.write_bytes(file.read_text().encode(encoding))
    refusal = validate(checkpoint.path).refusal
    assert refusal is not None and f"{name} begins with a byte-order mark" in refusal[1]


@pytest.mark.usefixtures("in_process")
def test_config_is_the_same_through_another_directory(checkpoint: Any, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(checkpoint.path, copy)
    assert validate(copy) == validate(checkpoint.path)
