"""Transcripts of steps for people: one JSON object a line, in files that are replaced in turn.

They are written by a thread of its own, so that a disk that hangs holds nothing up; what does not fit its queue is
dropped and counted. They are on a disk of the pod and not on the artifact volume: a volume that cannot be mounted, or
hangs, must not keep a validator from setting weights.
"""

from __future__ import annotations

import json
import logging
import queue
import threading
from collections.abc import Callable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from bitagent_crds.online import OnlineOutcome
from bitagent_crds.printable import printable_json
from bitagent_validator.online.step import MinerResult, StepReport
from bitagent_validator.state.scores import OnlineState

log = logging.getLogger(__name__)

DIRECTORY = Path("/tmp/transcripts")  # noqa: S108 - the container's own volume
FILE_BYTES = 4 * 1024 * 1024
FILES = 8
"""Files that are kept, the one that is written to included: 32 MiB in all."""
LINE_BYTES = 1024 * 1024
"""Longest line; a longer one is written without the task and the answers' texts."""
TEXT_MAX = 4000
"""Characters of an answer, and of the content of a message, that are kept."""
QUEUE_MAX = 32
_NAME = "steps-{:06d}.jsonl"


def transcript(report: StepReport, state: OnlineState | None, *, at: datetime, validator: str) -> dict[str, Any]:
    """Return one step as a JSON object; `state` are the averages after it."""
    plan = report.plan
    means = state.means if state else {}
    found: dict[str, Any] = {
        "at": at.isoformat(timespec="seconds"),
        "validator": validator,
        "competition": plan.competition if plan else "",
        "block": plan.block if plan else report.block,
        "counts": report.counts,
        "reason": report.reason.value,
        "message": report.message,
        "pool": report.pool.name if report.pool else "",
    }
    if report.task is not None:
        found["task"] = {
            "id": report.task.id,
            "messages": [{"role": m.role, "content": m.content[:TEXT_MAX]} for m in report.task.messages],
            "tools": [tool.name for tool in report.task.tools],
        }
    found["miners"] = [
        _miner(each, mean=means[each.neuron.hotkey].mean if each.neuron.hotkey in means else None)
        for each in report.results
    ]
    return found


def _miner(result: MinerResult, *, mean: float | None) -> dict[str, Any]:
    answer, verdict = result.answer, result.verdict
    found: dict[str, Any] = {
        "uid": result.neuron.uid,
        "hotkey": result.neuron.hotkey,
        "outcome": result.outcome.value,
        "score": result.score,
        "mean": mean,
    }
    if answer is not None:
        found |= {
            "seconds": round(answer.seconds, 3),
            "wire": answer.protocol.value if answer.protocol else "",
            "signed": answer.signed,
            "bytes": answer.bytes_read,
        }
        if answer.message is not None:
            found |= {
                "response": answer.message.response[:TEXT_MAX],
                "model": answer.message.hf_run_model_name or "",
            }
    if verdict is not None:
        found["criteria"] = [
            {"name": c.name, "points": c.points, "maximum": c.maximum, "detail": c.detail} for c in verdict.criteria
        ]
    if result.outcome is not OnlineOutcome.SCORED:
        found["message"] = result.message
    return found


def line_of(content: Mapping[str, Any]) -> bytes:
    """Return a transcript as a line of at most LINE_BYTES bytes."""
    line = _line(content)
    if len(line) <= LINE_BYTES:
        return line
    miners = [{k: v for k, v in miner.items() if k not in ("response", "criteria")} for miner in content["miners"]]
    short = {k: v for k, v in content.items() if k != "task"} | {"miners": miners, "shortened": True}
    return _line(short)[:LINE_BYTES]


def _line(content: Mapping[str, Any]) -> bytes:
    # Answers are shown in terminals: an 8-bit escape sequence is not a control character to JSON.
    return printable_json(json.dumps(content, ensure_ascii=False)).encode(errors="replace") + b"\n"


class Transcripts:
    """Writes lines to a folder, in the order in which they come."""

    def __init__(
        self,
        directory: Path = DIRECTORY,
        *,
        file_bytes: int = FILE_BYTES,
        files: int = FILES,
        dropped: Callable[[], object] = lambda: None,
    ) -> None:
        self._directory = directory
        self._file_bytes, self._files = file_bytes, files
        self._dropped = dropped
        """Called for each line that is not written."""
        self._queue: queue.Queue[bytes | None] = queue.Queue(QUEUE_MAX)
        self._thread: threading.Thread | None = None
        self._failing = False

    def put(self, content: Mapping[str, Any]) -> None:
        """Have a transcript written, unless too many wait; never waits, and never raises."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="transcripts", daemon=True)
            self._thread.start()
        try:
            self._queue.put_nowait(line_of(content))
        except queue.Full:
            self._dropped()

    def close(self, *, seconds: float) -> None:
        """Write what waits, for so long at most."""
        if self._thread is None:
            return
        try:
            self._queue.put_nowait(None)
        except queue.Full:
            return
        self._thread.join(seconds)

    def _run(self) -> None:
        while (line := self._queue.get()) is not None:
            try:
                self._write(line)
                self._failing = False
            except OSError as error:
                self._dropped()
                if not self._failing:
                    log.warning("transcripts cannot be written to %s: %s", self._directory, error.strerror)
                self._failing = True

    def _write(self, line: bytes) -> None:
        self._directory.mkdir(parents=True, exist_ok=True)
        numbers = sorted(int(path.stem.partition("-")[2]) for path in self._directory.glob("steps-*.jsonl"))
        number = numbers[-1] if numbers else 1
        path = self._directory / _NAME.format(number)
        if path.exists() and path.stat().st_size + len(line) > self._file_bytes:
            number += 1
            path = self._directory / _NAME.format(number)
        for old in numbers:
            if old <= number - self._files:
                (self._directory / _NAME.format(old)).unlink(missing_ok=True)
        with path.open("ab") as file:
            file.write(line)
