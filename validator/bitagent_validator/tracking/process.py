"""The process that uses Weights & Biases' library: settings and rows on standard input, a line of JSON each.

It may hang or grow, and is killed then. A run is followed by another one before 100,000 lines, after which the service
takes no more, before its file grows large, and at midnight (UTC). Of the runs on disk the last two stay.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import sys
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict

MODULE = "bitagent_validator.tracking.process"
NOT_INSTALLED = 3
"""Exit status of the process if the library is missing."""
FINISH_SECONDS = 60
"""Time for the end of a run, which has no limit of its own; the process ends after it."""
KEPT_RUNS = 2


class RunSettings(BaseModel):
    """The first line."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    project: str
    entity: str | None = None
    offline: bool = False
    base_url: str | None = None
    key_file: str = ""
    """File with the API key; empty for none."""
    directory: str
    """Where the library writes its files."""
    name: str
    """Beginning of the runs' names, such as `uid-version`; the date follows."""
    lines_max: int = 90_000
    bytes_max: int = 64 * 1024 * 1024


def main() -> int:
    """Log the rows of standard input until it ends; return the exit status."""
    settings = RunSettings.model_validate_json(sys.stdin.readline())
    _prepare(settings)
    try:
        import wandb
    except ImportError as error:
        print(f"Weights & Biases' library is not in this image (extra `tracking`): {error}", file=sys.stderr)
        return NOT_INSTALLED
    _log(wandb, settings, sys.stdin)
    return 0


def _prepare(settings: RunSettings) -> None:
    """Set the library's environment, which it reads when it is imported."""
    Path(settings.directory).mkdir(parents=True, exist_ok=True)
    for name in ("DIR", "CACHE_DIR", "CONFIG_DIR", "DATA_DIR", "ARTIFACT_DIR"):
        os.environ[f"WANDB_{name}"] = settings.directory
    os.environ |= {"HOME": settings.directory, "WANDB_SILENT": "true", "WANDB_CONSOLE": "off"}
    os.environ["WANDB_MODE"] = "offline" if settings.offline else "online"
    if settings.base_url:
        os.environ["WANDB_BASE_URL"] = settings.base_url
    if settings.key_file:
        with contextlib.suppress(OSError):
            os.environ["WANDB_API_KEY"] = Path(settings.key_file).read_text(encoding="utf-8").strip()


def _log(wandb: Any, settings: RunSettings, lines: Iterable[str]) -> None:
    run: Any = None
    day, count, size = "", 0, 0
    try:
        for line in lines:
            today = f"{datetime.now(UTC):%Y-%m-%d}"
            if run is not None and (today != day or count >= settings.lines_max or size >= settings.bytes_max):
                _finish(run)
                run = None
            if run is None:
                _remove_old(Path(settings.directory))
                run, day, count, size = _begin(wandb, settings, today), today, 0, 0
            run.log(json.loads(line))
            count, size = count + 1, size + len(line)
    finally:
        if run is not None:
            _finish(run)


def _begin(wandb: Any, settings: RunSettings, today: str) -> Any:
    return wandb.init(
        project=settings.project,
        entity=settings.entity,
        name=f"{settings.name}-{today}",
        dir=settings.directory,
        settings=wandb.Settings(x_disable_stats=True, x_disable_meta=True, disable_git=True, disable_code=True),
    )


def _finish(run: Any) -> None:
    signal.alarm(FINISH_SECONDS)  # whose default is to end the process
    run.finish()
    signal.alarm(0)


def _remove_old(directory: Path) -> None:
    runs = sorted(directory.glob("wandb/*run-*/"), key=lambda path: path.stat().st_mtime)
    for old in runs[: max(0, len(runs) - KEPT_RUNS + 1)]:
        shutil.rmtree(old, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main())
