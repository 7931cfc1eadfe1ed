"""Journal of a run's answers, so that an interrupted run resumes where it stopped.

    responses.jsonl    one Response a line, in order of completion; in the order of the tasks once the run is complete
    run.json           what the answers depend on (`RunKey`), and what generated them (`Started`)

A line counts if it is complete and names a task. Answers to other inputs are renamed, never mixed in.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import logging
import os
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, ValidationError

from bitagent_crds.conditions import Reason
from bitagent_crds.evaluation import RunSpec
from bitagent_crds.model_result import PhaseSeconds
from bitagent_crds.results import Response
from bitagent_evaluator.support.faults import InfrastructureFault
from bitagent_evaluator.support.files import digest_of_pieces, write_atomically
from bitagent_evaluator.support.progress import Pace

_log = logging.getLogger(__name__)

RESPONSES = "responses.jsonl"
RUN = "run.json"
_LOCK = ".lock"
_STALE = ("manifest.json", "verdicts.jsonl", "summary.json", "timeline.json")
_SYNC_SECONDS = 2.0


_NOT_IN_ANSWERS = frozenset(
    {
        *("repo", "commit", "engine", "scorer", "aggregate", "loss"),
        *("max_prompt_tokens", "mean_answer_tokens", "generate_seconds"),
    }
)
"""Fields of a run that no answer depends on, or that the key has in another form.

The model digest identifies the model, whatever its repository and commit; `dtype` and `max_model_length` are what
the choices for the engine come to; the prompts have the sequence length of losses. Answers can be scored again by
another scorer. Budgets decide which tasks are asked and not what is answered; the bound of prompts is in the digest of
those that are asked.
"""

_LATER = ("model_digest", "thinking", "max_thought_tokens")
"""Fields that the key has only if they are set, so that keys from before there were such fields stay valid."""


@dataclass(frozen=True)
class RunKey:
    """Everything that an answer depends on."""

    run: RunSpec
    """What is run, with the prompt format that is used."""
    prompts_digest: str
    """SHA-256 over the token ids of all prompts: covers template, tokenizer and format."""
    stop_ids: tuple[int, ...]
    """Token ids that end an answer."""
    max_model_length: int
    """Maximum length of prompt and answer together, in tokens."""
    dtype: str
    """Number format in the engine."""
    engine: str
    """Name and version of the inference engine."""

    def to_json(self) -> dict[str, Any]:
        """Return the key as in run.json. A field added to RunSpec becomes part of it, unless it is excluded above."""
        own = {field.name: getattr(self, field.name) for field in fields(self) if field.name != "run"}
        absent = {name for name in _LATER if getattr(self.run, name) is None}
        run = self.run.model_dump(mode="json", exclude={*_NOT_IN_ANSWERS, *absent})
        return run | own | {"stop_ids": list(self.stop_ids)}


class Started(BaseModel):
    """Hardware and software that generated the answers so far."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    devices: list[str] = []
    """Hardware of all attempts that generated answers."""
    arguments: dict[str, Any] = {}
    """Engine arguments of the last attempt."""
    packages: dict[str, str] = {}
    load_seconds: float = 0.0
    """Seconds until the engine was ready, in all attempts so far that generated answers."""
    generate_seconds: float = 0.0
    """Seconds of generating in all attempts so far."""

    def with_those_of(self, other: Started) -> Started:
        """Return what generated the answers of both: the devices of either, and the seconds of both together."""
        return Started(
            devices=list(dict.fromkeys((*self.devices, *other.devices))),
            arguments=self.arguments or other.arguments,
            packages=self.packages or other.packages,
            load_seconds=round(self.load_seconds + other.load_seconds, 3),
            generate_seconds=round(self.generate_seconds + other.generate_seconds, 3),
        )

    def seconds(self, *, load: float, score: float) -> PhaseSeconds:
        """Return the seconds of each phase; those of loading are `load` if no attempt generated answers."""
        return PhaseSeconds(
            load=f"{self.load_seconds or load:.3f}", generate=f"{self.generate_seconds:.3f}", score=f"{score:.3f}"
        )


def prompts_digest(prompts: Iterable[Sequence[int]]) -> str:
    """Return the SHA-256 over prompts as token ids."""
    return digest_of_pieces(json.dumps(list(prompt)).encode() + b"\n" for prompt in prompts)


