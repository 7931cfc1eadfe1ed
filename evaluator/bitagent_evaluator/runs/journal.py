"""Answers on disk as they come, and taken over after a restart.

    responses.jsonl    one Response a line, in the order in which they were finished; in the order of the tasks once a run is complete
    run.json           what the answers depend on (`RunKey`), and what generated them (`Started`)

A line counts when it is whole and names a task. Answers to other inputs are set aside under another name, never mixed in.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import logging
import os
from collections.abc import Collection, Iterable, Sequence
from pathlib import Path
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, ValidationError

from bitagent_crds.conditions import Reason
from bitagent_crds.results import Response
from bitagent_evaluator.faults import InfrastructureFault
from bitagent_evaluator.progress import Pace
from bitagent_evaluator.runs.files import write_atomically

_log = logging.getLogger(__name__)

RESPONSES = "responses.jsonl"
RUN = "run.json"
_LOCK = ".lock"
_STALE = ("manifest.json", "verdicts.jsonl", "summary.json", "timeline.json")
_SYNC_SECONDS = 2.0


class RunKey(BaseModel):
    """Everything that an answer depends on."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    task_set_digest: str
    weights_digest: str | None
    prompts_digest: str
    """SHA-256 over the token ids of all prompts: covers template, tokenizer and format."""
    stop_ids: list[int]
    prompt_format: str
    max_tokens: int
    max_model_length: int
    dtype: str
    engine: str
    """Name and version of what generates."""

    def digest(self) -> str:
        """A short name of the key."""
        return hashlib.sha256(self.model_dump_json().encode()).hexdigest()[:12]


class Started(BaseModel):
    """What generated the answers so far."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    devices: list[str] = []
    """Hardware of all attempts that generated."""
    arguments: dict[str, Any] = {}
    """Engine arguments of the last one."""
    packages: dict[str, str] = {}


def prompts_digest(prompts: Iterable[Sequence[int]]) -> str:
    """SHA-256 over prompts as token ids."""
    digest = hashlib.sha256()
    for prompt in prompts:
        digest.update(json.dumps(list(prompt)).encode() + b"\n")
    return "sha256:" + digest.hexdigest()


class Journal:
    """The answers of one results directory. A context manager; holds a lock against a second attempt at the same time."""

    def __init__(self, directory: Path, key: RunKey, task_ids: Collection[str], *, fresh: bool = False) -> None:
        """Take over the directory's answers if they were made with the same key; `fresh` sets them aside in any case."""
        directory.mkdir(parents=True, exist_ok=True)
        self._directory = directory
        self._path = directory / RESPONSES
        self._lock = (directory / _LOCK).open("a")
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self._lock.close()
            message = f"another attempt is writing to {directory}; it must end first"
            raise InfrastructureFault(Reason.INFRASTRUCTURE_FAULT, message) from None
        before = _read_run(directory / RUN)
        same = not fresh and before.get("key") == key.model_dump(mode="json")
        if not same:
            self._set_aside(before)
        self._key = key
        self.started = Started.model_validate(before.get("started", {})) if same else Started()
        self.responses: dict[str, Response] = self._take_over(frozenset(task_ids)) if same else {}
        self.resumed = len(self.responses)
        self._write_run()
        self._sink = self._path.open("ab")
        self._pace = Pace(_SYNC_SECONDS)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._sync()
        self._sink.close()
        self._lock.close()

    def append(self, responses: Sequence[Response]) -> None:
        """Write answers to disk; synced every two seconds and at the end."""
        if not responses:
            return
        self._sink.write(b"".join(encode_line(response) for response in responses))
        self._sink.flush()
        self.responses.update((response.id, response) for response in responses)
        if self._pace.due():
            self._sync()

    def _sync(self) -> None:
        self._sink.flush()
        os.fsync(self._sink.fileno())

    def start(self, *, device: str, arguments: dict[str, Any], packages: dict[str, str]) -> None:
        """Note with what, and on which hardware, an attempt generates."""
        devices = self.started.devices if device in self.started.devices else [*self.started.devices, device]
        self.started = Started(devices=devices, arguments=arguments, packages=packages)
        self._write_run()

    def _write_run(self) -> None:
        content = {"key": self._key.model_dump(mode="json"), "started": self.started.model_dump(mode="json")}
        write_atomically(self._directory / RUN, (json.dumps(content, indent=2) + "\n").encode())

    def _set_aside(self, before: dict[str, Any]) -> None:
        if self._path.exists() and self._path.stat().st_size:
            name = hashlib.sha256(json.dumps(before.get("key")).encode()).hexdigest()[:12]
            aside = self._directory / f"responses-{name}.jsonl"
            _log.warning("earlier answers are set aside as %s", aside.name)
            self._path.replace(aside)
        for stale in _STALE:
            (self._directory / stale).unlink(missing_ok=True)

    def _take_over(self, task_ids: frozenset[str]) -> dict[str, Response]:
        content = self._path.read_bytes() if self._path.exists() else b""
        kept: dict[str, Response] = {}
        for line in content.splitlines():
            response = _response(line)
            if response is not None and response.id in task_ids:
                kept.setdefault(response.id, response)
        whole = b"".join(encode_line(response) for response in kept.values())
        if whole != content:
            _log.info("%d answers taken over; torn or foreign lines are dropped", len(kept))
            write_atomically(self._path, whole)
        return kept


def encode_line(response: Response) -> bytes:
    """One line of responses.jsonl."""
    return response.model_dump_json().encode() + b"\n"


def _response(line: bytes) -> Response | None:
    try:
        return Response.model_validate_json(line)
    except ValidationError:
        return None


def _read_run(path: Path) -> dict[str, Any]:
    try:
        value = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}
