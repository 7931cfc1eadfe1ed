"""Files that are no texts of rows are recognised by how they begin."""

from __future__ import annotations

import gzip

import pytest
from tests.unit.evaluator.tasks.sources.test_file_formats import InMemory

from bitagent_evaluator.tasks.sources.file_formats import read_file_rows
from bitagent_evaluator.tasks.sources.text_files import check_is_text, in_utf8

POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:" + b"a" * 64 + b"\nsize 1234\n"
KINDS: dict[str, tuple[bytes, str]] = {
    "a pointer": (POINTER, "git lfs pull"),
    "gzip": (gzip.compress(b"{}"), "end in .gz"),
    "a spreadsheet": (b"PK\x03\x04\x14\x00", "export it as CSV"),
    "an older spreadsheet": (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "export it as CSV"),
    "Parquet": (b"PAR1\x15\x00", "end in .parquet"),
    "an Arrow stream": (b"\xff\xff\xff\xff\x10\x01\x00\x00", "to_parquet"),
    "a pickle": (b"\x80\x04\x95\x00", "run code"),
    "an array": (b"\x93NUMPY\x01\x00", "Parquet"),
    "a web page": (b"\n<!DOCTYPE html>\n<html>", "address of the file"),
}


@pytest.mark.parametrize(("content", "remedy"), KINDS.values(), ids=KINDS)
@pytest.mark.parametrize("name", ["a.csv", "a.tsv", "a.json", "a.jsonl"])
def test_what_is_no_text(name: str, content: bytes, remedy: str) -> None:
    with pytest.raises(ValueError, match=remedy):
        list(read_file_rows(name, InMemory(content)))
    with pytest.raises(ValueError, match=remedy):
        list(in_utf8([content]))


@pytest.mark.parametrize("content", [POINTER, b"<html>404</html>"], ids=["a pointer", "a web page"])
def test_what_is_no_parquet(content: bytes) -> None:
    with pytest.raises(ValueError, match=r"git lfs pull|address of the file"):
        list(read_file_rows("a.parquet", InMemory(content)))


@pytest.mark.parametrize("content", [b"", b"{}", b"a,b\n1,2", "\ufeffé".encode(), b"<b>,c"])
def test_what_may_be_a_text(content: bytes) -> None:
    check_is_text(content)
