"""The installed programs, found by name."""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any
from unittest.mock import patch

ROOT = Path(__file__).resolve().parents[4]
"""The checkout."""
MODELS = ROOT / "local" / "models"
DATASETS = ROOT / "local" / "datasets"
GOLDEN = ROOT / "tests" / "golden"


class ProgramFailed(AssertionError):
    """A program ended with an unexpected exit code."""


def evaluate(*arguments: object) -> str:
    """Run `bitagent-eval` in this process; returns what it printed. Raises ProgramFailed."""
    code, out, errors = _run(arguments)
    if code != 0:
        raise ProgramFailed(f"bitagent-eval {' '.join(map(str, arguments))}: exit code {code}\n{errors[-4000:]}")
    return out


def refusal(*arguments: object) -> str:
    """Run `bitagent-eval` in this process with arguments that it refuses; return its output. Raises ProgramFailed."""
    code, _, errors = _run(arguments)
    if code != 2:
        raise ProgramFailed(
            f"bitagent-eval {' '.join(map(str, arguments))}: exit code {code} instead of 2\n{errors[-4000:]}"
        )
    return errors


def _run(arguments: Sequence[object]) -> tuple[int, str, str]:
    """The exit code, standard output and standard error."""
    (entry,) = entry_points(group="console_scripts", name="bitagent-eval")
    out, errors = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(errors):
        code = entry.load()([str(argument) for argument in arguments])
    return code, out.getvalue(), errors.getvalue()


def evaluate_apart(*arguments: object) -> str:
    """Run `bitagent-eval` as a process of its own; returns what it printed. Raises ProgramFailed."""
    command = [str(Path(sys.executable).with_name("bitagent-eval")), *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise ProgramFailed(f"{' '.join(command)}: exit code {done.returncode}\n{done.stderr[-4000:]}")
    return done.stdout


@contextlib.contextmanager
def settings(**values: str) -> Iterator[None]:
    """A block with these environment variables."""
    with patch.dict(os.environ, values):
        yield


def canonical(value: Any) -> bytes:
    """JSON with sorted keys and without spaces."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def digest(content: bytes) -> str:
    """`sha256:` and the SHA-256 in hexadecimal."""
    return "sha256:" + hashlib.sha256(content).hexdigest()


def json_lines(path: Path) -> list[dict[str, Any]]:
    """The objects of a JSON Lines file."""
    return [json.loads(line) for line in path.read_bytes().splitlines() if line.strip()]


def write_json_lines(path: Path, objects: Sequence[dict[str, Any]]) -> Path:
    """Write a JSON Lines file; returns its path."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"".join(json.dumps(entry, ensure_ascii=False).encode() + b"\n" for entry in objects))
    return path
