"""The store's configuration, which several processes write and read."""

from __future__ import annotations

from pathlib import Path

import pytest

from bitagent_local.images.store import Store


@pytest.fixture
def buildah(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A program in place of buildah, and no namespaces."""
    for name, text in {"buildah": "cat $CONTAINERS_STORAGE_CONF", "unshare": "shift; exec $*"}.items():
        program = tmp_path / "bin" / name
        program.parent.mkdir(exist_ok=True)
        program.write_text(f"#!/bin/sh\n{text}\n")
        program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path / "bin"), prepend=":")


@pytest.mark.usefixtures("buildah")
def test_the_configuration_is_whole_and_written_once(tmp_path: Path) -> None:
    store = Store(tmp_path / "cache")
    assert f'graphroot = "{store.folder}/layers"' in store.run("images")
    file = (store.folder / "storage.conf").stat()
    assert f'graphroot = "{store.folder}/layers"' in store.run("images")
    assert (store.folder / "storage.conf").stat().st_ino == file.st_ino, "it is replaced only if it differs"
    (store.folder / "storage.conf").write_text("")
    assert f'graphroot = "{store.folder}/layers"' in store.run("images")
    assert not list(store.scratch.iterdir())
