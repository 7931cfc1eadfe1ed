"""Models of another kind than a whole model in safetensors."""

from __future__ import annotations

import json

import pytest

from bitagent_crds.conditions import Reason
from bitagent_evaluator.models.validation.files import check_file_list
from bitagent_evaluator.models.validation.kinds import check_content, check_kind
from bitagent_evaluator.sandbox.protocol import Refused

POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:" + b"a" * 64 + b"\nsize 848728\n"
OTHERS = {"config.json": 10, "tokenizer.json": 10, "tokenizer_config.json": 10}
ADAPTER = json.dumps({"peft_type": "LORA", "base_model_name_or_path": "someone/base"}).encode()

KINDS: dict[str, tuple[dict[str, int], str]] = {
    "adapter": ({"adapter_model.safetensors": 10, "adapter_config.json": len(ADAPTER)}, "adapter of someone/base"),
    "adapter in a pickle": ({"adapter_model.bin": 10, "training_args.bin": 9}, "adapter alone"),
    "gguf": ({"model-Q4_K_M.gguf": 10}, "GGUF"),
    "mistral": ({"consolidated.safetensors": 10, "params.json": 9}, "Mistral"),
    "meta": ({"consolidated.00.pth": 10}, "Meta"),
    "folder": ({"final/model.safetensors": 10, "final/config.json": 9}, "'final'"),
    "folder of shards": ({"checkpoint-100/model-00001-of-00002.safetensors": 10}, "'checkpoint-100'"),
    "onnx": ({"onnx/model.onnx": 10}, "ONNX"),
    "pickle": ({"pytorch_model-00001-of-00002.bin": 10}, "pickle"),
    "trainer's files": ({"optimizer.pt": 10}, "trainer"),
    "keras": ({"tf_model.h5": 10}, "framework"),
    "exl2": ({"output-00001-of-00002.safetensors": 10}, "EXL2"),
    "tensorrt": ({"rank0.safetensors": 10}, "TensorRT-LLM"),
    "fsdp": ({"pytorch_model_fsdp_0/__0_0.distcp": 10}, "merge-weights"),
    "deepspeed": ({"global_step9/bf16_zero_pp_rank_0_mp_rank_00_optim_states.pt": 10}, "zero_to_fp32.py"),
    "archive": ({"model.tar.gz": 10}, "archive"),
    "another name": ({"model.fp16.safetensors": 10}, "'model.fp16.safetensors'"),
    "download that has not ended": ({"model.safetensors.incomplete": 10}, "has not ended"),
    "parts of a file": ({"model.safetensors.partaa": 9, "model.safetensors.partab": 9}, "cat model.safetensors.*"),
    "numbered parts of a file": ({"model.safetensors.001": 9}, "part of a file"),
    "nothing": ({"README.md": 10}, "no model.safetensors"),
}


@pytest.mark.parametrize(("files", "said"), KINDS.values(), ids=KINDS)
def test_kind_is_named(files: dict[str, int], said: str) -> None:
    with pytest.raises(Refused) as refused:
        check_kind({**OTHERS, **files}, lambda name, start, length: ADAPTER[start : start + length])
    assert refused.value.reason == Reason.NO_SAFETENSORS
    assert said in refused.value.message


@pytest.mark.parametrize("extra", ["adapter_model.safetensors", "model.gguf", "onnx/model.onnx", "optimizer.pt"])
def test_files_beside_a_model_do_not_matter(extra: str) -> None:
    check_kind({**OTHERS, "model.safetensors": 10, extra: 10}, lambda name, start, length: b"")


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"base_model_name_or_path": 7}', b"[" * 5000], ids=range(5))
def test_adapter_without_a_readable_base(content: bytes) -> None:
    with pytest.raises(Refused, match="adapter alone"):
        check_kind({"adapter_config.json": len(content)}, lambda name, start, length: content)


