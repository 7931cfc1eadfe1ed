"""Repositories on disk."""

from __future__ import annotations

import json
from pathlib import Path

from bitagent_local.hub import pack, repository


def test_blob_id_is_gits() -> None:
    assert repository.git_blob_id(b"hello\n") == "ce013625030ba8dba906f756967f9e9ca394464a"


def test_a_dataset_may_be_called_as_a_model_is(tmp_path: Path) -> None:
    for kind in ("model", "dataset"):
        (tmp_path / kind).mkdir()
        (tmp_path / kind / "x.json").write_text(json.dumps(kind))
        spec = {"repositories": [{"repo": "a/b", "branches": {"main": {kind: kind}}}]}
        pack.pack(pack.HubSpec.model_validate(spec), folders=tmp_path, root=tmp_path / "root")
    for kind in repository.KINDS:
        (found,) = repository.every(tmp_path / "root", kind=kind)
        content = found.at("main").file("x.json").on_disk.read_text()
        assert json.loads(content) == kind.removesuffix("s")
    assert "pipeline_tag" not in repository.find(tmp_path / "root", "a/b", kind=repository.DATASETS).at("main").card()
