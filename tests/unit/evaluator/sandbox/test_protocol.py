"""Frames: whole whatever the pieces, bounded, and nothing but one message."""

from __future__ import annotations

import contextlib
import json
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bitagent_evaluator.sandbox.protocol import BadFrame, Decoder, Frame, encode


@given(
    st.dictionaries(st.text(max_size=5), st.integers() | st.text(max_size=20), max_size=4),
    st.dictionaries(st.text(max_size=5), st.binary(max_size=50), max_size=4),
    st.integers(1, 40),
)
def test_a_frame_survives_any_cutting(body: dict[str, int | str], blobs: dict[str, bytes], step: int) -> None:
    data = encode(Frame(body, blobs))
    decoder = Decoder(len(data))
    frames = [decoder.feed(data[start : start + step]) for start in range(0, len(data), step)]
    assert frames[-1] == Frame(body, blobs)
    assert not any(frames[:-1])


def test_lone_surrogates_do_not_get_through() -> None:
    data = encode(Frame({"said": ["a\ud800b", {"\udfff": "ä😀"}]}))
    frame = Decoder(len(data)).feed(data)
    assert frame is not None
    assert frame.body == {"said": ["a?b", {"?": "ä😀"}]}


def test_a_frame_is_refused_by_its_announced_size() -> None:
    data = encode(Frame({}, {"a": b"x" * 1000}))
    with pytest.raises(BadFrame, match="allowed 500"):
        Decoder(500).feed(data[:100])


@given(st.binary(max_size=60))
def test_other_bytes_are_refused_or_waited_for(data: bytes) -> None:
    decoder = Decoder(1 << 20)
    with contextlib.suppress(BadFrame):
        assert decoder.feed(data) is None


@pytest.mark.parametrize(
    "head",
    [[], 1, None, {}, {"body": {}}, {"body": [], "blobs": {}}, {"body": {}, "blobs": []},
     {"body": {}, "blobs": {"a": "1"}}, {"body": {}, "blobs": {"a": 1.5}}, {"body": {}, "blobs": {"a": True}},
     {"body": {}, "blobs": {"a": -1}}],
)  # fmt: skip
def test_a_head_of_another_form_is_refused(head: object) -> None:
    text = json.dumps(head).encode()
    with pytest.raises(BadFrame, match="expected form"):
        Decoder(1 << 20).feed(struct.pack(">Q", len(text)) + text)


def test_bytes_behind_a_frame_are_refused() -> None:
    data = encode(Frame({}, {"a": b"x"}))
    with pytest.raises(BadFrame, match="more than one"):
        Decoder(1 << 20).feed(data + b"y")
