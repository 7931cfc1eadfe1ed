"""`bitagent-eval job` as a process."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from bitagent_crds.jobs import EXIT_INFRASTRUCTURE, EXIT_USAGE

COMMAND = [sys.executable, "-m", "bitagent_evaluator.cli.app", "job"]


def test_job_file_that_is_not_there(tmp_path: Path) -> None:
    done = subprocess.run([*COMMAND, "--file", str(tmp_path / "none")], capture_output=True, text=True, check=False)
    assert done.returncode == EXIT_USAGE and "cannot be read" in done.stderr


def test_a_broken_document_leaves_a_summary_and_the_exit_code_of_the_infrastructure(tmp_path: Path) -> None:
    (tmp_path / "job.json").write_text("{")
    command = [*COMMAND, "--file", str(tmp_path / "job.json"), "--termination-log", str(tmp_path / "log")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == EXIT_INFRASTRUCTURE
    assert done.stdout.strip() == (tmp_path / "log").read_text()
    assert "InfrastructureFault" in done.stdout
