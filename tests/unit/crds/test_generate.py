"""The committed CustomResourceDefinitions and field reference are those that the models give, and there is one copy."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml

from bitagent_crds import generate
from bitagent_crds.generate import CRD_FOLDER, files, main

ROOT = Path(__file__).parents[3]


FILES = files()


@pytest.fixture
def generated(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let `main` find the files made, which takes most of a second."""
    monkeypatch.setattr(generate, "files", lambda: FILES)


@pytest.mark.parametrize(("name", "text"), FILES.items(), ids=lambda v: v if len(v) < 60 else "")
def test_checked_in_file_is_current(name: str, text: str) -> None:
    assert (ROOT / name).read_text() == text, "run 'make crds' and commit"


@pytest.mark.usefixtures("generated")
def test_check_reports_a_stale_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(tmp_path)]) == 0
    assert main([str(tmp_path), "--check"]) == 0
    stale = next(tmp_path.rglob("*.yaml"))
    stale.write_text(stale.read_text() + "#\n")
    assert main([str(tmp_path), "--check"]) == 1
    assert stale.name in capsys.readouterr().err


@pytest.mark.usefixtures("generated")
def test_a_definition_of_no_kind_is_reported_and_removed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(tmp_path)]) == 0
    obsolete = tmp_path / CRD_FOLDER / "bitagent.io_miners.yaml"
    obsolete.write_text("kind: CustomResourceDefinition\n")
    assert main([str(tmp_path), "--check"]) == 1
    assert obsolete.name in capsys.readouterr().err
    assert main([str(tmp_path)]) == 0
    assert not obsolete.exists()


def test_the_definitions_are_committed_once() -> None:
    folders = {path.parent.relative_to(ROOT).as_posix() for path in ROOT.glob("c*/**/bitagent.io_*.yaml")}
    assert folders == {CRD_FOLDER}


LAST_APPLIED_BYTES = 262_144
"""Most bytes of all annotations of an object: a client-side apply writes the whole object into one."""


@pytest.mark.parametrize("path", sorted((ROOT / CRD_FOLDER).glob("*.yaml")), ids=lambda path: path.stem)
def test_a_definition_can_be_applied_by_clients(path: Path) -> None:
    content = json.dumps(yaml.safe_load(path.read_text()), separators=(",", ":"))
    assert len(content.encode()) < LAST_APPLIED_BYTES
