"""Documents from files, pipes, the web and kubectl; texts that are none."""

from __future__ import annotations

import io
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from bitagent_evaluator.cli.documents import MAX_BYTES, DocumentError, parse_document, read_document
from bitagent_evaluator.support.faults import FetchError

if TYPE_CHECKING:
    from tests.unit.evaluator.conftest import Website

ROUND: dict[str, Any] = {"kind": "EvalRound", "spec": {"tasks": {"seed": "1", "count": 5}}}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"a: [", "neither YAML nor JSON"),
        (b"a: &x [1]\nb: *x\n", "aliases"),
        (b"\xff\xfe\x00", "neither YAML nor JSON"),
        (b"[" * 1_500, "neither YAML nor JSON"),
        (b"!!python/object:os.system {}", "neither YAML nor JSON"),
        (b" " * (MAX_BYTES + 1), "larger than"),
    ],
    ids=["broken", "alias", "bytes", "deep", "tag", "large"],
)
def test_texts_that_are_no_documents(content: bytes, message: str) -> None:
    with pytest.raises(DocumentError, match=message):
        parse_document(content, "r")


def test_from_a_file_a_directory_and_standard_input(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "manifest.json").write_text(json.dumps(ROUND))
    assert read_document(str(tmp_path)) == read_document(str(tmp_path / "manifest.json")) == ROUND
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(json.dumps(ROUND).encode())))
    assert read_document("-") == ROUND
    with pytest.raises(DocumentError, match="er/NAME, or -"):
        read_document(str(tmp_path / "none"))


def test_from_the_web(website: Website) -> None:
    website.files = {"/round.yaml": yaml.safe_dump(ROUND).encode()}
    assert read_document(f"{website.url}/round.yaml") == ROUND
    with pytest.raises(FetchError, match="404"):
        read_document(f"{website.url}/none")
    with pytest.raises(DocumentError, match="password"):
        read_document("http://me:secret@example.org/round.yaml")


@pytest.fixture
def kubectl(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A kubectl that notes its arguments and prints the round."""
    program = tmp_path / "kubectl"
    (tmp_path / "round.json").write_text(json.dumps(ROUND))
    program.write_text(f'#!/bin/sh\necho "$@" >{tmp_path}/asked\ncat {tmp_path}/round.json\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    return tmp_path / "asked"


@pytest.mark.parametrize(
    ("namespace", "asked"),
    [(None, "get evalrounds.bitagent.io today -o json"), ("b", "get evalrounds.bitagent.io today -o json -n b")],
)
def test_from_a_cluster_by_kubectl(kubectl: Path, namespace: str | None, asked: str) -> None:
    assert read_document("er/today", namespace=namespace) == ROUND
    assert kubectl.read_text().strip() == asked


@pytest.mark.parametrize("name", ["--all", "a b", "A"])
def test_a_name_is_no_option_of_kubectl(kubectl: Path, name: str) -> None:
    with pytest.raises(DocumentError, match="no name of a round"):
        read_document(f"er/{name}")
    assert not kubectl.exists()


def test_kubectl_fails_or_is_not_there(kubectl: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "kubectl").write_text("#!/bin/sh\necho one >&2\necho 'not found' >&2\nexit 1\n")
    with pytest.raises(DocumentError, match="kubectl says: not found"):
        read_document("er/today")
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(DocumentError, match=r"kubectl get er today -o json > round.json"):
        read_document("er/today")
