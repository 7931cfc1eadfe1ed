"""One model's tasks shared out between processes, and their answers put together.

    OUT/shards/<index>-of-<count>/    the journal of one shard: responses.jsonl, run.json
                                      and ended.json once it has ended: what its answers depend on

Each shard prepares all tasks, so that prompts, engine and key are those of the whole run, and asks its own. The answers
of all then go to the journal of the whole run. Scored from there, they give the bytes of a run of one process: where
answers do not depend on what else an engine computes, the number of shards changes nothing.

Questions about one memory are one shard's, for they share the conversations that fill it.
"""

from __future__ import annotations

import fcntl
import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from bitagent_crds.results import Response
from bitagent_crds.task_set import Task
from bitagent_evaluator.evaluation.journal import Journal, RunKey, Started
from bitagent_evaluator.support.files import write_atomically

_FOLDER = "shards"
_ENDED = "ended.json"
_LOCK = ".lock"
_PROMPTS = "prompts_digest"


@dataclass(frozen=True)
class Shard:
    """A part of a model's tasks."""

    index: int
    """From 0."""
    count: int
    """Number of the parts."""

    def task_ids(self, tasks: Sequence[Task]) -> frozenset[str]:
        """Return its tasks: every `count`-th, where the questions about one memory count as one."""
        places: dict[tuple[str, ...], int] = {}
        found = set()
        for task in tasks:
            memory = task.memory
            group = (task.id,) if memory is None else (memory.backend, memory.scenario)
            if places.setdefault(group, len(places)) % self.count == self.index:
                found.add(task.id)
        return frozenset(found)

    def folder(self, out_dir: Path) -> Path:
        """Return the folder of its journal."""
        return out_dir / _FOLDER / f"{self.index}-of-{self.count}"


class _Ended(BaseModel):
    """The end of a shard."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    key: dict[str, object]
    """What its answers depend on, as in run.json."""
    late: bool
    """Whether its time for generating was over, so that it may lack answers."""


@dataclass(frozen=True)
class Answers:
    """The answers of all shards."""

    responses: Sequence[Response]
    started: Started
    """What generated them; seconds are those of all shards together."""
    late: bool
    """Whether the time of a shard was over."""


def end_shard(shard: Shard, out_dir: Path, key: RunKey, *, late: bool) -> None:
    """Record that a shard has asked all its tasks, or that its time was over."""
    ended = _Ended(key=key.to_json(), late=late)
    write_atomically(shard.folder(out_dir) / _ENDED, (ended.model_dump_json() + "\n").encode())


@contextmanager
def gathered(out_dir: Path, count: int, key: RunKey) -> Iterator[Answers | None]:
    """Yield the answers of all shards, or None while one has not ended. At most one process is in the block."""
    with (out_dir / _FOLDER / _LOCK).open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield _gathered([Shard(index, count) for index in range(count)], out_dir, key)


def has_others_prompts(out_dir: Path, count: int, key: RunKey) -> bool:
    """Whether a shard has ended whose prompts are others, while all else that answers depend on is the same."""
    own = _comparable(key)
    ends = (_read_end(Shard(index, count).folder(out_dir) / _ENDED) for index in range(count))
    return any(
        end is not None and end.key != own and end.key | {_PROMPTS: None} == own | {_PROMPTS: None} for end in ends
    )


def _gathered(shards: Sequence[Shard], out_dir: Path, key: RunKey) -> Answers | None:
    ends = [_end(shard.folder(out_dir) / _ENDED, key) for shard in shards]
    known = [end for end in ends if end is not None]
    if len(known) < len(shards):
        return None
    responses: list[Response] = []
    started = Started()
    for shard in shards:
        found = Journal.read(shard.folder(out_dir), key)
        if found is None:
            return None
        started = started.with_those_of(found[0])
        responses += found[1]
    return Answers(responses, started, late=any(end.late for end in known))


def _end(path: Path, key: RunKey) -> _Ended | None:
    """Return the end of a shard with this key; None if it has not ended."""
    ended = _read_end(path)
    return ended if ended is not None and ended.key == _comparable(key) else None


def _read_end(path: Path) -> _Ended | None:
    try:
        return _Ended.model_validate_json(path.read_bytes())
    except (OSError, ValidationError):
        return None


def _comparable(key: RunKey) -> dict[str, object]:
    """Return the key as it is read from a file."""
    found: dict[str, object] = json.loads(json.dumps(key.to_json()))
    return found
