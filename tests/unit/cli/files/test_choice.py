"""Which files of a round are read, and what is compared."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

from bitagent_cli.files.choice import NoFiles, Place, choose, differences, place_of, round_document


def obj(**status: Any) -> dict[str, Any]:
    return {"metadata": {"name": "r", "namespace": "ns", "uid": "u"}, "spec": {"x": 1}, "status": status}


RESULTS = [
    {"model": "a", "key": "k1"},
    {"model": "b", "key": "k1"},
    {"model": "c", "key": "k2"},
    {"model": "d", "state": "Rejected", "reason": "NoSafetensors"},
]


def test_the_place() -> None:
    assert place_of(obj(artifacts="pvc://claim/rounds/u")) == Place("claim", "rounds/u")


@pytest.mark.parametrize(
    ("status", "said"),
    [
        pytest.param({}, "no files yet", id="none"),
        pytest.param({"artifacts": "s3://b/x"}, "no files yet", id="of a later version"),
        pytest.param({"artifacts": "pvc://claim/"}, "no files yet", id="no folder"),
        pytest.param(
            {"artifacts": "pvc://c/p", "files": {"removedAt": "t"}, "archive": {"uri": "s3://b/r"}},
            "s3://b/r",
            id="archived",
        ),
        pytest.param({"artifacts": "pvc://c/p", "files": {"removedAt": "t"}}, "it has no archive", id="removed"),
    ],
)
def test_no_place(status: dict[str, Any], said: str) -> None:
    with pytest.raises(NoFiles, match=said):
        place_of(obj(**status))


def test_models_that_share_an_evaluation_share_its_folder() -> None:
    assert choose(obj(results=RESULTS)).paths == ["tasks", "results/k1", "results/k2"]
    assert choose(obj(results=RESULTS), models=["b"], tasks=False).paths == ["results/k1"]


@pytest.mark.parametrize(("model", "said"), [("x", "no model x"), ("d", "Rejected, NoSafetensors")])
def test_a_model_without_files(model: str, said: str) -> None:
    with pytest.raises(NoFiles, match=said):
        choose(obj(results=RESULTS), models=[model])


def test_differences(tmp_path: Path) -> None:
    (tmp_path / "tasks").mkdir()
    (tmp_path / "tasks/tasks.jsonl").write_text("t")
    (tmp_path / "results/k").mkdir(parents=True)
    (tmp_path / "results/k/manifest.json").write_text("m")
    good = {name: f"sha256:{hashlib.sha256(name[0].encode()).hexdigest()}" for name in ("tasks", "manifest")}
    results = [{"model": "a", "key": "k", "resultDigest": good["manifest"]}]
    status = {"results": results, "taskSet": {"digest": good["tasks"]}}
    round_ = obj(**status)
    assert list(differences(round_, choose(round_), tmp_path)) == []
    (tmp_path / "results/k/manifest.json").write_text("other")
    (tmp_path / "tasks/tasks.jsonl").unlink()
    missing, other = differences(round_, choose(round_), tmp_path)
    assert "the task set is missing" in missing
    assert "the results of a is not what the round recorded" in other


def test_the_round_is_written_with_its_status() -> None:
    document = json.loads(round_document(obj(phase="Complete")))
    assert (document["metadata"]["uid"], document["status"]["phase"]) == ("u", "Complete")
