"""The parent's side of tracking: rows wait in a bounded queue for a process, which is started again if it ends.

Rows that do not fit are dropped and counted. A process that takes no row for long is killed.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from bitagent_crds.tracking import TRACKING_KEY_FILE, Tracking, WandbMode
from bitagent_validator.tracking.process import MODULE, NOT_INSTALLED, RunSettings

log = logging.getLogger(__name__)

ROWS_MAX = 2048
WRITE_SECONDS = 30.0
"""Time in which the process must take a row."""
PAUSE_SECONDS = (10.0, 3600.0)
"""Pause before the process is started again after its first failure, and at most."""
CLOSE_SECONDS = 5.0
"""Time for the end of the last run when this process ends."""
LINE_LIMIT = 64 * 1024
DIRECTORY = Path("/tmp/tracking")  # noqa: S108 - the container's own volume
KEY_FILE = Path(TRACKING_KEY_FILE)


def settings_of(
    tracking: Tracking | None, *, uid: int | None, version: str, directory: Path = DIRECTORY, key_file: Path = KEY_FILE
) -> RunSettings | None:
    """Return the settings of a Validator's runs; None if it has none."""
    wandb = tracking.wandb if tracking is not None else None
    if wandb is None:
        return None
    return RunSettings(
        project=wandb.project,
        entity=wandb.entity,
        offline=wandb.mode is WandbMode.OFFLINE,
        base_url=wandb.base_url,
        key_file=str(key_file) if wandb.api_key_secret_ref is not None else "",
        directory=str(directory),
        name=f"{'unregistered' if uid is None else uid}-{version}",
    )


def next_pause(pause: float, *, lasted: float, limits: tuple[float, float]) -> float:
    """Return the pause after a failure: twice the one before, or the shortest if the process has worked for long.

    `limits` are the shortest pause and the longest, which is also what counts as long.
    """
    shortest, longest = limits
    return shortest if lasted > longest else min(longest, max(shortest, 2 * pause))


class Tracker:
    """Sends rows, as long as there are settings."""

    def __init__(
        self, *, dropped: Callable[[float], object], pause_seconds: tuple[float, float] = PAUSE_SECONDS
    ) -> None:
        self._dropped = dropped
        """Called with the number of rows that are not sent."""
        self._pause_seconds = pause_seconds
        self._settings: RunSettings | None = None
        self._rows: asyncio.Queue[Mapping[str, Any]] = asyncio.Queue(ROWS_MAX)
        self._task: asyncio.Task[None] | None = None

    async def configure(self, settings: RunSettings | None) -> None:
        """Use these settings from now on; None sends nothing."""
        if settings == self._settings:
            return
        await self.close()
        self._settings = settings
        if settings is not None:
            self._task = asyncio.create_task(self._run(settings))

    def put(self, rows: list[dict[str, Any]]) -> None:
        """Have rows sent; never waits, and never raises."""
        if self._settings is None:
            return
        for at, row in enumerate(rows):
            try:
                self._rows.put_nowait(row)
            except asyncio.QueueFull:
                self._dropped(len(rows) - at)
                return

    async def close(self) -> None:
        """End the process, after what it has been given."""
        task, self._task, self._settings = self._task, None, None
        if task is not None:
            task.cancel()
            await asyncio.wait([task], timeout=2 * CLOSE_SECONDS)

    async def _run(self, settings: RunSettings) -> None:
        pause, clock = 0.0, asyncio.get_running_loop().time
        while True:
            first = await self._rows.get()
            began = clock()
            try:
                status = await self._send(settings, first)
            except OSError as error:
                log.warning("tracking: its process cannot be started: %s", error)
                status = 1
            self._dropped(1)
            if status == NOT_INSTALLED:
                log.warning("tracking: Weights & Biases' library is not in this image: nothing is sent")
                pause = self._pause_seconds[1]
            else:
                log.warning("tracking: its process ended with status %s; it is started again later", status)
                pause = next_pause(pause, lasted=clock() - began, limits=self._pause_seconds)
            await asyncio.sleep(pause)

    async def _send(self, settings: RunSettings, first: Mapping[str, Any]) -> int:
        """Give a new process rows until it ends, or is killed; return its status."""
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            MODULE,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.DEVNULL,
            limit=LINE_LIMIT,
        )
        stdin = process.stdin
        if stdin is None:
            raise RuntimeError("the process has no standard input")
        ended = asyncio.create_task(process.wait())
        try:
            stdin.write(settings.model_dump_json().encode() + b"\n")
            row = first
            while True:
                stdin.write(json.dumps(row).encode() + b"\n")
                async with asyncio.timeout(WRITE_SECONDS):
                    await stdin.drain()
                waiting = asyncio.create_task(self._rows.get())
                await asyncio.wait({waiting, ended}, return_when=asyncio.FIRST_COMPLETED)
                if not waiting.done():
                    waiting.cancel()
                    return await ended
                row = waiting.result()
        except (TimeoutError, ConnectionError):
            process.kill()
            return await ended
        except asyncio.CancelledError:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(CLOSE_SECONDS):
                    while not self._rows.empty():
                        stdin.write(json.dumps(self._rows.get_nowait()).encode() + b"\n")
                    stdin.close()
                    await asyncio.shield(ended)
            raise
        finally:
            if process.returncode is None:
                process.kill()
            ended.cancel()
