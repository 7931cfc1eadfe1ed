from __future__ import annotations

from pathlib import Path

import pytest

from bitagent_leaderboard import export as module
from bitagent_leaderboard.export import MARK, ExportError, export
from bitagent_leaderboard.model.board import Board
from bitagent_leaderboard.pages.render import Settings
from bitagent_leaderboard.site.documents import Site

EXPORTED = Settings(exported="2026-12-01 00:00 UTC")


def test_files_are_the_documents(demo: Board, tmp_path: Path) -> None:
    site = Site(demo, EXPORTED)
    count = export(site, tmp_path / "out")
    files = {str(file.relative_to(tmp_path / "out")) for file in (tmp_path / "out").rglob("*") if file.is_file()}
    assert files == {*site.paths(), MARK, "404.html", ".nojekyll"}
    assert count == len(set(site.paths()))
    assert "2026-12-01" in (tmp_path / "out/index.html").read_text()
    assert [file.name for file in tmp_path.iterdir()] == ["out"], "nothing else is left"


def test_an_earlier_export_is_replaced_as_a_whole(demo: Board, tmp_path: Path) -> None:
    export(Site(demo, EXPORTED), tmp_path / "out")
    export(Site(Board(), EXPORTED), tmp_path / "out")
    assert not (tmp_path / "out/rounds").exists()
    assert [file.name for file in tmp_path.iterdir()] == ["out"]


def test_a_file_system_without_an_exchange(demo: Board, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    export(Site(demo, EXPORTED), tmp_path / "out")
    monkeypatch.setattr(module, "_EXCHANGE", 1 << 10)  # EINVAL, as such a one answers
    export(Site(Board(), EXPORTED), tmp_path / "out")
    assert not (tmp_path / "out/rounds").exists()
    assert [file.name for file in tmp_path.iterdir()] == ["out"]


def test_an_export_that_fails_leaves_the_old_one(demo: Board, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    export(Site(demo, EXPORTED), tmp_path / "out")

    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device", str(tmp_path))

    monkeypatch.setattr(module, "_write_files", fail)
    with pytest.raises(ExportError, match="No space"):
        export(Site(Board(), EXPORTED), tmp_path / "out")
    assert (tmp_path / "out/rounds/demo-tools-2/index.html").exists()
    assert [file.name for file in tmp_path.iterdir()] == ["out"]


@pytest.mark.parametrize("what", ["folder", "file", "link"])
def test_what_is_not_an_export_stays(tmp_path: Path, what: str) -> None:
    out = tmp_path / "out"
    if what == "folder":
        out.mkdir()
        (out / "mine").touch()
    elif what == "file":
        out.touch()
    else:
        (tmp_path / "real").mkdir()
        out.symlink_to(tmp_path / "real")
    with pytest.raises(ExportError, match="not an export"):
        export(Site(Board(), EXPORTED), out)
    assert out.exists()


def test_an_empty_folder_is_taken(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    export(Site(Board(), EXPORTED), tmp_path / "out")
    assert (tmp_path / "out/index.html").exists()
