"""Runs of Weights & Biases in its offline mode, read back from its files."""

from __future__ import annotations

import json
import os
import struct
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from bitagent_validator.tracking.process import KEPT_RUNS, MODULE, NOT_INSTALLED, RunSettings

BLOCK = 32768
"""Size of a block of the library's files, which are LevelDB logs after 7 bytes of their own."""


def records(path: Path) -> Iterator[Any]:
    """The protobuf records in a run's file."""
    from wandb.proto import wandb_internal_pb2

    content, at, parts = path.read_bytes(), 7, b""
    while at + 7 <= len(content):
        left = BLOCK - at % BLOCK
        if left < 7:
            at += left
            continue
        _, length, kind = struct.unpack_from("<IHB", content, at)
        parts += content[at + 7 : at + 7 + length]
        at += 7 + length
        if kind in (1, 4):  # a whole record, or its last part
            record = wandb_internal_pb2.Record()
            record.ParseFromString(parts)
            parts = b""
            yield record


def history(path: Path) -> list[dict[str, Any]]:
    """The rows of a run."""
    found = [record.history for record in records(path) if record.WhichOneof("record_type") == "history"]
    return [{item.key or item.nested_key[0]: json.loads(item.value_json) for item in each.item} for each in found]


def names(path: Path) -> set[tuple[str, str, str]]:
    runs = [record.run for record in records(path) if record.WhichOneof("record_type") == "run"]
    return {(run.entity, run.project, run.display_name) for run in runs}


def run(settings: RunSettings, rows: list[dict[str, Any]], **environment: str) -> subprocess.CompletedProcess[str]:
    lines = [settings.model_dump_json(), *(json.dumps(row) for row in rows)]
    return subprocess.run(
        [sys.executable, "-m", MODULE],
        input="\n".join(lines) + "\n",
        text=True,
        capture_output=True,
        timeout=120,
        env=os.environ | environment,
        check=False,
    )


def test_rows_are_in_runs_that_follow_each_other(tmp_path: Path) -> None:
    key = tmp_path / "key"
    key.write_text("k" * 40)
    settings = RunSettings(
        project="mainnet",
        entity="team",
        offline=True,
        key_file=str(key),
        directory=str(tmp_path / "runs"),
        name="7-1.2.3",
        lines_max=2,
    )
    rows = [{"miner_uid": n, "messages": [{"role": "user", "content": "hello"}]} for n in range(5)]
    began = datetime.now(UTC)
    done = run(settings, rows)
    assert done.returncode == 0, done.stderr
    files = sorted((tmp_path / "runs").glob("wandb/offline-run-*/*.wandb"), key=lambda path: path.stat().st_mtime)
    assert len(files) == KEPT_RUNS, "those before are removed"
    found = [[row["miner_uid"] for row in history(path)] for path in files]
    assert found == [[2, 3], [4]]
    assert history(files[1])[0]["messages"] == [{"role": "user", "content": "hello"}]
    found_names = {name for path in files for name in names(path)}
    assert found_names <= {("team", "mainnet", f"7-1.2.3-{day:%Y-%m-%d}") for day in (began, datetime.now(UTC))}
    assert found_names


def test_a_run_ends_before_the_service_takes_no_more_lines() -> None:
    assert RunSettings(project="p", directory="d", name="n").lines_max < 100_000


@pytest.mark.parametrize("rows", [[], [{"miner_uid": 1}]], ids=["no row", "a row"])
def test_without_the_library_it_says_so(tmp_path: Path, rows: list[dict[str, Any]]) -> None:
    (tmp_path / "wandb.py").write_text("raise ImportError('not here')")
    settings = RunSettings(project="p", offline=True, directory=str(tmp_path / "runs"), name="7")
    done = run(settings, rows, PYTHONPATH=str(tmp_path))
    assert done.returncode == NOT_INSTALLED
    assert "extra `tracking`" in done.stderr
