"""The interface of task sources and their registry, whose names are the members of a source in an EvalRound."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from bitagent_crds.jobs import source_key
from bitagent_crds.results import Task
from bitagent_crds.schema import Model
from bitagent_crds.sources import Rows, TaskSource
from bitagent_evaluator.registry import Registry
from bitagent_evaluator.tasks.errors import TaskSetError

SOURCES = Registry(
    what="task source",
    group="bitagent.task_sources",
    builtin={
        "bfcl": "bitagent_evaluator.tasks.bfcl:BfclTasks",
        "jsonl": "bitagent_evaluator.tasks.jsonl:JsonlTasks",
        "huggingFace": "bitagent_evaluator.tasks.hugging_face:HuggingFaceTasks",
        "stream": "bitagent_evaluator.tasks.stream:StreamTasks",
    },
)


@dataclass(frozen=True)
class Inputs:
    """What a source is given beside its parameters."""

    file: Path | None = None
    """Its file, if it reads one that is here."""
    key: str | None = None
    """Token or API key, if it was given one."""


class Source(Protocol):
    """An origin of tasks. Made as `Source(parameters, inputs)`: its member of the spec, and what it is given."""

    name: str
    """Registry name, written into every task."""
    parameters: dict[str, Any]
    """Its parameters as in the spec, for the manifest."""
    skipped: Mapping[str, int]
    """Rows that cannot be read as a task, by reason; complete once all tasks were taken."""

    @property
    def version(self) -> str:
        """Version of the data once it was read: a package version, a commit, or the digest of what was read."""
        ...

    def tasks(self) -> Iterable[Task]:
        """All tasks it has, in an order of no meaning.

        A list is kept whole, with unique ids. What is no list is read once and only the tasks that may be drawn are kept, so that a source
        may be larger than memory. Raises TaskSetError where the spec is wrong, InfrastructureFault where something did not answer.
        """
        ...


def open_source(
    index: int, spec: TaskSource, file: Path | None, environment: Mapping[str, str] | None = None
) -> Source:
    """The source that entry `index` of `tasks.sources` names; its key is in the environment. Raises TaskSetError."""
    key = (environment or {}).get(source_key(index))
    members = {field.alias or name: name for name, field in type(spec).model_fields.items() if name != "weight"}
    chosen = {name: value for name, field in members.items() if (value := getattr(spec, field)) is not None}
    if len(chosen) != 1:
        raise TaskSetError(
            f"tasks.sources[{index}]: exactly one of {', '.join(members)} must be set, not {len(chosen)}"
        )
    ((name, parameters),) = chosen.items()
    try:
        made: Source = SOURCES.load(name)(parameters, Inputs(file, key or None))
    except TaskSetError as error:
        raise TaskSetError(f"{where(index, name)}: {error}") from error
    return made


def where(index: int, name: str) -> str:
    """What messages call a source."""
    return f"tasks.sources[{index}] ({name})"


def parameters_of(source: Model) -> dict[str, Any]:
    """A source's parameters for the manifest: as in the spec; rows that are tasks go without saying, as before there were others."""
    wire = source.to_wire()
    return {name: value for name, value in wire.items() if (name, value) != ("rows", Rows.TASK.value)}
