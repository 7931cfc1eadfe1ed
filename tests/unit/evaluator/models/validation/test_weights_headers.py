"""Safetensors headers: what the parser accepts covers the file exactly, and nothing makes it do more than refuse."""

from __future__ import annotations

import json
import math
import struct

import pytest
import safetensors
from hypothesis import given
from hypothesis import strategies as st

from bitagent_crds.conditions import Reason
from bitagent_evaluator.models.validation.weights import ITEM_BYTES, header_bytes, parse_header
from bitagent_evaluator.sandbox.protocol import Refused

shapes = st.lists(st.integers(1, 40), max_size=4).map(tuple)
layouts = st.dictionaries(
    st.text(min_size=1, max_size=12).filter(lambda name: name != "__metadata__"),
    st.tuples(st.sampled_from(sorted(ITEM_BYTES)), shapes),
    min_size=1,
    max_size=8,
)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)


def written(entries: object) -> bytes:
    text = json.dumps(entries).encode()
    return struct.pack("<Q", len(text)) + text


def laid_out(layout: dict[str, tuple[str, tuple[int, ...]]]) -> tuple[dict[str, object], int]:
    entries: dict[str, object] = {}
    at = 0
    for name, (dtype, shape) in layout.items():
        size = ITEM_BYTES[dtype] * math.prod(shape)
        entries[name] = {"dtype": dtype, "shape": list(shape), "data_offsets": [at, at + size]}
        at += size
    return entries, at


TENSOR = '{"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}'
UNREADABLE = {
    "UTF-16": f'{{"a": {TENSOR}}}'.encode("utf-16"),
    "byte order mark": f'\ufeff{{"a": {TENSOR}}}'.encode(),
    "metadata of other types": f'{{"__metadata__": {{"a": 1}}, "a": {TENSOR}}}'.encode(),
    "metadata in a list": f'{{"__metadata__": [""], "a": {TENSOR}}}'.encode(),
    "a number that JSON has not": f'{{"a": {{"x": NaN, {TENSOR[1:]}}}'.encode(),
}


@pytest.mark.parametrize("text", UNREADABLE.values(), ids=UNREADABLE)
def test_header_that_safetensors_would_not_read_is_refused(text: bytes) -> None:
    data = struct.pack("<Q", len(text)) + text + bytes(4)
    with pytest.raises(safetensors.SafetensorError):
        safetensors.deserialize(data)  # type: ignore[no-untyped-call]
    with pytest.raises(Refused) as refusal:
        parse_header("m", data, len(data))
    assert refusal.value.reason == Reason.CORRUPT_WEIGHTS


@given(layouts)
def test_sound_header_is_read_back(layout: dict[str, tuple[str, tuple[int, ...]]]) -> None:
    entries, size = laid_out(layout)
    data = written(entries)
    tensors = parse_header("m", data, len(data) + size)
    assert {name: (tensor.dtype, tensor.shape) for name, tensor in tensors.items()} == layout
    assert sum(tensor.end - tensor.start for tensor in tensors.values()) == size


@given(layouts, st.integers(-5, 5).filter(bool))
def test_file_of_another_size_is_refused(layout: dict[str, tuple[str, tuple[int, ...]]], difference: int) -> None:
    entries, size = laid_out(layout)
    data = written(entries)
    with pytest.raises(Refused) as refusal:
        parse_header("m", data, len(data) + size + difference)
    assert refusal.value.reason == Reason.CORRUPT_WEIGHTS


@given(json_values, st.integers(0, 4096))
def test_any_json_is_read_or_refused(entries: object, extra: int) -> None:
    data = written(entries)
    try:
        tensors = parse_header("m", data, len(data) + extra)
    except Refused:
        return
    assert sum(tensor.end - tensor.start for tensor in tensors.values()) == extra


@given(st.binary(max_size=64), st.integers(0, 1 << 40))
def test_random_bytes_are_refused(data: bytes, size: int) -> None:
    with pytest.raises(Refused) as refusal:
        parse_header("m", data, size)
    assert refusal.value.reason == Reason.CORRUPT_WEIGHTS


def test_length_is_checked_before_it_is_read() -> None:
    assert header_bytes("m", struct.pack("<Q", 100), 1000) == 108
    with pytest.raises(Refused, match="at most"):
        header_bytes("m", struct.pack("<Q", (16 << 20) + 1), 1 << 40)