class Journal:
    """The answers in one results directory. A context manager that holds a lock against a concurrent attempt."""

    def __init__(self, directory: Path, key: RunKey, task_ids: Collection[str], *, fresh: bool = False) -> None:
        """Reuse the directory's answers if they have the same key; `fresh` renames them in any case.

        Raises InfrastructureFault if another attempt holds the lock.
        """
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
        same = not fresh and before.get("key") == key.to_json()
        if not same:
            self._rename_old(before)
        self._key = key
        self.started = Started.model_validate(before.get("started", {})) if same else Started()
        self.responses: dict[str, Response] = self._reuse(frozenset(task_ids)) if same else {}
        self.resumed = len(self.responses)
        self._write_run()
        self._sink = self._path.open("ab")
        self._pace, self._run_pace = Pace(_SYNC_SECONDS), Pace(_SYNC_SECONDS)

    @staticmethod
    def read(directory: Path, key: RunKey) -> tuple[Started, list[Response]] | None:
        """Return what a journal that is not open holds; None if there is none, or if its answers have another key."""
        before = _read_run(directory / RUN)
        if before.get("key") != key.to_json():
            return None
        path = directory / RESPONSES
        lines = path.read_bytes().splitlines() if path.exists() else []
        found = {response.id: response for line in reversed(lines) if (response := _response(line)) is not None}
        return Started.model_validate(before.get("started", {})), list(found.values())

    @property
    def directory(self) -> Path:
        """Its directory."""
        return self._directory

    def adopt(self, started: Started, responses: Sequence[Response]) -> None:
        """Take the answers of other journals with the same key in, and what generated them."""
        self.started = started
        self.append([response for response in responses if response.id not in self.responses])
        self._write_run()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._sync()
        if self._seconds_written != self.started.generate_seconds:
            self._write_run()
        self._sink.close()
        self._lock.close()

    def append(self, responses: Sequence[Response]) -> None:
        """Append answers to the file, which is synced every two seconds and at the end."""
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

    def start(
        self, *, device: str, arguments: dict[str, Any], packages: dict[str, str], load_seconds: float = 0.0
    ) -> None:
        """Record the hardware and software of an attempt that generates answers, and the seconds until it could."""
        devices = self.started.devices if device in self.started.devices else [*self.started.devices, device]
        self.started = self.started.model_copy(
            update={
                "devices": devices,
                "arguments": arguments,
                "packages": packages,
                "load_seconds": round(self.started.load_seconds + load_seconds, 3),
            }
        )
        self._write_run()

    def record_seconds(self, total: float) -> None:
        """Record the seconds of generating in all attempts so far; they are written every two seconds and at the end.

        So an attempt that is killed loses two seconds at most, and the next one has the rest of the time.
        """
        self.started = self.started.model_copy(update={"generate_seconds": round(total, 3)})
        if self._run_pace.due():
            self._write_run()

    def _write_run(self) -> None:
        self._seconds_written = self.started.generate_seconds
        left_out = {name for name in ("load_seconds", "generate_seconds") if not getattr(self.started, name)}
        content = {"key": self._key.to_json(), "started": self.started.model_dump(mode="json", exclude=left_out)}
        write_atomically(self._directory / RUN, (json.dumps(content, indent=2) + "\n").encode())

    def _rename_old(self, before: dict[str, Any]) -> None:
        if self._path.exists() and self._path.stat().st_size:
            name = hashlib.sha256(json.dumps(before.get("key")).encode()).hexdigest()[:12]
            aside = self._directory / f"responses-{name}.jsonl"
            _log.warning("earlier answers are kept as %s", aside.name)
            self._path.replace(aside)
        for stale in _STALE:
            (self._directory / stale).unlink(missing_ok=True)

    def _reuse(self, task_ids: frozenset[str]) -> dict[str, Response]:
        content = self._path.read_bytes() if self._path.exists() else b""
        kept: dict[str, Response] = {}
        for line in content.splitlines():
            response = _response(line)
            if response is not None and response.id in task_ids:
                kept.setdefault(response.id, response)
        whole = b"".join(encode_line(response) for response in kept.values())
        if whole != content:
            _log.info("%d answers reused; incomplete or foreign lines are dropped", len(kept))
            write_atomically(self._path, whole)
        return kept


def encode_line(response: Response) -> bytes:
    """Return the response as a line of responses.jsonl."""
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