UPLOADS: dict[str, tuple[list[str], str]] = {
    "shard missing": (["model-00001-of-00003", "model-00003-of-00003"], "model-00002-of-00003.safetensors is missing"),
    "last shards missing": (["model-00001-of-00004"], "model-00002-of-00004.safetensors and 2 more are missing"),
    "shard of Qwen3.5's names missing": (
        ["model.safetensors-00001-of-00002"],
        "model.safetensors-00002-of-00002.safetensors is missing",
    ),
    "shard of DeepSeek's names missing": (["model-00001-of-000002"], "model-00002-of-000002.safetensors is missing"),
    "two kinds of names": (["model.safetensors-00001-of-00001", "model-00001-of-00001"], "2 uploads"),
    "single beside shards": (["model", "model-00001-of-00001"], "delete"),
    "two uploads": (["model-00001-of-00001", "model-00001-of-00002", "model-00002-of-00002"], "2 uploads"),
}


@pytest.mark.parametrize(("names", "said"), UPLOADS.values(), ids=UPLOADS)
def test_incomplete_and_mixed_uploads(names: list[str], said: str) -> None:
    with pytest.raises(Refused) as refused:
        check_file_list({**OTHERS, **{f"{name}.safetensors": 10 for name in names}}, 1 << 30)
    assert refused.value.reason == Reason.CORRUPT_WEIGHTS
    assert said in refused.value.message


CONTENTS: dict[str, tuple[str, bytes, Reason]] = {
    "pointer for weights": ("model.safetensors", POINTER, Reason.CORRUPT_WEIGHTS),
    "pointer for the tokenizer": ("tokenizer.json", POINTER, Reason.BAD_TOKENIZER),
    "pointer for the configuration": ("config.json", POINTER, Reason.BAD_CONFIG),
    "pointer for the index": ("model.safetensors.index.json", POINTER, Reason.CORRUPT_WEIGHTS),
    "pointer of xet": ("model.safetensors", b"# xet version 0\nfilesize = 1\n", Reason.CORRUPT_WEIGHTS),
    "web page": ("tokenizer_config.json", b"\n<!DOCTYPE html><html>", Reason.BAD_TOKENIZER),
    "gguf": ("model.safetensors", b"GGUF\x03\x00\x00\x00\x00\x00", Reason.CORRUPT_WEIGHTS),
    "pickle of a later protocol": (
        "model.safetensors",
        b"\x80\x04\x95\x00\x00\x00\x00\x00\x00",
        Reason.CORRUPT_WEIGHTS,
    ),
    "a server's error": ("model.safetensors", b'{"error":"Repository not found"}', Reason.CORRUPT_WEIGHTS),
    "a store's error": ("model.safetensors", b'<?xml version="1.0"?>\n<Error>', Reason.CORRUPT_WEIGHTS),
    "zeros": ("model.safetensors", bytes(100), Reason.CORRUPT_WEIGHTS),
    "an array": ("model.safetensors", b"\x93NUMPY\x01\x00\x00\x00", Reason.CORRUPT_WEIGHTS),
    "zstd": ("model.safetensors", b"\x28\xb5\x2f\xfd\x00\x00\x00\x00\x00", Reason.CORRUPT_WEIGHTS),
    "zipped pickle": ("model.safetensors", b"PK\x03\x04\x00\x00\x08\x08\x00\x00", Reason.CORRUPT_WEIGHTS),
}


@pytest.mark.parametrize(("name", "first", "reason"), CONTENTS.values(), ids=CONTENTS)
def test_file_that_is_something_else(name: str, first: bytes, reason: Reason) -> None:
    with pytest.raises(Refused) as refused:
        check_content(name, first, len(first))
    assert refused.value.reason == reason


def test_header_whose_length_looks_like_a_magic_number_is_no_matter() -> None:
    check_content("model.safetensors", b"\x80\x02\x00\x00\x00\x00\x00\x00" + b'{"a"', 1 << 20)


@pytest.mark.parametrize(
    ("first", "said"),
    [(b"\x1f\x8b\x08", "gzip"), (b"PK\x03\x04", "zip archive"), (b"\x28\xb5\x2f\xfd\x04", "zstd")],
    ids=["gzip", "zip", "zstd"],
)
@pytest.mark.parametrize(
    ("name", "reason"), [("tokenizer.json", Reason.BAD_TOKENIZER), ("config.json", Reason.BAD_CONFIG)]
)
def test_a_small_file_that_is_compressed_is_named(name: str, reason: Reason, first: bytes, said: str) -> None:
    with pytest.raises(Refused) as refused:
        check_content(name, first, len(first))
    assert refused.value.reason == reason
    assert said in refused.value.message
