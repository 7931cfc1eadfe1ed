"""Names of models on a page: short, different, and without folders."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from bitagent_crds.results import Verdict
from bitagent_evaluator.reports.names import distinct, without_folders
from bitagent_evaluator.reports.results import read_results


@pytest.mark.parametrize(
    ("changes", "name"),
    [
        pytest.param({}, "acme/run@cccccccc", id="a commit of a hub"),
        pytest.param({"commit": None, "repo": "/home/me/models/tiny-fc/"}, "tiny-fc", id="an absolute folder"),
        pytest.param({"commit": None, "repo": "models/tiny-fc"}, "tiny-fc", id="a relative folder"),
        pytest.param({"commit": None, "repo": "volume/team/tiny"}, "tiny", id="a volume of the cluster"),
        pytest.param({"commit": None, "repo": ".."}, "run", id="a folder without a name"),
        pytest.param({"commit": None, "repo": "acme/fc", "weights_digest": None}, "acme/fc", id="an endpoint"),
    ],
)
def test_name(results_directory: Any, changes: dict[str, Any], name: str) -> None:
    directory = results_directory("run", [Verdict(id="t", category="c", passed=True, score=1.0)])
    path = directory / "manifest.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))
    assert read_results(directory).name == name


@pytest.mark.parametrize(
    ("names", "folders", "shown"),
    [
        (["a", "b"], ["x/1", "x/2"], ["a", "b"]),
        (["a", "a", "b"], ["x/1", "x/2", "x/3"], ["a (1)", "a (2)", "b"]),
        (["a", "a"], ["x/1", "y/1"], ["a (1) #1", "a (1) #2"]),
    ],
)
def test_names_differ(names: list[str], folders: list[str], shown: list[str]) -> None:
    assert distinct(names, [Path(folder) for folder in folders]) == shown


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("cannot read /home/me/models/tiny/config.json: no such file", "cannot read config.json: no such file"),
        ("./models/tiny/model.safetensors is cut", "model.safetensors is cut"),
        ("acme/tiny is no model; 3/4 of the files; see https://x.org/a/b", ""),
        ("value_error:list/tuple", ""),
    ],
)
def test_folders_are_left_out(text: str, shown: str) -> None:
    assert without_folders(text) == (shown or text)
