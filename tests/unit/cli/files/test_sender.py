"""The program that runs in a pod: regular files alone, and the standard library alone."""

from __future__ import annotations

import ast
import io
import os
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

from bitagent_cli.files import sender


def sent(root: Path, *paths: str) -> dict[str, bytes]:
    program = Path(sender.__file__).read_text()
    done = subprocess.run([sys.executable, "-c", program, str(root), *paths], capture_output=True, check=True)
    with tarfile.open(fileobj=io.BytesIO(done.stdout), mode="r|gz") as archive:
        return {entry.name: archive.extractfile(entry).read() for entry in archive}  # type: ignore[union-attr]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name, text in {"tasks/a": "1", "results/k/b": "2", "results/k/deep/c": "3", "other/d": "4"}.items():
        path = tmp_path / "round" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return tmp_path / "round"


def test_the_files_below_the_paths(folder: Path) -> None:
    assert sent(folder, "tasks", "results/k") == {"tasks/a": b"1", "results/k/b": b"2", "results/k/deep/c": b"3"}
    assert sent(folder, "results/missing") == {}


def test_links_devices_and_pipes_are_not_sent(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("secret")
    (folder / "tasks" / "link").symlink_to(tmp_path / "secret")
    (folder / "tasks" / "folder").symlink_to(tmp_path)
    os.mkfifo(folder / "tasks" / "pipe")
    assert sent(folder, "tasks") == {"tasks/a": b"1"}


def test_a_top_folder_that_is_a_link_is_not_followed_out(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "secret").write_text("secret")
    (folder / "results" / "l").symlink_to(tmp_path / "outside")
    assert sent(folder, "results/l") == {}


def test_the_same_files_are_the_same_bytes(folder: Path) -> None:
    first, second = io.BytesIO(), io.BytesIO()
    sender.send(str(folder), ["tasks", "results"], first)
    sender.send(str(folder), ["tasks", "results"], second)
    assert first.getvalue() == second.getvalue()


def test_it_imports_the_standard_library_alone() -> None:
    tree = ast.parse(Path(sender.__file__).read_text())
    names = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    names |= {str(node.module) for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    assert {name.partition(".")[0] for name in names} <= set(sys.stdlib_module_names)
