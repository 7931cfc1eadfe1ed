"""The hash of a model's folder, as miners of the finetuning subnets commit to it."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from bitagent_crds.jobs import CommitmentCheck
from bitagent_evaluator.models.commitment import committed_files, directory_hash, mismatch, with_hotkey
from bitagent_evaluator.models.source import FileEntry, Snapshot

HOTKEY = "5CnxbRk7DKntFz5E8za9NxFmP253fShWWBj3xf5C8L5TnaMF"
FILES = {
    "config.json": b"{}",
    "generation_config.json": b"g",
    "model.safetensors": b"weights",
    "tokenizer.json": b"t",
    "tokenizer.model": b"m",
    "README.md": b"not a file of the model",
}
LOADED = [name for name in FILES if name != "README.md"]


class Source:
    """A hub that states the SHA-256 of weights only, as hubs do of large files."""

    def __init__(self, files: dict[str, bytes]) -> None:
        self.files = files
        self.read: list[str] = []

    def resolve(self) -> Snapshot:
        stated = {n: hashlib.sha256(c).hexdigest() for n, c in self.files.items() if n.startswith("model")}
        return Snapshot("c" * 40, {n: FileEntry(len(c), stated.get(n)) for n, c in self.files.items()})

    def stream(self, snapshot: Snapshot, name: str, start: int, end: int) -> Iterator[bytes]:
        self.read.append(name)
        yield self.files[name][start:end]


def committed(folder: Path) -> str:
    """The rule, as it is published: over the files that are in a folder."""
    whole = hashlib.sha256()
    for path in sorted(folder.iterdir()):
        whole.update(base64.b64encode(hashlib.sha256(path.read_bytes()).digest()))
    return base64.b64encode(whole.digest()).decode()


@pytest.fixture
def loaded(tmp_path: Path) -> Callable[..., Path]:
    """Make a folder as a loader leaves it: some of the repository's files."""

    def make(names: list[str]) -> Path:
        folder = tmp_path / "-".join(str(len(name)) for name in names)
        folder.mkdir()
        for name in names:
            (folder / name).write_bytes(FILES[name])
        return folder

    return make


def test_published_examples() -> None:
    assert with_hotkey("hello", "world") == "k2oYXKqiZrucvpgengXLeM1zKwsygOuURBK7b4+PB68="
    text = base64.b64encode(hashlib.sha256(b"test text.").digest()).decode()
    assert text == "tXNDvHVzqYIRiUx0rvK+M5+Lu4OLzhfPJH+gf7HvCeA="


@pytest.mark.parametrize("hotkey", [False, True], ids=["plain", "with the hotkey"])
@pytest.mark.parametrize(
    "names",
    [
        pytest.param(LOADED, id="all files of the model"),
        pytest.param(["config.json", "model.safetensors", "tokenizer.json"], id="those that its loader has fetched"),
        pytest.param(["config.json", "model.safetensors"], id="no tokenizer"),
    ],
)
def test_the_files_that_were_committed_to(loaded: Callable[..., Path], names: list[str], hotkey: bool) -> None:
    folder, source = loaded(names), Source(FILES)
    value = with_hotkey(committed(folder), HOTKEY) if hotkey else committed(folder)
    cached = loaded(["config.json", "model.safetensors", "generation_config.json"])
    assert mismatch(source, source.resolve(), cached, CommitmentCheck(hash=value, hotkey=HOTKEY)) == ""
    assert source.read == ["tokenizer.json", "tokenizer.model"], "what is not in the cache, and has no stated hash"


@pytest.mark.parametrize(
    ("change", "hotkey"),
    [
        pytest.param({"model.safetensors": b"other weights"}, HOTKEY, id="other weights"),
        pytest.param({"config.json": b"{ }"}, HOTKEY, id="another configuration"),
        pytest.param({}, HOTKEY[::-1].replace("F", "6"), id="another miner's hash"),
    ],
)
def test_other_files_are_named(loaded: Callable[..., Path], change: dict[str, bytes], hotkey: str) -> None:
    value = with_hotkey(committed(loaded(LOADED)), HOTKEY)
    source = Source(FILES | change)
    check = CommitmentCheck.model_construct(hash=value, hotkey=hotkey)
    assert value in mismatch(source, source.resolve(), Path("/none"), check)


@pytest.mark.parametrize("missing", ["config.json", "model.safetensors"])
def test_a_repository_without_the_files(missing: str) -> None:
    source = Source({name: content for name, content in FILES.items() if name != missing})
    check = CommitmentCheck(hash="A" * 43 + "=", hotkey=HOTKEY)
    assert missing in mismatch(source, source.resolve(), Path("/none"), check)


def test_weights_in_several_files() -> None:
    shards = ["model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"]
    names = ["config.json", "model.safetensors.index.json", *shards, "vocab.json", "LICENSE"]
    required, optional = committed_files(names)
    assert required == ["config.json", "model.safetensors.index.json", *shards]
    assert optional == ["vocab.json"]
    assert directory_hash({"b": b"2", "a": b"1"}) == directory_hash({"a": b"1", "b": b"2"})
