"""A repository's result, with the real engine: that of its folder, byte for byte, but for its origin."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.unit.evaluator.conftest import LoopbackHub

pytestmark = pytest.mark.engine

COMMIT = "a" * 40


def test_the_result_is_that_of_the_folder_but_for_its_origin(hub: LoopbackHub, models: Path, tmp_path: Path) -> None:
    hub.add("acme/tiny", models / "tiny-fc-600", COMMIT)
    command = [sys.executable, "-m", "bitagent_evaluator.cli.app", "run", "acme/tiny", str(models / "tiny-fc-600")]
    options = ["--tasks", str(models / "tasks.jsonl"), "--limit", "8", "--max-tokens", "48", "--out", str(tmp_path)]
    where = {"HF_ENDPOINT": hub.endpoint, "BITAGENT_MODEL_CACHE": str(tmp_path / "cache")}
    ended = subprocess.run(
        [*command, *options], env={**os.environ, **where}, capture_output=True, text=True, check=False
    )
    assert ended.returncode == 0, ended.stderr[-3000:]
    fetched, local = tmp_path / "acme--tiny", tmp_path / "tiny-fc-600"
    for file in ("responses.jsonl", "verdicts.jsonl"):
        assert (fetched / file).read_bytes() == (local / file).read_bytes()
    manifests = [json.loads((folder / "manifest.json").read_text()) for folder in (fetched, local)]
    origins = [{name: manifest.pop(name) for name in ("repo", "commit")} for manifest in manifests]
    assert origins[0] == {"repo": "acme/tiny", "commit": COMMIT}
    assert manifests[0] == manifests[1]
