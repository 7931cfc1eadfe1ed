"""Weights that are read ahead: each model once, and never more than the memory has room for."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from bitagent_evaluator.engines import read_ahead as module
from bitagent_evaluator.engines.memory import DeviceMemory


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """The files that it opened."""
    opened: list[Path] = []
    original = Path.open

    def watched(path: Path, *args: object, **kwargs: object) -> object:
        if kwargs.get("buffering") == 0:
            opened.append(path)
        return original(path, *args, **kwargs)  # type: ignore[arg-type,call-overload]

    monkeypatch.setattr(Path, "open", watched)
    return opened


def test_each_model_is_read_once(tmp_path: Path, read: list[Path]) -> None:
    folders = [tmp_path / "a", tmp_path / "b"]
    for folder in folders:
        folder.mkdir()
        (folder / "model.safetensors").write_bytes(b"x" * 10)
    ahead = module.ReadAhead()
    for _ in range(3):
        ahead.begin(folders)
        ahead.wait()
    assert [path.parent for path in read] == folders


def test_it_stops_when_memory_is_short(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, read: list[Path]) -> None:
    for number in (1, 2):
        (tmp_path / f"model-0000{number}-of-00002.safetensors").write_bytes(b"x" * 10)
    memory = DeviceMemory("the machine's memory", total=40, free=20, gpu=False)
    monkeypatch.setattr(module, "cpu_memory", lambda: memory)
    ahead = module.ReadAhead()
    ahead.begin([tmp_path])
    ahead.wait()
    assert [path.name for path in read] == ["model-00001-of-00002.safetensors"]


def test_a_folder_that_is_gone_is_logged_and_raises_nothing(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    ahead = module.ReadAhead()
    with caplog.at_level(logging.INFO):
        ahead.begin([tmp_path / "gone"])
        ahead.wait()
    assert [record.getMessage().partition(" ")[0] for record in caplog.records] == [str(tmp_path / "gone")]
